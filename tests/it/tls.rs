//! HTTPS: trusted and untrusted certificates, and the messages about them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::{fs, thread};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::harness::Scene;

/// An HTTPS API with an empty list and a certificate for `name`. Its thread ends with the tests.
pub(crate) struct Gateway {
    pub(crate) port: u16,
    pub(crate) certificate_pem: String,
}

/// A self-signed certificate.
pub(crate) struct Certificate(CertificateParams);

impl Certificate {
    pub(crate) fn of(name: &str) -> Self {
        Self(CertificateParams::new([name.to_owned()]).unwrap())
    }

    pub(crate) fn expired(mut self) -> Self {
        self.0.not_after = date_time_ymd(2001, 2, 3);
        self
    }

    pub(crate) fn not_yet_valid(mut self) -> Self {
        self.0.not_before = date_time_ymd(4000, 5, 6);
        self
    }
}

impl Gateway {
    pub(crate) fn start(certificate: &Certificate) -> Self {
        let key_pair = KeyPair::generate().unwrap();
        let made = certificate.0.self_signed(&key_pair).unwrap();
        let key = PrivateKeyDer::try_from(key_pair.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || serve(&listener, &Arc::new(config)));
        Self {
            port,
            certificate_pem: made.pem(),
        }
    }
}

fn serve(listener: &TcpListener, config: &Arc<ServerConfig>) {
    for socket in listener.incoming().flatten() {
        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&request).contains("Signature=") {
            match stream.read(&mut buffer) {
                Ok(read @ 1..) => request.extend(&buffer[..read]),
                // A client that does not trust the certificate hangs up.
                Ok(0) | Err(_) => break,
            }
        }
        let body =
            r#"{"RetCode":0,"Action":"DescribeNewUcdnRefreshCacheTaskResponse","TaskList":[]}"#;
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let _ = stream.write_all(answer.as_bytes());
        stream.conn.send_close_notify();
        let _ = stream.flush();
    }
}

fn check(gateway: &Gateway, ca_file: Option<&str>, code: i32) -> String {
    let scene = Scene::new();
    let ca = scene.config_path().with_file_name("ca.pem");
    fs::write(&ca, &gateway.certificate_pem).unwrap();
    let ca_line = ca_file.map_or_else(String::new, |file| format!("ca_file = \"{file}\"\n"));
    let config = format!(
        "state = \"s.db\"\n[accounts.a]\nendpoint = \"https://localhost:{}/\"\npublic_key = \"p\"\n\
         private_key = \"k\"\n{ca_line}[targets.shop]\n",
        gateway.port
    );
    fs::write(scene.config_path(), config).unwrap();
    let ended = scene.run(&["check", "--online"]).with_code(code);
    format!("{}{}", ended.stdout, ended.stderr)
}

#[test]
fn a_certificate_authority_from_the_config_is_trusted() {
    let gateway = Gateway::start(&Certificate::of("localhost"));
    let said = check(&gateway, Some("ca.pem"), 0);
    assert!(said.contains("target shop: ok"), "{said}");
}

#[test]
fn a_certificate_from_an_unknown_authority_is_refused() {
    let gateway = Gateway::start(&Certificate::of("localhost"));
    let said = check(&gateway, None, 69);
    assert!(said.contains("TLS"), "{said}");
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    let gateway = Gateway::start(&Certificate::of("elsewhere.example"));
    let said = check(&gateway, Some("ca.pem"), 69);
    assert!(said.contains("TLS") && said.contains("name"), "{said}");
}
