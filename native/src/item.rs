//! A request on its way: what was copied out of Python, and the batch it came in.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue, CONTENT_LENGTH, USER_AGENT};
use http::uri::PathAndQuery;
use http::{Method, Request, Uri};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};
use tokio::time::Instant;

use crate::outbox::Tag;
use crate::place::Place;

pub type Own = Vec<(HeaderName, HeaderValue)>;

/// One request and the time it has.
pub struct Item {
    pub tag: Tag,
    method: Method,
    path: PathAndQuery,
    shared: Arc<HeaderMap>,
    own: Own,
    pub body: Bytes,
    pub deadline: Instant,
    /// How often it was sent and surely not looked at.
    pub repeats: u8,
}

impl Item {
    /// The head as HTTP/2 takes it.
    pub fn head(&self, place: &Place) -> Request<()> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(place.scheme.clone());
        parts.authority = Some(place.authority.clone());
        parts.path_and_query = Some(self.path.clone());
        self.request(Uri::from_parts(parts).unwrap_or_default())
    }

    /// The head as HTTP/1.1 takes it: the whole URL to a proxy, else the path and the host.
    pub fn http1_head(&self, place: &Place, whole: bool) -> Request<()> {
        let mut head = if whole {
            self.head(place)
        } else {
            self.request(Uri::from(self.path.clone()))
        };
        if let Ok(host) = HeaderValue::from_str(place.authority.as_str()) {
            head.headers_mut().insert(http::header::HOST, host);
        }
        head
    }

    fn request(&self, uri: Uri) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.reserve(self.shared.len() + self.own.len() + 1);
        for (name, value) in &*self.shared {
            headers.append(name.clone(), value.clone());
        }
        for (name, value) in &self.own {
            headers.append(name.clone(), value.clone());
        }
        headers.insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        request
    }
}

/// What does not change from batch to batch is kept here, known again by the identity of the Python object.
#[derive(Default)]
pub struct Copier {
    shared: Option<(Py<PyAny>, Arc<HeaderMap>)>,
    names: Vec<(Py<PyAny>, HeaderName)>,
    hint: usize,
}

/// Names beyond these are looked up anew each time.
const NAMES: usize = 32;

/// A batch while it is copied: one buffer for all paths, values and bodies.
pub struct Batch {
    bytes: BytesMut,
    rough: Vec<Rough>,
}

/// An item before the buffer is frozen; ranges are ends, each begins where the one before it ends.
struct Rough {
    tag: Tag,
    method: Method,
    shared: Arc<HeaderMap>,
    start: usize,
    path_end: usize,
    own: Vec<(HeaderName, usize)>,
    body_end: usize,
    index: usize,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.rough.is_empty()
    }

    /// The items, and by its index each request that cannot be built.
    pub fn items(self, deadline: Instant, unbuildable: &mut Vec<(usize, &'static str)>) -> Vec<Item> {
        let bytes = self.bytes.freeze();
        let mut items = Vec::with_capacity(self.rough.len());
        for rough in self.rough {
            let index = rough.index;
            match rough.smooth(&bytes, deadline) {
                Ok(item) => items.push(item),
                Err(cause) => unbuildable.push((index, cause)),
            }
        }
        items
    }
}

impl Rough {
    fn smooth(self, bytes: &Bytes, deadline: Instant) -> Result<Item, &'static str> {
        let path = if self.path_end == self.start {
            PathAndQuery::from_static("/")
        } else {
            PathAndQuery::from_maybe_shared(bytes.slice(self.start..self.path_end))
                .map_err(|_| "malformed path")?
        };
        let mut at = self.path_end;
        let mut own = Own::with_capacity(self.own.len());
        for (name, end) in self.own {
            let mut value = HeaderValue::from_maybe_shared(bytes.slice(at..end))
                .map_err(|_| "a header's value is none")?;
            // What is said once must not push out of HPACK's table what is said always; nor is an id to be kept there.
            value.set_sensitive(true);
            own.push((name, value));
            at = end;
        }
        Ok(Item {
            tag: self.tag,
            method: self.method,
            path,
            shared: self.shared,
            own,
            body: bytes.slice(at..self.body_end),
            deadline,
            repeats: 0,
        })
    }
}

/// What one request's URL says: where it goes, and the rest of it.
pub struct Target<'a> {
    pub origin: &'a str,
    pub path: &'a str,
}

