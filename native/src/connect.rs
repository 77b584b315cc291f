//! From a name to a connection that is ready for requests.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{lookup_host, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::fault::Fault;
use crate::place::{Place, Proxy};
use crate::tls::Tls;
use crate::wire::{Stream, Wire};

/// What a lane was made with.
pub struct Options {
    pub timeout: Duration,
    pub http2: bool,
    pub tls: Tls,
}

/// An HTTP/2 connection whose first SETTINGS have come.
pub struct Http2 {
    pub wire: Wire,
    pub connection: Connection<Wire, Bytes>,
    pub send: SendRequest<Bytes>,
}

pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub enum Connected {
    Http2(Box<Http2>),
    Http1(Box<dyn Duplex>),
}

/// Bytes read from the network at once.
const READ: usize = 32 * 1024;
/// The limit of streams until the server has named its own: no request leaves before.
const UNKNOWN: usize = usize::MAX - 1;
/// A second address is tried beside the first after this time.
const STAGGER: Duration = Duration::from_millis(250);
const WINDOW: u32 = 1 << 21;
/// Requests given up on whose late answers are still known for what they are.
const FORGOTTEN: usize = 1024;
/// Bytes of a proxy's answer.
const PROXY_ANSWER: usize = 8 * 1024;

/// A connection to the place within half of the lane's time; `http1`: never HTTP/2.
pub async fn connect(place: Arc<Place>, options: Arc<Options>, http1: bool) -> Result<Connected, Fault> {
    timeout(options.timeout / 2, open(&place, &options, http1))
        .await
        .unwrap_or(Err(Fault::NotConnected))
}

async fn open(place: &Place, options: &Options, http1: bool) -> Result<Connected, Fault> {
    let tcp = match &place.proxy {
        None => tcp(&place.host, place.port).await?,
        Some(proxy) => {
            let tcp = tcp(&proxy.host, proxy.port).await.map_err(|_| no_way())?;
            if place.secure() {
                tunnel(tcp, place, proxy).await?
            } else {
                tcp
            }
        }
    };
    if !place.secure() {
        return Ok(Connected::Http1(Box::new(tcp)));
    }
    let config = if http1 {
        &options.tls.http1
    } else {
        &options.tls.any
    };
    let name = ServerName::try_from(place.host.clone())
        .map_err(|_| Fault::Unbuildable("the host has no name that TLS knows".into()))?;
    let stream = TlsConnector::from(config.clone())
        .connect(name, BufReader::with_capacity(READ, tcp))
        .await
        .map_err(|error| Fault::connecting(&error))?;
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        return Ok(Connected::Http2(Box::new(http2(stream).await?)));
    }
    Ok(Connected::Http1(Box::new(stream)))
}

/// Shakes hands and waits for the server's SETTINGS: its limit holds for the first request too, and a server that takes our
/// certificate badly says so before anything was sent.
async fn http2(stream: Stream) -> Result<Http2, Fault> {
    let wire = Wire::new(stream);
    let (send, mut connection) = Builder::new()
        .enable_push(false)
        .initial_max_send_streams(UNKNOWN)
        .initial_connection_window_size(WINDOW)
        // Answers that come after their request was given up are no reason to hang up.
        .max_concurrent_reset_streams(FORGOTTEN)
        .max_local_error_reset_streams(None)
        .handshake::<_, Bytes>(wire.clone())
        .await
        .map_err(|error| broken(&error))?;
    poll_fn(|cx| {
        use std::future::Future;
        if let Poll::Ready(end) = std::pin::Pin::new(&mut connection).poll(cx) {
            return Poll::Ready(Err(match end {
                Ok(()) => Fault::Unsent("the server closed the connection".into()),
                Err(error) => broken(&error),
            }));
        }
        if send.current_max_send_streams() == UNKNOWN {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    })
    .await?;
    wire.gather();
    Ok(Http2 {
        wire,
        connection,
        send,
    })
}

fn broken(error: &h2::Error) -> Fault {
    match error.get_io() {
        Some(io) => Fault::connecting(io),
        None => Fault::Unsent(format!("HTTP/2 broke down ({})", reason(error))),
    }
}

/// HTTP/2's word for what went wrong.
pub fn reason(error: &h2::Error) -> String {
    error
        .reason()
        .map_or_else(|| "no reason".into(), |reason| format!("{reason:?}"))
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream, Fault> {
    let unresolved = || Fault::Unsent("the name does not resolve".into());
    let found: Vec<SocketAddr> = match host.parse() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => lookup_host((host, port))
            .await
            .map_err(|_| unresolved())?
            .collect(),
    };
    let mut addresses = alternating(found).into_iter();
    let mut attempts = JoinSet::new();
    let mut last = None;
    loop {
        if let Some(address) = addresses.next() {
            attempts.spawn(TcpStream::connect(address));
        } else if attempts.is_empty() {
            return Err(last.as_ref().map_or_else(unresolved, Fault::connecting));
        }
        let ended = if addresses.len() == 0 {
            attempts.join_next().await
        } else {
            timeout_none(attempts.join_next()).await
        };
        match ended {
            Some(Ok(Ok(stream))) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Some(Ok(Err(error))) => last = Some(error),
            Some(Err(_)) | None => {}
        }
    }
}

async fn timeout_none<T>(future: impl std::future::Future<Output = Option<T>>) -> Option<T> {
    tokio::select! {
        ended = future => ended,
        () = sleep(STAGGER) => None,
    }
}

/// IPv6 and IPv4 in turn, as they were found.
fn alternating(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (same, other): (Vec<_>, Vec<_>) = found.into_iter().partition(|a| a.is_ipv6() == first_is_v6);
    let mut mixed = Vec::with_capacity(same.len() + other.len());
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    loop {
        let pair = (same.next(), other.next());
        if pair == (None, None) {
            return mixed;
        }
        mixed.extend(pair.0);
        mixed.extend(pair.1);
    }
}

fn no_way() -> Fault {
    Fault::Unsent("the proxy makes no connection".into())
}

async fn tunnel(mut tcp: TcpStream, place: &Place, proxy: &Proxy) -> Result<TcpStream, Fault> {
    let host = if place.host.contains(':') {
        format!("[{}]", place.host)
    } else {
        place.host.clone()
    };
    let target = format!("{host}:{}", place.port);
    let mut asking = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n");
    if let Some(login) = &proxy.login {
        asking += &format!("proxy-authorization: {}\r\n", basic(login));
    }
    asking += "\r\n";
    let answer = async {
        tcp.write_all(asking.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() == PROXY_ANSWER {
                return Err(io::ErrorKind::InvalidData.into());
            }
            answer.push(tcp.read_u8().await?);
        }
        Ok::<_, io::Error>(answer)
    }
    .await
    .map_err(|_| no_way())?;
    if answer.starts_with(b"HTTP/1.1 2") || answer.starts_with(b"HTTP/1.0 2") {
        Ok(tcp)
    } else {
        Err(no_way())
    }
}

/// The value of `proxy-authorization`.
pub fn basic(login: &str) -> String {
    format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode(login)
    )
}
