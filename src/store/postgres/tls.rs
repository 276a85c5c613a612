//! TLS for libpq's `sslmode`, on rustls: which server certificates are trusted. Reads certificate files, connects to nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::url::{ClientCertificate, Roots, SslMode, TlsOptions};

/// Why TLS can't be set up as the URL asks.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    /// A file of certificates or a key.
    #[error("{} can't be read as {expected}", path.display())]
    File {
        path: PathBuf,
        expected: &'static str,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// They don't fit together, or the system has no trust store.
    #[error("certificates can't be used")]
    Unfit(#[source] Error),
}

/// A TLS connector for these options.
pub(super) fn connector(options: &TlsOptions) -> Result<MakeRustlsConnect, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unfit)?
        .dangerous()
        .with_custom_certificate_verifier(verifier(options, provider)?);
    let config = match &options.client {
        None => builder.with_no_client_auth(),
        Some(ClientCertificate { certificate, key }) => builder
            .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
            .map_err(TlsError::Unfit)?,
    };
    Ok(MakeRustlsConnect::new(config))
}

fn verifier(
    options: &TlsOptions,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let algorithms = provider.signature_verification_algorithms;
    let trust = match (options.mode, &options.roots) {
        (SslMode::VerifyFull, Roots::System) => {
            let verifier =
                rustls_platform_verifier::Verifier::new(provider).map_err(TlsError::Unfit)?;
            return Ok(Arc::new(verifier));
        }
        (SslMode::VerifyFull, Roots::File(path)) => return Ok(by_roots(path, provider)?),
        (SslMode::VerifyCa, Roots::File(path)) => TrustRoots::AnyName(by_roots(path, provider)?),
        _ => TrustRoots::AnyCertificate,
    };
    Ok(Arc::new(NoVerify { trust, algorithms }))
}

fn by_roots(
    path: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(TlsError::Unfit)?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| TlsError::Unfit(Error::General(error.to_string())))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |source: Box<dyn std::error::Error + Send + Sync>| TlsError::File {
        path: path.to_owned(),
        expected: "PEM certificates",
        source,
    };
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|pem| error(pem.to_string().into()))?;
    if found.is_empty() {
        return Err(error("it holds none".into()));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| TlsError::File {
        path: path.to_owned(),
        expected: "a PEM private key",
        source: error.to_string().into(),
    })
}

/// A verifier that checks less than rustls would: the names in a certificate are not compared with the host.
#[derive(Debug)]
struct NoVerify {
    trust: TrustRoots,
    /// The handshake's signature is verified in any case.
    algorithms: WebPkiSupportedAlgorithms,
}

/// Which certificates are accepted.
#[derive(Debug)]
enum TrustRoots {
    /// `require` and weaker: any certificate, as libpq does.
    AnyCertificate,
    /// `verify-ca`: certificates that the roots have signed, for any host name.
    AnyName(Arc<WebPkiServerVerifier>),
}

impl ServerCertVerifier for NoVerify {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = match &self.trust {
            TrustRoots::AnyCertificate => Ok(ServerCertVerified::assertion()),
            TrustRoots::AnyName(roots) => {
                roots.verify_server_cert(certificate, intermediates, name, ocsp, now)
            }
        };
        match verdict {
            // Names are checked last: this error means that everything else is valid.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
