//! A route: the task that carries all requests of one lane to one place.
//!
//! One task does it all, so that a batch costs one waking: it takes what Python handed over, starts what has room, lets the
//! HTTP/2 library read and write, polls the requests that have news, and hands their ends over in one go.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::client::{Connection, ResponseFuture, SendRequest};
use h2::{Ping, PingPong, Reason, RecvStream};
use http::HeaderMap;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, Instant, Sleep};

use crate::connect::{connect, reason, Connected, Duplex, Http2, Options};
use crate::fault::{cause, Fault};
use crate::http1::{exchange, Pool};
use crate::item::Item;
use crate::outbox::{Answer, Done, Outbox};
use crate::place::Place;
use crate::slots::Slots;
use crate::wire::Wire;

/// Bytes of an answer that are read; vendors' answers are a few KB.
pub const BODY_LIMIT: usize = 1024 * 1024;
/// How often a request that the server surely did not look at is repeated here.
const REPEATS: u8 = 2;
/// A connection with nothing to do is closed after this time: middleboxes forget idle ones sooner or later.
const IDLE: Duration = Duration::from_secs(600);
/// A connection with open requests and nothing heard for so long is asked whether it lives, or earlier where time is short.
const PING_AFTER: Duration = Duration::from_secs(10);
/// Bytes of the words in a GOAWAY.
const FAREWELL: usize = 200;

/// What Python hands over.
#[derive(Default)]
pub struct Inbox(Mutex<Inlet>);

#[derive(Default)]
struct Inlet {
    items: Vec<Item>,
    renew: bool,
    close: bool,
    /// The route has ended: what is put here would stay for ever.
    gone: bool,
    owner: Option<Waker>,
}

impl Inbox {
    /// Gives the items back where the route is gone.
    pub fn put(&self, items: Vec<Item>) -> Result<(), Vec<Item>> {
        self.tell(|inlet| {
            if inlet.gone {
                return Err(items);
            }
            if inlet.items.is_empty() {
                inlet.items = items;
            } else {
                inlet.items.extend(items);
            }
            Ok(())
        })
    }

    /// New requests go on new connections.
    pub fn renew(&self) {
        self.tell(|inlet| inlet.renew = true);
    }

    /// Abandon everything and end.
    pub fn close(&self) {
        self.tell(|inlet| inlet.close = true);
    }

    fn tell<T>(&self, what: impl FnOnce(&mut Inlet) -> T) -> T {
        let mut inlet = self.lock();
        let told = what(&mut inlet);
        let owner = inlet.owner.take();
        drop(inlet);
        if let Some(owner) = owner {
            owner.wake();
        }
        told
    }

    fn lock(&self) -> MutexGuard<'_, Inlet> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A request on an HTTP/2 connection.
struct Exchange {
    item: Item,
    line: u32,
    phase: Phase,
}

enum Phase {
    Waiting(ResponseFuture),
    Reading {
        status: u16,
        headers: HeaderMap,
        stream: RecvStream,
        body: BytesMut,
    },
}

/// An HTTP/2 connection.
struct Line {
    number: u32,
    wire: Wire,
    /// None once it is over.
    connection: Option<Connection<Wire, Bytes>>,
    /// None once it takes no more requests.
    send: Option<SendRequest<Bytes>>,
    ping: Option<PingPong>,
    pinged: Option<Instant>,
    open: usize,
    /// When there was life in it, or when it last went from idle to busy.
    heard: Instant,
    /// Why it ends, in words.
    farewell: Option<String>,
}

type Connecting = Pin<Box<dyn Future<Output = Result<Connected, Fault>> + Send>>;

pub struct Route {
    inbox: Arc<Inbox>,
    outbox: Arc<Outbox>,
    place: Arc<Place>,
    options: Arc<Options>,
    /// Not yet sent, in the order of their deadlines.
    queue: VecDeque<Item>,
    /// To be sent again.
    again: Vec<Item>,
    lines: Vec<Line>,
    next_line: u32,
    connecting: Option<Connecting>,
    slots: Slots<Exchange>,
    woken: Vec<usize>,
    /// Of what is under way: deadline, place and turn.
    deadlines: VecDeque<(Instant, usize, u32)>,
    alarm: Pin<Box<Sleep>>,
    alarm_at: Option<Instant>,
    done: Vec<Done>,
    /// Once it is known that the place speaks HTTP/1.1, or is asked to.
    http1: Option<Arc<Pool>>,
    exchanges: JoinSet<()>,
}

impl Route {
    pub fn new(inbox: Arc<Inbox>, outbox: Arc<Outbox>, place: Arc<Place>, options: Arc<Options>) -> Self {
        outbox.route_begins();
        let http1 = (!options.http2 || !place.secure()).then(Arc::default);
        Self {
            inbox,
            outbox,
            place,
            options,
            queue: VecDeque::new(),
            again: Vec::new(),
            lines: Vec::new(),
            next_line: 0,
            connecting: None,
            slots: Slots::new(),
            woken: Vec::new(),
            deadlines: VecDeque::new(),
            alarm: Box::pin(sleep_until(Instant::now())),
            alarm_at: None,
            done: Vec::new(),
            http1,
            exchanges: JoinSet::new(),
        }
    }

