//! Tests of the HTTP client without a network.

use super::*;
use crate::secret::Secret;

#[test]
fn an_ip_address_needs_no_lookup() {
    for address in ["http://127.0.0.1:9/", "http://[::1]/a", "https://10.0.0.1"] {
        assert!(is_address(&address.parse().unwrap()), "{address}");
    }
    for name in [
        "http://localhost/",
        "http://1.example.com:80/",
        "http://127.1/",
    ] {
        assert!(!is_address(&name.parse().unwrap()), "{name}");
    }
}

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
