//! An answer's headers as a mapping of Python that makes no string before it is asked for one.

use http::{HeaderMap, HeaderValue};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Names are lower case; the values of a name that came several times are joined with a comma.
#[pyclass(frozen, mapping, module = "pushgw_native")]
pub struct Headers(pub HeaderMap);

impl Headers {
    fn joined(&self, name: &str) -> Option<String> {
        let mut values = self.0.get_all(name).iter();
        let mut joined = text(values.next()?);
        for value in values {
            joined.push_str(", ");
            joined.push_str(&text(value));
        }
        Some(joined)
    }

    fn pairs(&self) -> Vec<(String, String)> {
        self.0
            .keys()
            .map(|name| (name.to_string(), self.joined(name.as_str()).unwrap_or_default()))
            .collect()
    }
}

#[pymethods]
impl Headers {
    #[pyo3(signature = (name, default=None))]
    fn get(&self, py: Python<'_>, name: &str, default: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        match self.joined(name) {
            Some(value) => Ok(value.into_pyobject(py)?.into_any().unbind()),
            None => Ok(default.unwrap_or_else(|| py.None())),
        }
    }

    fn __getitem__(&self, name: &str) -> PyResult<String> {
        self.joined(name)
            .ok_or_else(|| PyKeyError::new_err(name.to_owned()))
    }

    fn __contains__(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn __len__(&self) -> usize {
        self.0.keys_len()
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.keys().into_pyobject(py)?.try_iter()?.into_any().unbind())
    }

    fn keys(&self) -> Vec<String> {
        self.0.keys().map(ToString::to_string).collect()
    }

    fn values(&self) -> Vec<String> {
        self.pairs().into_iter().map(|(_, value)| value).collect()
    }

    fn items(&self) -> Vec<(String, String)> {
        self.pairs()
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let ours = PyDict::new(py);
        for (name, value) in self.pairs() {
            ours.set_item(name, value)?;
        }
        let theirs = PyDict::new(py);
        match theirs.update(other.cast()?) {
            Ok(()) => ours.eq(theirs),
            Err(_) => Ok(false),
        }
    }
}

/// Octets beyond ASCII are read as Latin-1, as HTTP has it.
fn text(value: &HeaderValue) -> String {
    match value.to_str() {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().map(|&byte| char::from(byte)).collect(),
    }
}