    /// Takes what Python handed over. True where the lane was closed.
    fn take(&mut self, cx: &Context<'_>) -> bool {
        let mut inlet = self.inbox.lock();
        let items = std::mem::take(&mut inlet.items);
        let renew = std::mem::take(&mut inlet.renew);
        let close = inlet.close;
        inlet.owner = Some(cx.waker().clone());
        drop(inlet);
        if renew {
            self.renew();
        }
        self.queue.extend(items);
        close
    }

    fn renew(&mut self) {
        for line in &mut self.lines {
            line.send = None;
        }
        self.connecting = None;
        if self.http1.is_some() {
            self.http1 = Some(Arc::default());
        }
    }

    /// What has had its time.
    fn expire(&mut self, now: Instant) {
        while let Some(&(deadline, index, turn)) = self.deadlines.front() {
            if self.slots.has(index, turn) {
                if deadline > now {
                    break;
                }
                self.end(index, Err(Fault::NotAnswered));
            }
            self.deadlines.pop_front();
        }
        while self.queue.front().is_some_and(|item| item.deadline <= now) {
            if let Some(item) = self.queue.pop_front() {
                self.done
                    .push(Done::new(item.tag, Err(Fault::NoRoom), &self.place));
            }
        }
    }

    fn poll_connecting(&mut self, cx: &mut Context<'_>, now: Instant) {
        let Some(connecting) = &mut self.connecting else {
            return;
        };
        let Poll::Ready(end) = connecting.as_mut().poll(cx) else {
            return;
        };
        self.connecting = None;
        match end {
            Ok(Connected::Http2(made)) => {
                let Http2 {
                    wire,
                    mut connection,
                    send,
                } = *made;
                let ping = connection.ping_pong();
                self.lines.push(Line {
                    number: self.next_line,
                    wire,
                    connection: Some(connection),
                    send: Some(send),
                    ping,
                    pinged: None,
                    open: 0,
                    heard: now,
                    farewell: None,
                });
                self.next_line = self.next_line.wrapping_add(1);
            }
            Ok(Connected::Http1(stream)) => {
                self.http1 = Some(Arc::default());
                self.pump_http1(Some(stream));
            }
            Err(fault) => {
                for item in self.queue.drain(..) {
                    self.done
                        .push(Done::new(item.tag, Err(fault.clone()), &self.place));
                }
            }
        }
    }

    fn poll_woken(&mut self) {
        let mut woken = std::mem::take(&mut self.woken);
        self.slots.take_woken(&mut woken);
        for index in woken.drain(..) {
            self.poll_exchange(index);
        }
        self.woken = woken;
    }

    fn poll_exchange(&mut self, index: usize) {
        let Some((exchange, waker)) = self.slots.get(index) else {
            return;
        };
        let mut cx = Context::from_waker(waker);
        if let Poll::Ready(end) = exchange.phase.poll(&mut cx) {
            match end {
                Ok(end) => self.end(index, end),
                Err(error) => self.failed(index, &error),
            }
        }
    }

