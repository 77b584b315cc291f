//! HTTP/1.1 for vendors that have nothing newer: a connection for each request under way, kept for the next.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{handshake, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::{timeout_at, Instant};

use crate::connect::{basic, connect, Connected, Duplex, Options};
use crate::fault::Fault;
use crate::item::Item;
use crate::outbox::{Answer, Done, Outbox};
use crate::place::Place;
use crate::route::BODY_LIMIT;

/// Under the 60-75 s after which most servers hang up.
const IDLE: Duration = Duration::from_secs(50);

type Sender = SendRequest<Full<Bytes>>;

/// Connections that wait for a request.
#[derive(Default)]
pub struct Pool(Mutex<Vec<(Sender, Instant)>>);

impl Pool {
    fn take(&self) -> Option<Sender> {
        let mut idle = self.lock();
        while let Some((sender, since)) = idle.pop() {
            if since.elapsed() > IDLE {
                idle.clear();
            } else if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    fn keep(&self, sender: Sender) {
        self.lock().push((sender, Instant::now()));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Sender, Instant)>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// An item that comes back exactly once, also where its task is dropped.
struct Owed {
    item: Option<Item>,
    place: Arc<Place>,
    outbox: Arc<Outbox>,
}

impl Owed {
    fn settle(&mut self, end: Result<Answer, Fault>) {
        if let Some(item) = self.item.take() {
            self.outbox.put(&mut vec![Done::new(item.tag, end, &self.place)]);
        }
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.settle(Err(Fault::Abandoned));
    }
}

/// Sends the item and puts its end into the outbox. `first` is a connection that is there already.
pub async fn exchange(
    item: Item,
    place: Arc<Place>,
    options: Arc<Options>,
    pool: Arc<Pool>,
    outbox: Arc<Outbox>,
    first: Option<Box<dyn Duplex>>,
) {
    let deadline = item.deadline;
    let mut owed = Owed {
        item: Some(item),
        place: place.clone(),
        outbox,
    };
    let end = match &owed.item {
        Some(item) => match timeout_at(deadline, send(item, place, options, pool, first)).await {
            Ok(end) => end,
            Err(_) => Err(Fault::NotAnswered),
        },
        None => return,
    };
    owed.settle(end);
}

async fn send(
    item: &Item,
    place: Arc<Place>,
    options: Arc<Options>,
    pool: Arc<Pool>,
    first: Option<Box<dyn Duplex>>,
) -> Result<Answer, Fault> {
    let mut head = item.http1_head(&place, !place.secure() && place.proxy.is_some());
    if let (false, Some(login)) = (
        place.secure(),
        place.proxy.as_ref().and_then(|p| p.login.as_ref()),
    ) {
        if let Ok(value) = basic(login).parse() {
            head.headers_mut()
                .insert(http::header::PROXY_AUTHORIZATION, value);
        }
    }
    let mut request = head.map(|()| Full::new(item.body.clone()));
    let mut kept = match first {
        Some(stream) => Some(begin(stream).await?),
        None => pool.take(),
    };
    loop {
        let used = kept.is_some();
        let mut sender = match kept.take() {
            Some(sender) => sender,
            None => match connect(place.clone(), options.clone(), true).await? {
                Connected::Http1(stream) => begin(stream).await?,
                Connected::Http2(_) => return Err(Fault::Unsent("the server speaks HTTP/2 unasked".into())),
            },
        };
        match sender.try_send_request(request).await {
            Ok(answer) => {
                let (parts, mut body) = answer.into_parts();
                let mut read = BytesMut::new();
                while let Some(frame) = body.frame().await {
                    let frame = frame.map_err(|error| lost(&error))?;
                    if let Some(data) = frame.data_ref() {
                        if read.len() + data.len() > BODY_LIMIT {
                            return Err(Fault::TooLarge);
                        }
                        read.extend_from_slice(data);
                    }
                }
                tokio::spawn(async move {
                    if sender.ready().await.is_ok() {
                        pool.keep(sender);
                    }
                });
                return Ok(Answer {
                    status: parts.status.as_u16(),
                    headers: parts.headers,
                    body: read.freeze(),
                });
            }
            Err(mut refused) => match refused.take_message() {
                // It never left: the connection had gone while it was idle.
                Some(message) if used => request = message,
                Some(_) => return Err(Fault::Unsent("the server closed the connection".into())),
                None => return Err(lost(refused.error())),
            },
        }
    }
}

async fn begin(stream: Box<dyn Duplex>) -> Result<Sender, Fault> {
    let (sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Fault::Unsent("the server closed the connection".into()))?;
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

fn lost(error: &hyper::Error) -> Fault {
    use std::error::Error;
    let io = error
        .source()
        .and_then(|source| source.downcast_ref::<std::io::Error>());
    Fault::Lost(match io {
        Some(io) => crate::fault::cause(io),
        None if error.is_parse() => "the answer is no HTTP/1.1".into(),
        None => "the server closed the connection".into(),
    })
}
