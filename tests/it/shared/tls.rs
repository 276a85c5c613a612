//! `sslmode` and its files as libpq means them, against a server whose certificate is for `localhost`, made by an authority of
//! the test's own. The server's log says which connections were encrypted.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::server::Server;
use crate::harness::{Ended, Scene};

/// Its databases differ in whom they let in: `postgres` anybody, the others who comes encrypted, who doesn't, and who shows a
/// certificate.
const ADMITTED: &str = "local all all trust
host postgres all 127.0.0.1/32 trust
hostssl only_encrypted all 127.0.0.1/32 trust
hostnossl only_plain all 127.0.0.1/32 trust
hostssl with_certificate all 127.0.0.1/32 cert
";

struct Stage {
    scene: Scene,
    server: Server,
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut parameters = CertificateParams::default();
    // Two of one name would be taken for one with another key.
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, in PEM.
fn certificate(authority: &Authority, name: &str) -> [String; 2] {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new([name.to_owned()]).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, name);
    let made = parameters.signed_by(&key, authority).unwrap();
    [made.pem(), key.serialize_pem()]
}

impl Stage {
    fn new(authority: &Authority) -> Self {
        let server = Server::start();
        let [certificate, key] = certificate(authority, "localhost");
        let certificate = server.add_file("server.crt", &certificate);
        let key = server.add_file("server.key", &key);
        let ca = server.add_file("clients.crt", &authority.pem());
        server.configure(&format!(
            "ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\nssl_ca_file = '{}'\n",
            certificate.display(),
            key.display(),
            ca.display()
        ));
        server.admit(ADMITTED);
        for name in ["only_encrypted", "only_plain", "with_certificate"] {
            server.query(&format!("CREATE DATABASE {name}"));
        }
        server.stop();
        server.run();
        let scene = Scene::with(|config| config.set("", "state", "{ env = \"STATE_URL\" }"));
        Self { scene, server }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.scene.folder().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Looks for tasks in a database of the server, under the name that a host and a port are called by.
    fn ask(&self, host: &str, database_and_parameters: &str) -> Ended {
        let port = self.server.port;
        let url = format!("postgres://ucdn@{host}:{port}/{database_and_parameters}");
        let variables = [("STATE_URL", OsString::from(url))];
        self.scene.start(&["tasks"], &variables).wait()
    }

    /// What the server said of the connections that this made: whether they were encrypted. An answer that there is no state
    /// yet is as good as any.
    #[track_caller]
    fn connects(&self, host: &str, database_and_parameters: &str) -> bool {
        let before = self.server.log().len();
        let ended = self.ask(host, database_and_parameters).with_code(74);
        assert!(
            ended.stderr.contains("there is no state in its schema"),
            "{database_and_parameters}: {ended}"
        );
        let log = self.server.log().split_off(before);
        let line = log
            .lines()
            .rfind(|line| line.contains("connection authorized"));
        line.unwrap_or_else(|| panic!("no instance connected: {log}"))
            .contains("SSL enabled")
    }

    #[track_caller]
    fn is_refused(&self, host: &str, database_and_parameters: &str, why: &str) {
        let ended = self.ask(host, database_and_parameters).with_code(74);
        assert!(
            ended.stderr.contains(why),
            "{database_and_parameters}: {ended}"
        );
    }
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn each_sslmode_trusts_whom_libpq_trusts_with_it() {
    let ours = authority("ours");
    let stage = Stage::new(&ours);
    let ca = stage.file("ca.pem", &ours.pem());
    let roots = format!("sslrootcert={}", ca.display());
    let others = stage.file("other.pem", &authority("others'").pem());
    let other_roots = format!("sslrootcert={}", others.display());
    let address = "127.0.0.1";

    assert!(!stage.connects(address, "postgres?sslmode=disable"));
    assert!(!stage.connects(address, "postgres?sslmode=allow"));
    assert!(stage.connects(address, "only_encrypted?sslmode=allow"));
    for as_good in ["", "?sslmode=prefer", "?sslmode=require"] {
        assert!(stage.connects(address, &format!("postgres{as_good}")));
    }
    let encryption = "no encryption";
    stage.is_refused(address, "only_encrypted?sslmode=disable", encryption);
    stage.is_refused(address, "only_plain?sslmode=require", "SSL encryption");

    // The certificate is for `localhost`: only `verify-full` minds.
    for mode in ["require", "verify-ca"] {
        let checked = |roots: &str| format!("postgres?sslmode={mode}&{roots}");
        assert!(stage.connects(address, &checked(&roots)));
        stage.is_refused(address, &checked(&other_roots), "UnknownIssuer");
    }
    let full = |roots: &str| format!("postgres?sslmode=verify-full&{roots}");
    assert!(stage.connects("localhost", &full(&roots)));
    stage.is_refused("localhost", &full(&other_roots), "UnknownIssuer");
    stage.is_refused(address, &full(&roots), "not valid for name");
    let system = "postgres?sslrootcert=system";
    stage.is_refused("localhost", system, "UnknownIssuer");
    stage.is_refused(
        address,
        "postgres?sslmode=verify-ca&sslrootcert=/none",
        "/none",
    );
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn a_certificate_of_ours_is_shown_to_a_server_that_asks_for_it() {
    let ours = authority("ours");
    let stage = Stage::new(&ours);
    let [certificate, key] = certificate(&ours, "ucdn");
    let certificate = stage.file("client.crt", &certificate);
    let key = stage.file("client.key", &key);
    let database = "with_certificate?sslmode=require";
    let shown = format!(
        "{database}&sslcert={}&sslkey={}",
        certificate.display(),
        key.display()
    );
    assert!(stage.connects("127.0.0.1", &shown));
    stage.is_refused("127.0.0.1", database, "certificate");
}
