//! Whom to trust and who we are, as rustls takes it.

use std::sync::{Arc, OnceLock};

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The two ways of shaking hands.
#[derive(Clone)]
pub struct Tls {
    /// Offers HTTP/2 and HTTP/1.1.
    pub any: Arc<ClientConfig>,
    /// Offers HTTP/1.1.
    pub http1: Arc<ClientConfig>,
}

/// The system's roots with `ca` beside them; `identity` is a certificate chain with its key, both PEM.
pub fn tls(ca: Option<&[u8]>, identity: Option<&[u8]>) -> Result<Tls, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(system().iter().cloned());
    if let Some(pem) = ca {
        for root in CertificateDer::pem_slice_iter(pem) {
            let root = root.map_err(|_| "the roots to trust are no PEM certificates")?;
            roots
                .add(root)
                .map_err(|_| "a root to trust is no usable certificate")?;
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| "no version of TLS is at hand")?
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let unusable = "the client certificate and its key are not usable together";
            let chain = CertificateDer::pem_slice_iter(pem)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|_| unusable)?;
            let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| unusable)?;
            builder.with_client_auth_cert(chain, key).map_err(|_| unusable)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut http1 = config.clone();
    http1.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Tls {
        any: Arc::new(config),
        http1: Arc::new(http1),
    })
}

/// Read once for the process.
fn system() -> &'static [CertificateDer<'static>] {
    static SYSTEM: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    SYSTEM.get_or_init(|| rustls_native_certs::load_native_certs().certs)
}
