//! Tests of the HTTP client without a network.

use super::*;
use crate::secret::Secret;

#[test]
fn a_body_overwrites_the_buffer() {
    for before in [0, 3, 9_000, 200_000] {
        for length in [0, 1, 8_192, 100_000] {
            let body: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let mut bytes = vec![7; before];
            read_over(&*body, &mut bytes).unwrap();
            assert!(bytes == body, "{length} bytes over {before}");
        }
    }
}

/// A truncated response of a receiver is shown as far as it arrived.
#[test]
fn bytes_read_before_an_error_are_kept() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::ConnectionReset.into())
        }
    }
    let mut bytes = vec![7; 90];
    let error = read_over(b"begun".chain(Broken), &mut bytes).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(bytes, b"begun");
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
