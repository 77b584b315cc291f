//! pushgw's native transport: lists of requests in, lists of completions out.
//!
//! Python calls `submit` with a whole batch; one background thread carries it over HTTP/2; a file descriptor becomes readable
//! when answers have come, and `drain` returns all of them. No future and no callback for a single request, and the thread
//! never takes the GIL.

mod bell;
mod connect;
mod fault;
mod headers;
mod http1;
mod item;
mod outbox;
mod place;
mod route;
mod runtime;
mod slots;
mod tls;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use tokio::time::Instant;

use crate::connect::Options;
use crate::headers::Headers;
use crate::item::{split, Batch, Copier};
use crate::outbox::{Answer, End, Outbox};
use crate::place::{Place, Proxy};
use crate::route::{Inbox, Route};

/// What the Python side of this version asks for. Raised where the two must change together.
const SEAM: u32 = 1;

/// One lane's way out.
#[pyclass(module = "pushgw_native")]
struct Lane {
    options: Arc<Options>,
    outbox: Arc<Outbox>,
    proxy_for: Py<PyAny>,
    copier: Copier,
    routes: Vec<Known>,
    closed: bool,
}

/// A place that this lane has sent to.
struct Known {
    /// `https://host:port` as it stands in the URLs.
    origin: String,
    place: Arc<Place>,
    inbox: Arc<Inbox>,
}

/// A request that cannot be built: its index in the batch and why.
type Unbuildable = (usize, &'static str);
/// tag, status, headers, body
type Good<'py> = Vec<Bound<'py, PyTuple>>;

#[pymethods]
impl Lane {
    /// `timeout` in s. `proxy_for(scheme, host)` is asked once for each place and gives the proxy's URL or None.
    /// Raises ValueError with a sentence that quotes nothing where the certificates cannot be used.
    #[new]
    #[pyo3(signature = (*, timeout, http2, ca_pem, identity_pem, proxy_for))]
    fn new(
        timeout: f64,
        http2: bool,
        ca_pem: Option<&[u8]>,
        identity_pem: Option<&[u8]>,
        proxy_for: Py<PyAny>,
    ) -> PyResult<Self> {
        let timeout = Duration::try_from_secs_f64(timeout).map_err(|_| PyValueError::new_err("timeout"))?;
        let tls = tls::tls(ca_pem, identity_pem).map_err(PyValueError::new_err)?;
        Ok(Self {
            options: Arc::new(Options { timeout, http2, tls }),
            outbox: Arc::new(Outbox::new()?),
            proxy_for,
            copier: Copier::default(),
            routes: Vec::new(),
            closed: false,
        })
    }

    /// The descriptor that is readable while there is something to drain.
    fn fileno(&self) -> i32 {
        self.outbox.fileno()
    }

    /// Take these (tag, request) pairs. Returns (index, cause) of those that cannot be built; all others come out of `drain`.
    fn submit(&mut self, requests: &Bound<'_, PyAny>) -> PyResult<Vec<Unbuildable>> {
        if self.closed {
            return Err(PyValueError::new_err("the lane is closed"));
        }
        let py = requests.py();
        let list = match requests.cast::<PyList>() {
            Ok(list) => list.clone(),
            Err(_) => PyList::new(py, requests.try_iter()?.collect::<PyResult<Vec<_>>>()?)?,
        };
        let deadline = Instant::now() + self.options.timeout;
        let mut unbuildable = Vec::new();
        let mut batch = self.copier.batch(list.len());
        let mut route = usize::MAX;
        for (index, pair) in list.iter().enumerate() {
            let pair = pair.cast_into::<PyTuple>()?;
            let tag = pair.get_item(0)?.unbind();
            let request = pair.get_borrowed_item(1)?;
            let url = request.getattr(intern!(py, "url"))?;
            let Some(url) = url.cast::<PyString>().ok().and_then(|url| url.to_str().ok()) else {
                unbuildable.push((index, "malformed URL"));
                continue;
            };
            let Some(target) = split(url) else {
                unbuildable.push((index, "malformed URL"));
                continue;
            };
            if self
                .routes
                .get(route)
                .is_none_or(|known| known.origin != target.origin)
            {
                let found = match self.route(py, target.origin)? {
                    Ok(found) => found,
                    Err(cause) => {
                        unbuildable.push((index, cause));
                        continue;
                    }
                };
                if route != usize::MAX && !batch.is_empty() {
                    let full = std::mem::replace(&mut batch, self.copier.batch(list.len() - index));
                    self.hand_over(route, full, deadline, &mut unbuildable)?;
                }
                route = found;
            }
            let copied = self.copier.copy(&mut batch, index, tag, &request, target.path);
            if let Err(cause) = copied.unwrap_or(Err("a field of the wrong type")) {
                unbuildable.push((index, cause));
            }
        }
        if !batch.is_empty() {
            self.hand_over(route, batch, deadline, &mut unbuildable)?;
        }
        Ok(unbuildable)
    }

    /// What has come: (tag, status, headers, body) of the answers, and (tag, kind, detail, host) of what has none.
    fn drain<'py>(&mut self, py: Python<'py>) -> PyResult<(Good<'py>, Vec<Bound<'py, PyTuple>>)> {
        let done = self.outbox.drain();
        let mut good = Vec::with_capacity(done.len());
        let mut bad = Vec::new();
        for done in done {
            match done.end {
                End::Answered(Answer {
                    status,
                    headers,
                    body,
                }) => {
                    good.push(
                        (done.tag, status, Headers(headers), PyBytes::new(py, &body)).into_pyobject(py)?,
                    );
                }
                End::Failed(fault, place) => {
                    let told = (done.tag, fault.kind(), fault.detail(), place.label.as_str());
                    bad.push(told.into_pyobject(py)?);
                }
            }
        }
        Ok((good, bad))
    }

    /// New requests go on new connections; what is open ends where it is.
    fn renew(&self) {
        for known in &self.routes {
            known.inbox.renew();
        }
    }

    /// Abandon what is open. `finished` tells when all of it has come out of `drain` and the tasks are gone.
    fn close(&mut self) {
        self.closed = true;
        for known in self.routes.drain(..) {
            known.inbox.close();
        }
    }

    fn finished(&self) -> bool {
        self.outbox.finished()
    }
}