    /// The exchange in this place is over.
    fn end(&mut self, index: usize, end: Result<Answer, Fault>) {
        if let Some(exchange) = self.leave(index) {
            self.done.push(Done::new(exchange.item.tag, end, &self.place));
        }
    }

    fn leave(&mut self, index: usize) -> Option<Exchange> {
        let exchange = self.slots.take(index)?;
        if let Some(line) = self.lines.iter_mut().find(|line| line.number == exchange.line) {
            line.open -= 1;
        }
        Some(exchange)
    }

    /// HTTP/2 broke the exchange off: it is repeated where the server surely did not look at it, or ends.
    fn failed(&mut self, index: usize, error: &h2::Error) {
        let Some(mut exchange) = self.leave(index) else {
            return;
        };
        let line = self.lines.iter().find(|line| line.number == exchange.line);
        let code = error.reason();
        let goodbye = error.is_go_away() && error.is_remote();
        let refused = error.is_reset() && error.is_remote() && code == Some(Reason::REFUSED_STREAM);
        // Under a GOAWAY only those streams end with its error that the server names as not looked at.
        if (refused || (goodbye && code == Some(Reason::NO_ERROR))) && exchange.item.repeats < REPEATS {
            exchange.item.repeats += 1;
            self.again.push(exchange.item);
            return;
        }
        let fault = if refused {
            Fault::Refused
        } else if goodbye {
            Fault::Unsent(farewell(error))
        } else if error.is_go_away() {
            Fault::Lost(format!("HTTP/2 broke down ({})", reason(error)))
        } else if error.is_reset() && error.is_remote() {
            Fault::Lost(format!("the server reset the stream ({})", reason(error)))
        } else if let Some(words) = line.and_then(|line| line.farewell.clone()) {
            Fault::Lost(words)
        } else if let Some(io) = error.get_io() {
            Fault::Lost(cause(io))
        } else {
            Fault::Lost(format!("the answer breaks HTTP/2's rules ({})", reason(error)))
        };
        self.done
            .push(Done::new(exchange.item.tag, Err(fault), &self.place));
    }

    /// Starts what has room. True where something was started.
    fn pump(&mut self, cx: &mut Context<'_>) -> bool {
        while let Some(item) = self.again.pop() {
            self.queue.push_front(item);
        }
        if self.http1.is_some() {
            self.pump_http1(None);
            return false;
        }
        let mut started = false;
        while !self.queue.is_empty() {
            let Some(line) = self.lines.iter_mut().rfind(|line| line.send.is_some()) else {
                if self.connecting.is_none() {
                    let making = connect(self.place.clone(), self.options.clone(), false);
                    self.connecting = Some(Box::pin(making));
                    return true; // it wants its first poll
                }
                break;
            };
            let Some(send) = &mut line.send else { break };
            if line.open >= send.current_max_send_streams() {
                break;
            }
            match send.poll_ready(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    line.leave(&error);
                    continue;
                }
            }
            let Some(item) = self.queue.pop_front() else { break };
            let bare = item.body.is_empty();
            match send.send_request(item.head(&self.place), bare) {
                Ok((answer, mut stream)) => {
                    if !bare {
                        // The library holds what the windows do not allow yet; a fault here shows in the answer too.
                        let _ = stream.send_data(item.body.clone(), true);
                    }
                    if line.open == 0 {
                        line.heard = Instant::now();
                        line.pinged = None;
                    }
                    line.open += 1;
                    let exchange = Exchange {
                        line: line.number,
                        phase: Phase::Waiting(answer),
                        item,
                    };
                    self.under_way(exchange);
                    started = true;
                }
                Err(error) if error.is_io() || error.is_go_away() => {
                    line.leave(&error);
                    self.queue.push_front(item);
                }
                Err(error) => {
                    let fault = Fault::Unbuildable(format!("HTTP/2 does not take it ({})", reason(&error)));
                    self.done.push(Done::new(item.tag, Err(fault), &self.place));
                }
            }
        }
        started
    }

    fn under_way(&mut self, exchange: Exchange) {
        let deadline = exchange.item.deadline;
        let (index, turn) = self.slots.put(exchange);
        let mut at = self.deadlines.len();
        while at > 0 && self.deadlines[at - 1].0 > deadline {
            at -= 1; // it was sent before, earlier than its neighbours
        }
        self.deadlines.insert(at, (deadline, index, turn));
        self.poll_exchange(index);
    }

