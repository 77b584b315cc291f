//! Why no answer came: kinds that Python turns into sentences.

use std::io;

use tokio_rustls::rustls;

/// `detail` never holds a URL, a header or a body.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// No connection within half the time.
    NotConnected,
    /// No complete answer within the time; the vendor may have taken it.
    NotAnswered,
    /// The connection had no room within the time; it never left.
    NoRoom,
    TooLarge,
    /// REFUSED_STREAM.
    Refused,
    /// TLS, and no repeat mends it.
    Untrusted(String),
    /// The request is malformed.
    Unbuildable(String),
    /// Closed with the request under way.
    Abandoned,
    /// Closed before it could leave.
    Closed,
    /// It surely never left.
    Unsent(String),
    /// It may have been taken.
    Lost(String),
}

impl Fault {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::NotAnswered => "not_answered",
            Self::NoRoom => "no_room",
            Self::TooLarge => "too_large",
            Self::Refused => "refused",
            Self::Untrusted(_) => "untrusted",
            Self::Unbuildable(_) => "unbuildable",
            Self::Abandoned => "abandoned",
            Self::Closed => "closed",
            Self::Unsent(_) => "unsent",
            Self::Lost(_) => "lost",
        }
    }

    pub fn detail(&self) -> &str {
        match self {
            Self::Untrusted(text) | Self::Unbuildable(text) | Self::Unsent(text) | Self::Lost(text) => text,
            _ => "",
        }
    }

    /// An error before anything was sent.
    pub fn connecting(error: &io::Error) -> Self {
        untrusted(error).unwrap_or_else(|| Self::Unsent(cause(error)))
    }
}

/// What TLS has against the server, or the server against us, where that is for good.
fn untrusted(error: &io::Error) -> Option<Fault> {
    let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    match inner {
        rustls::Error::InvalidCertificate(cause) => Some(Fault::Untrusted(format!(
            "certificate verify failed ({})",
            verify(cause)
        ))),
        rustls::Error::AlertReceived(rustls::AlertDescription::InternalError) => None,
        rustls::Error::AlertReceived(alert) => Some(Fault::Untrusted(format!("alert {alert:?}"))),
        _ => None,
    }
}

/// The first word of the cause; the rest of it may quote the certificate.
fn verify(cause: &rustls::CertificateError) -> String {
    format!("{cause:?}")
        .split([' ', '(', '{'])
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// A short cause in our words.
pub fn cause(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => "connection reset".into(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected => {
            "the server closed the connection".into()
        }
        io::ErrorKind::TimedOut => "the connection is dead".into(),
        kind => {
            let tls = error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<rustls::Error>());
            match tls {
                Some(rustls::Error::AlertReceived(alert)) => format!("TLS broke down (alert {alert:?})"),
                Some(_) => "TLS broke down".into(),
                None => format!("the connection failed ({kind})"),
            }
        }
    }
}