impl Lane {
    fn route(&mut self, py: Python<'_>, origin: &str) -> PyResult<Result<usize, &'static str>> {
        if let Some(found) = self.routes.iter().position(|known| known.origin == origin) {
            return Ok(Ok(found));
        }
        let mut place = match Place::parse(origin) {
            Ok(place) => place,
            Err(cause) => return Ok(Err(cause)),
        };
        let proxy = self
            .proxy_for
            .call1(py, (place.scheme.as_str(), place.host.as_str()))?;
        if let Some(text) = proxy.extract::<Option<String>>(py)? {
            match Proxy::parse(&text) {
                Some(proxy) => place.proxy = Some(proxy),
                None => return Ok(Err("the proxy of the system speaks no HTTP")),
            }
        }
        let place = Arc::new(place);
        let inbox = self.begin(&place)?;
        self.routes.push(Known {
            origin: origin.to_owned(),
            place,
            inbox,
        });
        Ok(Ok(self.routes.len() - 1))
    }

    fn begin(&self, place: &Arc<Place>) -> PyResult<Arc<Inbox>> {
        let runtime = runtime::handle().map_err(|error| PyOSError::new_err(error.to_string()))?;
        let _entered = runtime.enter(); // a route has a timer
        let inbox = Arc::<Inbox>::default();
        let (outbox, options) = (self.outbox.clone(), self.options.clone());
        runtime.spawn(Route::new(inbox.clone(), outbox, place.clone(), options));
        Ok(inbox)
    }

    fn hand_over(
        &mut self,
        route: usize,
        batch: Batch,
        deadline: Instant,
        unbuildable: &mut Vec<Unbuildable>,
    ) -> PyResult<()> {
        self.copier.done(&batch);
        let items = batch.items(deadline, unbuildable);
        self.outbox.owe(items.len());
        if let Err(items) = self.routes[route].inbox.put(items) {
            self.routes[route].inbox = self.begin(&self.routes[route].place)?;
            let _ = self.routes[route].inbox.put(items);
        }
        Ok(())
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.close();
    }
}

#[pymodule(gil_used = true)]
fn pushgw_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("SEAM", SEAM)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<Lane>()?;
    module.add_class::<Headers>()?;
    let mapping = module.py().import("collections.abc")?.getattr("Mapping")?;
    mapping.call_method1("register", (module.getattr("Headers")?,))?;
    Ok(())
}