    fn pump_http1(&mut self, mut first: Option<Box<dyn Duplex>>) {
        let Some(pool) = &self.http1 else { return };
        for item in self.queue.drain(..) {
            self.exchanges.spawn(exchange(
                item,
                self.place.clone(),
                self.options.clone(),
                pool.clone(),
                self.outbox.clone(),
                first.take(),
            ));
        }
    }

    /// Ask connections that fell silent whether they live, and leave those that do not.
    fn check_lines(&mut self, cx: &mut Context<'_>, now: Instant) {
        let (after, wait) = (self.ping_after(), self.options.timeout / 4);
        for line in &mut self.lines {
            if line.connection.is_none() {
                continue;
            }
            if line.open == 0 {
                if now >= line.heard + IDLE {
                    line.send = None;
                }
                continue;
            }
            match line.pinged {
                Some(pinged) if now >= pinged + wait => {
                    line.give_up("the connection is dead (no answer to a PING)")
                }
                None if now >= line.heard + after => line.ask(cx, now),
                _ => {}
            }
        }
    }

    fn ping_after(&self) -> Duration {
        PING_AFTER.min(self.options.timeout / 4)
    }

    /// When this task must be woken if nothing happens.
    fn next_alarm(&self) -> Option<Instant> {
        let (after, wait) = (self.ping_after(), self.options.timeout / 4);
        let lines = self
            .lines
            .iter()
            .filter(|line| line.connection.is_some())
            .filter_map(|line| match (line.open, line.pinged) {
                (0, _) => line.send.as_ref().map(|_| line.heard + IDLE),
                (_, Some(pinged)) => Some(pinged + wait),
                (_, None) => Some(line.heard + after),
            });
        let waiting = self.queue.front().map(|item| item.deadline);
        let under_way = self.deadlines.front().map(|&(deadline, ..)| deadline);
        lines.chain(waiting).chain(under_way).min()
    }

    /// Sets the alarm earlier where it must be. It may ring too early, which costs a look around.
    fn set_alarm(&mut self, cx: &mut Context<'_>) {
        let Some(next) = self.next_alarm() else { return };
        if self.alarm_at.is_none_or(|at| next < at) {
            self.alarm.as_mut().reset(next);
            self.alarm_at = Some(next);
        }
        // Each time: where this task has had its share of the thread, the timer is not heard of until the next poll.
        if self.alarm.as_mut().poll(cx).is_ready() {
            self.alarm_at = None;
            cx.waker().wake_by_ref();
        }
    }

    /// Everything that is left ends; nothing is repeated.
    fn abandon(&mut self) {
        self.exchanges.abort_all();
        for exchange in self.slots.take_all() {
            self.done
                .push(Done::new(exchange.item.tag, Err(Fault::Abandoned), &self.place));
        }
        let unread = std::mem::take(&mut self.inbox.lock().items);
        for item in self.again.drain(..).chain(self.queue.drain(..)).chain(unread) {
            self.done
                .push(Done::new(item.tag, Err(Fault::Closed), &self.place));
        }
        self.outbox.put(&mut self.done);
    }

    /// One attempt to say goodbye.
    fn hang_up(&mut self, cx: &mut Context<'_>) {
        for line in &mut self.lines {
            line.send = None;
            if let Some(connection) = &mut line.connection {
                let _ = Pin::new(connection).poll(cx);
                let _ = line.wire.send(cx);
            }
        }
    }
}

