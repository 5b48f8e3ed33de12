use std::fmt;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use thiserror::Error;

/// Certificates of authorities, in PEM, each of which parses.
#[derive(Clone)]
pub struct Roots(Vec<u8>);

/// A text is no list of certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it must hold certificates in PEM: one or more blocks that begin with -----BEGIN CERTIFICATE-----")]
pub struct RootsError;

impl Roots {
    /// From a file's content.
    pub fn parse(pem: &[u8]) -> Result<Self, RootsError> {
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            store.add(certificate.map_err(|_| RootsError)?).map_err(|_| RootsError)?;
        }
        if store.is_empty() { Err(RootsError) } else { Ok(Self(pem.to_vec())) }
    }

    /// From a variable, in which a line may end as `\n`.
    pub fn parse_variable(text: &str) -> Result<Self, RootsError> {
        Self::parse(text.replace("\\n", "\n").as_bytes())
    }

    /// The PEM.
    pub fn as_pem(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Roots")
    }
}
