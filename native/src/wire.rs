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

/// More than this is not gathered; the HTTP/2 library waits then.
const MOST: usize = 256 * 1024;

/// What the HTTP/2 library reads and writes, shared with the route that decides when the writing is done.
#[derive(Clone)]
pub struct Wire(Arc<Mutex<Inner>>);

struct Inner {
    stream: Stream,
    out: BytesMut,
    heard: bool,
    gather: bool,
}

impl Wire {
    pub fn new(stream: Stream) -> Self {
        let out = BytesMut::with_capacity(64 * 1024);
        Self(Arc::new(Mutex::new(Inner {
            stream,
            out,
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
        let mut inner = self.lock();
        let before = buffer.filled().len();
        let read = Pin::new(&mut inner.stream).poll_read(cx, buffer);
        inner.heard |= buffer.filled().len() > before;
        read
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
