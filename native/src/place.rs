//! Where requests go: scheme, host and port, and the proxy in between.

use http::uri::{Authority, Scheme};
use http::Uri;

/// One origin of a lane.
#[derive(Clone, Debug)]
pub struct Place {
    pub scheme: Scheme,
    pub authority: Authority,
    /// Without brackets.
    pub host: String,
    pub port: u16,
    /// Host, and port where the URL has one: the only part of it fit for a sentence.
    pub label: String,
    pub proxy: Option<Proxy>,
}

/// A proxy that speaks HTTP.
#[derive(Clone, Debug)]
pub struct Proxy {
    pub host: String,
    pub port: u16,
    /// `user:password`, percent-decoded.
    pub login: Option<String>,
}

impl Place {
    /// Of `https://host:port`. The error is a cause.
    pub fn parse(origin: &str) -> Result<Self, &'static str> {
        let uri: Uri = origin.parse().map_err(|_| "malformed URL")?;
        let scheme = uri.scheme().ok_or("malformed URL")?.clone();
        let authority = uri.authority().ok_or("malformed URL")?.clone();
        if authority.as_str().contains('@') {
            return Err("a URL with a login in it");
        }
        let port = match (authority.port_u16(), scheme.as_str()) {
            (Some(port), "http" | "https") => port,
            (None, "https") => 443,
            (None, "http") => 80,
            _ => return Err("neither https nor http"),
        };
        let host = bare(authority.host());
        if host.is_empty() {
            return Err("malformed URL");
        }
        let label = match authority.port_u16() {
            Some(port) => format!("{host}:{port}"),
            None => host.clone(),
        };
        Ok(Self {
            scheme,
            authority,
            host,
            port,
            label,
            proxy: None,
        })
    }

    pub fn secure(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }
}

impl Proxy {
    /// Of `http://user:password@host:port`; the scheme may be missing. None where it is no proxy that speaks HTTP.
    pub fn parse(text: &str) -> Option<Self> {
        let text = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let uri: Uri = text.parse().ok()?;
        if uri.scheme_str() != Some("http") {
            return None;
        }
        let authority = uri.authority()?;
        let login = authority
            .as_str()
            .rsplit_once('@')
            .map(|(login, _)| decoded(login));
        Some(Self {
            host: bare(authority.host()),
            port: authority.port_u16().unwrap_or(80),
            login,
        })
    }
}

fn bare(host: &str) -> String {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .to_ascii_lowercase()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = (byte == b'%' && after.len() >= 2)
            .then(|| {
                std::str::from_utf8(&after[..2])
                    .ok()
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            })
            .flatten();
        rest = if code.is_some() { &after[2..] } else { after };
        bytes.push(code.unwrap_or(byte));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
