//! Where finished requests gather until Python drains them, and the bell that tells its event loop.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http::HeaderMap;
use pyo3::{Py, PyAny};

use crate::bell::Bell;
use crate::fault::Fault;
use crate::place::Place;

/// What Python gave to know a request by. Moved, never touched, outside of the GIL.
pub type Tag = Py<PyAny>;

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// One finished request.
pub struct Done {
    pub tag: Tag,
    pub end: End,
}

pub enum End {
    Answered(Answer),
    Failed(Fault, Arc<Place>),
}

impl Done {
    pub fn new(tag: Tag, end: Result<Answer, Fault>, place: &Arc<Place>) -> Self {
        let end = match end {
            Ok(answer) => End::Answered(answer),
            Err(fault) => End::Failed(fault, place.clone()),
        };
        Self { tag, end }
    }
}

/// The completions of one lane.
pub struct Outbox {
    gathered: Mutex<Vec<Done>>,
    bell: Bell,
    /// Requests taken and not yet gathered.
    owed: AtomicUsize,
    /// Routes whose tasks have not ended.
    routes: AtomicUsize,
}

impl Outbox {
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            gathered: Mutex::new(Vec::new()),
            bell: Bell::new()?,
            owed: AtomicUsize::new(0),
            routes: AtomicUsize::new(0),
        })
    }

    pub fn fileno(&self) -> i32 {
        self.bell.fileno()
    }

    pub fn owe(&self, requests: usize) {
        self.owed.fetch_add(requests, Ordering::AcqRel);
    }

    /// Hands these over; rings once for all that gather until the next drain.
    pub fn put(&self, done: &mut Vec<Done>) {
        if done.is_empty() {
            return;
        }
        let mut gathered = self.lock();
        let ring = gathered.is_empty();
        self.owed.fetch_sub(done.len(), Ordering::AcqRel);
        if ring && gathered.capacity() == 0 {
            std::mem::swap(&mut *gathered, done);
        } else {
            gathered.append(done);
        }
        drop(gathered);
        if ring {
            self.bell.ring();
        }
    }

    /// Everything that has gathered.
    pub fn drain(&self) -> Vec<Done> {
        self.bell.silence();
        std::mem::take(&mut *self.lock())
    }

    pub fn route_begins(&self) {
        self.routes.fetch_add(1, Ordering::AcqRel);
    }

    pub fn route_ends(&self) {
        self.routes.fetch_sub(1, Ordering::AcqRel);
        self.bell.ring();
    }

    /// Whether nothing is owed and no task of the lane is left.
    pub fn finished(&self) -> bool {
        self.owed.load(Ordering::Acquire) == 0
            && self.routes.load(Ordering::Acquire) == 0
            && self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Done>> {
        self.gathered
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
