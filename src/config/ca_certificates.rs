//! CA certificates of a `ca_file`, parsed when the config is read, so that `check` finds what a connection would not accept.

use std::fmt;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// CA certificates in DER form. At least one, and each can be used as a trust anchor.
#[derive(Clone, PartialEq, Eq)]
pub struct CaCertificates(Vec<CertificateDer<'static>>);

impl CaCertificates {
    /// Reads the certificates of a PEM file. Other PEM sections are ignored. The error completes "FILE …".
    pub fn from_pem(pem: &[u8]) -> Result<Self, String> {
        let pem = pem.strip_prefix(BYTE_ORDER_MARK).unwrap_or(pem);
        let mut trusted = RootCertStore::empty();
        let mut certificates = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let number = certificates.len() + 1;
            let certificate = certificate.map_err(|error| format!("is not valid PEM: {error}"))?;
            trusted.add(certificate.clone()).map_err(|_| {
                format!("is invalid: certificate {number} is not an X.509 certificate")
            })?;
            certificates.push(certificate);
        }
        if certificates.is_empty() {
            return Err("contains no certificate in PEM form".to_owned());
        }
        Ok(Self(certificates))
    }

    /// The DER bytes of each certificate.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl fmt::Debug for CaCertificates {
    /// Prints the number of certificates, because DER bytes say nothing to a reader.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaCertificates({})", self.0.len())
    }
}