impl Future for Route {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.slots.awake(cx.waker());
        if this.take(cx) {
            this.abandon();
            this.hang_up(cx);
            return Poll::Ready(());
        }
        let now = Instant::now();
        if this.alarm_at.is_some_and(|at| at <= now) {
            this.alarm_at = None;
        }
        this.expire(now);
        this.check_lines(cx, now);
        while let Poll::Ready(Some(_)) = this.exchanges.poll_join_next(cx) {}
        loop {
            this.poll_connecting(cx, now);
            for line in &mut this.lines {
                line.poll(cx, now);
            }
            this.poll_woken();
            this.lines
                .retain(|line| line.connection.is_some() || line.open > 0);
            if !this.pump(cx) {
                break;
            }
        }
        for line in &mut this.lines {
            line.write(cx);
        }
        this.outbox.put(&mut this.done);
        this.set_alarm(cx);
        if !this.slots.sleep() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Drop for Route {
    /// Also after a defect: nothing that was taken stays without an end.
    fn drop(&mut self) {
        self.inbox.lock().gone = true;
        self.abandon();
        self.outbox.route_ends();
    }
}

impl Phase {
    /// Ready with the answer, or with what broke the exchange off.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Answer, Fault>, h2::Error>> {
        loop {
            match self {
                Self::Waiting(answer) => match Pin::new(answer).poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Ready(Ok(answer)) => {
                        let (parts, stream) = answer.into_parts();
                        let (status, headers) = (parts.status.as_u16(), parts.headers);
                        if stream.is_end_stream() {
                            return Poll::Ready(Ok(Ok(Answer {
                                status,
                                headers,
                                body: Bytes::new(),
                            })));
                        }
                        *self = Self::Reading {
                            status,
                            headers,
                            stream,
                            body: BytesMut::new(),
                        };
                    }
                },
                Self::Reading {
                    status,
                    headers,
                    stream,
                    body,
                } => match stream.poll_data(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                    Poll::Ready(Some(Ok(data))) => {
                        let _ = stream.flow_control().release_capacity(data.len());
                        if body.len() + data.len() > BODY_LIMIT {
                            return Poll::Ready(Ok(Err(Fault::TooLarge)));
                        }
                        body.extend_from_slice(&data);
                    }
                    Poll::Ready(None) => {
                        let answer = Answer {
                            status: *status,
                            headers: std::mem::take(headers),
                            body: std::mem::take(body).freeze(),
                        };
                        return Poll::Ready(Ok(Ok(answer)));
                    }
                },
            }
        }
    }
}

impl Line {
    fn poll(&mut self, cx: &mut Context<'_>, now: Instant) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let end = Pin::new(connection).poll(cx);
        if self.wire.heard() {
            self.heard = now;
            self.pinged = None;
        }
        if let Some(send) = &mut self.send {
            if let Poll::Ready(Err(error)) = send.poll_ready(cx) {
                self.leave(&error);
            }
        }
        if let Poll::Ready(end) = end {
            if let Err(error) = end {
                self.leave(&error);
            }
            self.over();
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) {
        if self.connection.is_none() {
            return;
        }
        if let Poll::Ready(Err(error)) = self.wire.send(cx) {
            self.give_up(&cause(&error));
            cx.waker().wake_by_ref();
        }
    }

    /// It takes no more requests; those it has go on.
    fn leave(&mut self, error: &h2::Error) {
        self.send = None;
        if self.farewell.is_none() && error.is_go_away() && error.is_remote() {
            self.farewell = Some(farewell(error));
        }
    }

    fn give_up(&mut self, why: &str) {
        self.farewell.get_or_insert_with(|| why.to_owned());
        self.over();
    }

    /// Dropping the connection ends what is open on it with an error.
    fn over(&mut self) {
        self.connection = None;
        self.send = None;
        self.ping = None;
    }

    fn ask(&mut self, cx: &mut Context<'_>, now: Instant) {
        if let Some(ping) = &mut self.ping {
            let _ = ping.poll_pong(cx); // the answer to the last one, where there was one
            let _ = ping.send_ping(Ping::opaque());
        }
        self.pinged = Some(now);
    }
}

/// What the server said at its goodbye; Apple's words are a JSON object with a reason.
fn farewell(error: &h2::Error) -> String {
    let mut words = format!("the server said goodbye (GOAWAY, {})", reason(error));
    let shown = error.to_string();
    // The library shows the data behind its description of the code, quoted.
    if let Some(at) = shown.find(" (b\"") {
        let said: String = shown[at + 4..].chars().take(FAREWELL).collect();
        words += &format!(": {}", said.trim_end_matches("\")").replace("\\\"", "\""));
    }
    words
}