/// Splits behind the authority. None where there is none.
pub fn split(url: &str) -> Option<Target<'_>> {
    let scheme = url.find("://")?;
    let rest = &url[scheme + 3..];
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (origin, mut path) = url.split_at(scheme + 3 + end);
    if let Some(fragment) = path.find('#') {
        path = &path[..fragment];
    }
    Some(Target { origin, path })
}

impl Copier {
    pub fn batch(&self, requests: usize) -> Batch {
        Batch {
            bytes: BytesMut::with_capacity(self.hint),
            rough: Vec::with_capacity(requests),
        }
    }

    pub fn done(&mut self, batch: &Batch) {
        self.hint = self.hint.max(batch.bytes.len()).min(1 << 18);
    }

    /// Copies a request out of Python. The inner error is a cause that is no fault of the caller's program.
    pub fn copy(
        &mut self,
        batch: &mut Batch,
        index: usize,
        tag: Tag,
        request: &Bound<'_, PyAny>,
        path: &str,
    ) -> PyResult<Result<(), &'static str>> {
        let py = request.py();
        let method = request.getattr(intern!(py, "method"))?;
        let method = match method.cast::<PyString>()?.to_str()? {
            "POST" => Method::POST,
            "GET" => Method::GET,
            other => match Method::from_bytes(other.as_bytes()) {
                Ok(method) => method,
                Err(_) => return Ok(Err("malformed method")),
            },
        };
        let shared = match self.shared(&request.getattr(intern!(py, "shared"))?)? {
            Ok(shared) => shared,
            Err(cause) => return Ok(Err(cause)),
        };
        let bytes = &mut batch.bytes;
        let start = bytes.len();
        if path.starts_with('?') {
            bytes.extend_from_slice(b"/");
        }
        bytes.extend_from_slice(path.as_bytes());
        let path_end = bytes.len();
        let headers = request.getattr(intern!(py, "headers"))?;
        let headers = headers.cast::<PyTuple>()?;
        let mut own = Vec::with_capacity(headers.len());
        for pair in headers.iter_borrowed() {
            let pair = pair.cast::<PyTuple>()?;
            let name = pair.get_borrowed_item(0)?;
            let Ok(name) = self.name(&name)? else {
                bytes.truncate(start);
                return Ok(Err("a header's name is none"));
            };
            let value = pair.get_borrowed_item(1)?;
            bytes.extend_from_slice(value.cast::<PyString>()?.to_str()?.as_bytes());
            own.push((name, bytes.len()));
        }
        let body = request.getattr(intern!(py, "body"))?;
        bytes.extend_from_slice(body.cast::<PyBytes>()?.as_bytes());
        let body_end = bytes.len();
        batch.rough.push(Rough {
            tag,
            method,
            shared,
            start,
            path_end,
            own,
            body_end,
            index,
        });
        Ok(Ok(()))
    }

    fn shared(&mut self, given: &Bound<'_, PyAny>) -> PyResult<Result<Arc<HeaderMap>, &'static str>> {
        if let Some((known, prepared)) = &self.shared {
            if known.is(given) {
                return Ok(Ok(prepared.clone()));
            }
        }
        let pairs = given.cast::<PyTuple>()?;
        let mut headers = HeaderMap::with_capacity(pairs.len() + 1);
        for pair in pairs.iter_borrowed() {
            let pair = pair.cast::<PyTuple>()?;
            let name = pair.get_borrowed_item(0)?;
            let value = pair.get_item(1)?.cast_into::<PyString>()?;
            let Ok(name) = self.name(&name)? else {
                return Ok(Err("a header's name is none"));
            };
            let Ok(value) = HeaderValue::from_str(value.to_str()?) else {
                return Ok(Err("a header's value is none"));
            };
            headers.append(name, value);
        }
        headers
            .entry(USER_AGENT)
            .or_insert(HeaderValue::from_static("pushgw"));
        let prepared = Arc::new(headers);
        self.shared = Some((given.clone().unbind(), prepared.clone()));
        Ok(Ok(prepared))
    }

    fn name(&mut self, given: &Bound<'_, PyAny>) -> PyResult<Result<HeaderName, ()>> {
        if let Some((_, name)) = self.names.iter().find(|(known, _)| known.is(given)) {
            return Ok(Ok(name.clone()));
        }
        let Ok(name) = HeaderName::from_bytes(given.cast::<PyString>()?.to_str()?.as_bytes()) else {
            return Ok(Err(()));
        };
        if self.names.len() < NAMES {
            self.names.push((given.clone().unbind(), name.clone()));
        }
        Ok(Ok(name))
    }
}
