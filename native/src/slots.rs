//! Requests under way, each with a waker of its own that is used again by the next one in its place.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

/// Places for `T`. A place that was woken is in `take_woken` once.
pub struct Slots<T> {
    slots: Vec<Slot<T>>,
    free: Vec<usize>,
    bell: Arc<Bell>,
}

struct Slot<T> {
    /// Which of the ones that had this place.
    turn: u32,
    inner: Option<T>,
    place: Arc<Place>,
    waker: Waker,
}

/// What the wakers share with the task that owns the slots.
struct Bell {
    woken: Mutex<Vec<usize>>,
    /// While the owner works through `woken` it needs no waking.
    awake: AtomicBool,
    owner: Mutex<Option<Waker>>,
}

struct Place {
    index: usize,
    queued: AtomicBool,
    bell: Arc<Bell>,
}

impl Wake for Place {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        lock(&self.bell.woken).push(self.index);
        if !self.bell.awake.load(Ordering::Acquire) {
            if let Some(owner) = &*lock(&self.bell.owner) {
                owner.wake_by_ref();
            }
        }
    }
}

impl<T> Slots<T> {
    pub fn new() -> Self {
        let bell = Bell {
            woken: Mutex::new(Vec::new()),
            awake: AtomicBool::new(false),
            owner: Mutex::new(None),
        };
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            bell: Arc::new(bell),
        }
    }

    /// The owner begins its turn; what is woken until `sleep` it finds itself.
    pub fn awake(&self, owner: &Waker) {
        let mut known = lock(&self.bell.owner);
        if !known.as_ref().is_some_and(|known| known.will_wake(owner)) {
            *known = Some(owner.clone());
        }
        self.bell.awake.store(true, Ordering::Release);
    }

    /// The owner ends its turn. False where something was woken meanwhile.
    pub fn sleep(&self) -> bool {
        self.bell.awake.store(false, Ordering::Release);
        lock(&self.bell.woken).is_empty()
    }

    /// The places woken since the last call, into `woken`. Each may be woken again from now on.
    pub fn take_woken(&self, woken: &mut Vec<usize>) {
        std::mem::swap(woken, &mut lock(&self.bell.woken));
        for &index in &*woken {
            self.slots[index].place.queued.store(false, Ordering::Release);
        }
    }

    /// A place for this one, and the turn it has there.
    pub fn put(&mut self, inner: T) -> (usize, u32) {
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index];
            slot.inner = Some(inner);
            return (index, slot.turn);
        }
        let index = self.slots.len();
        let place = Place {
            index,
            queued: AtomicBool::new(false),
            bell: self.bell.clone(),
        };
        let place = Arc::new(place);
        self.slots.push(Slot {
            turn: 0,
            inner: Some(inner),
            waker: Waker::from(place.clone()),
            place,
        });
        (index, 0)
    }

    pub fn has(&self, index: usize, turn: u32) -> bool {
        self.slots[index].turn == turn && self.slots[index].inner.is_some()
    }

    /// The one in this place and the waker to poll it with.
    pub fn get(&mut self, index: usize) -> Option<(&mut T, &Waker)> {
        let slot = &mut self.slots[index];
        slot.inner.as_mut().map(|inner| (inner, &slot.waker))
    }

    pub fn take(&mut self, index: usize) -> Option<T> {
        let slot = &mut self.slots[index];
        let inner = slot.inner.take()?;
        slot.turn = slot.turn.wrapping_add(1);
        self.free.push(index);
        Some(inner)
    }

    pub fn take_all(&mut self) -> Vec<T> {
        (0..self.slots.len())
            .filter_map(|index| self.take(index))
            .collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
