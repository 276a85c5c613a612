//! Tests of the HTTP client without a network.

use super::*;
use crate::secret::Secret;

/// Panic messages may contain the debug text.
#[test]
fn debug_output_contains_neither_header_values_nor_the_proxy_password() {
    let secret = |text: &str| Secret::new(text.to_owned());
    let settings = HttpSettings {
        timeout: Duration::from_secs(1),
        headers: vec![("x-channel".to_owned(), secret("canary-header"))],
        proxy: Some(secret("http://canary-user:canary-password@127.0.0.1:1")),
        ca_certificates: None,
    };
    let client = HttpClient::new(&settings, BodyLimit::CutAt(1)).unwrap();
    for printed in [format!("{client:?} {client:#?}"), format!("{settings:?}")] {
        assert!(printed.contains("x-channel"), "{printed}");
        assert!(!printed.contains("canary"), "{printed}");
    }
}
