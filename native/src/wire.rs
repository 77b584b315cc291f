//! A TLS connection that gathers what is written: the frames of a batch leave as few records in few system calls.

use std::io::Result;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{ready, Context, Poll};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// TLS over TCP that is read in large pieces.
pub type Stream = TlsStream<BufReader<TcpStream>>;

/// Bytes of plain text read at once; TLS has no more in a record.
const READ: usize = 16 * 1024;
/// More than this is not gathered; the HTTP/2 library waits then.
const MOST: usize = 256 * 1024;

/// What the HTTP/2 library reads and writes, shared with the route that decides when the writing is done.
#[derive(Clone)]
pub struct Wire(Arc<Mutex<Inner>>);

struct Inner {
    stream: Stream,
    out: BytesMut,
    raw: Box<[u8]>,
    sieve: Sieve,
    sifted: BytesMut,
    heard: bool,
    gather: bool,
}

impl Wire {
    pub fn new(stream: Stream) -> Self {
        let out = BytesMut::with_capacity(64 * 1024);
        Self(Arc::new(Mutex::new(Inner {
            stream,
            out,
            raw: vec![0; READ].into(),
            sieve: Sieve::default(),
            sifted: BytesMut::with_capacity(READ),
            heard: false,
            gather: false,
        })))
    }

    /// From now on the library's flushes do nothing and `send` is what writes.
    pub fn gather(&self) {
        self.lock().gather = true;
    }

    /// Whether anything was read since the last call.
    pub fn heard(&self) -> bool {
        std::mem::take(&mut self.lock().heard)
    }

    /// Write out what has gathered.
    pub fn send(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.lock().send(cx)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Inner {
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(written);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let inner = &mut *self.lock();
        while inner.sifted.is_empty() {
            let mut raw = ReadBuf::new(&mut inner.raw);
            ready!(Pin::new(&mut inner.stream).poll_read(cx, &mut raw))?;
            if raw.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            inner.heard = true;
            inner.sieve.pass(raw.filled(), &mut inner.sifted);
        }
        let length = inner.sifted.len().min(buffer.remaining());
        buffer.put_slice(&inner.sifted[..length]);
        inner.sifted.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize>> {
        let mut inner = self.lock();
        if inner.out.len() >= MOST {
            ready!(inner.send(cx))?;
        }
        inner.out.extend_from_slice(data);
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut inner = self.lock();
        if inner.gather {
            return Poll::Ready(Ok(()));
        }
        inner.send(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut inner = self.lock();
        ready!(inner.send(cx))?;
        Pin::new(&mut inner.stream).poll_shutdown(cx)
    }
}

/// Takes empty DATA frames out that end nothing. They are harmless, vendors send them, and the HTTP/2 library hangs up at the
/// hundred and first of a connection, however long it has lasted.
#[derive(Default)]
struct Sieve {
    /// Bytes of the present frame that are still to come.
    left: usize,
    head: [u8; 9],
    /// Bytes of the next frame's head that have come.
    have: usize,
}

const DATA: u8 = 0;
const END_STREAM: u8 = 1;

impl Sieve {
    fn pass(&mut self, mut data: &[u8], out: &mut BytesMut) {
        while !data.is_empty() {
            if self.left > 0 {
                let (of_this, rest) = data.split_at(self.left.min(data.len()));
                out.extend_from_slice(of_this);
                self.left -= of_this.len();
                data = rest;
                continue;
            }
            let (of_head, rest) = data.split_at((self.head.len() - self.have).min(data.len()));
            self.head[self.have..self.have + of_head.len()].copy_from_slice(of_head);
            self.have += of_head.len();
            data = rest;
            if self.have < self.head.len() {
                return;
            }
            self.have = 0;
            let [a, b, c, kind, flags, ..] = self.head;
            self.left = u32::from_be_bytes([0, a, b, c]) as usize;
            if self.left > 0 || kind != DATA || flags & END_STREAM != 0 {
                out.extend_from_slice(&self.head);
            }
        }
    }
}
