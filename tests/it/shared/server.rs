//! A PostgreSQL of a test's own, and a `pgbouncer`: to be restarted, replaced, and set up as others must not be. From Debian's
//! `postgresql` and `pgbouncer`; both refuse to run as root, so as root they run as `nobody`.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::harness::eventually;

/// On 127.0.0.1 and a port of its own, with the superuser `ucdn`.
pub(super) struct Server {
    folder: TempDir,
    pub(super) port: u16,
}

fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("Debian's `postgresql` is needed");
    let newest = versions.map(|it| it.unwrap().path()).max().unwrap();
    newest.join("bin")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs as whom servers run as.
fn unprivileged(program: impl AsRef<OsStr>) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
    command.arg(program);
    command
}

#[track_caller]
fn succeed(command: &mut Command) -> String {
    // Not our pipes for what stays behind: a server would hold them open.
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        said(&output.stderr)
    );
    said(&output.stdout)
}

fn folder_for_servers() -> TempDir {
    // Short: the path of a socket has 107 bytes.
    let folder = tempfile::Builder::new()
        .prefix("pg")
        .tempdir_in("/tmp")
        .unwrap();
    hand_over(folder.path());
    folder
}

/// Gives a file or folder to whom servers run as.
fn hand_over(path: &Path) {
    if is_root() {
        succeed(Command::new("chown").arg("-R").arg("nobody").arg(path));
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Server {
    /// A new one, running.
    pub(super) fn start() -> Self {
        let server = Self {
            folder: folder_for_servers(),
            port: free_port(),
        };
        succeed(
            unprivileged(programs().join("initdb"))
                .args([
                    "-U",
                    "ucdn",
                    "-A",
                    "trust",
                    "-E",
                    "UTF8",
                    "--locale=C",
                    "--no-sync",
                ])
                .arg("-D")
                .arg(server.data()),
        );
        server.configure(&format!(
            "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nfsync = off\nlog_connections = on\n",
            server.port,
            server.folder.path().display()
        ));
        server.run();
        server
    }

    /// Another one that follows this one, and can take its place.
    pub(super) fn standby(&self) -> Self {
        let standby = Self {
            folder: folder_for_servers(),
            port: free_port(),
        };
        succeed(
            unprivileged(programs().join("pg_basebackup"))
                .args([
                    "-h",
                    "127.0.0.1",
                    "-U",
                    "ucdn",
                    "-R",
                    "-c",
                    "fast",
                    "--no-sync",
                ])
                .args(["-p", &self.port.to_string()])
                .arg("-D")
                .arg(standby.data()),
        );
        standby.configure(&format!(
            "port = {}\nunix_socket_directories = '{}'\n",
            standby.port,
            standby.folder.path().display()
        ));
        standby.run();
        standby
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://ucdn@127.0.0.1:{}/postgres", self.port)
    }

    /// Adds lines to its settings.
    pub(super) fn configure(&self, lines: &str) {
        let path = self.data().join("postgresql.conf");
        let old = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{old}{lines}")).unwrap();
    }

    /// Who may connect, and how; counts from the next start or reload.
    pub(super) fn admit(&self, lines: &str) {
        fs::write(self.data().join("pg_hba.conf"), lines).unwrap();
    }

    /// A file that only the server may read.
    pub(super) fn add_file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        hand_over(&path);
        path
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn control(&self, arguments: &[&str]) {
        succeed(
            unprivileged(programs().join("pg_ctl"))
                .arg("-D")
                .arg(self.data())
                .arg("-l")
                .arg(self.folder.path().join("log"))
                .args(["-s", "-w"])
                .args(arguments)
                .stdout(Stdio::null()),
        );
    }

    pub(super) fn run(&self) {
        self.control(&["start"]);
    }

    /// Cuts it off without closing connections, as the loss of a machine would.
    pub(super) fn kill(&self) {
        self.control(&["stop", "-m", "immediate"]);
    }

    /// Sessions are ended.
    pub(super) fn stop(&self) {
        self.control(&["stop", "-m", "fast"]);
    }

    pub(super) fn reload(&self) {
        self.control(&["reload"]);
    }

    /// A standby becomes the one to write to.
    pub(super) fn promote(&self) {
        self.control(&["promote"]);
    }

    /// Runs a statement by way of its socket.
    pub(super) fn query(&self, sql: &str) -> String {
        succeed(
            unprivileged(programs().join("psql"))
                .args(["-U", "ucdn", "-d", "postgres", "-At", "-c", sql])
                .args(["-p", &self.port.to_string()])
                .arg("-h")
                .arg(self.folder.path()),
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut stop = unprivileged(programs().join("pg_ctl"));
        stop.arg("-D").arg(self.data());
        // It may be stopped already.
        let _ = stop.args(["-m", "immediate", "-s", "stop"]).output();
    }
}

/// A pool before a server.
pub(super) struct Pool {
    folder: TempDir,
    pub(super) port: u16,
    process: std::process::Child,
}

impl Pool {
    /// `mode`: `pgbouncer`'s `pool_mode`.
    pub(super) fn start(server_port: u16, mode: &str) -> Self {
        let (folder, port) = (folder_for_servers(), free_port());
        let config = folder.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\npostgres = host=127.0.0.1 port={server_port} user=ucdn\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n"
        );
        fs::write(&config, text).unwrap();
        hand_over(folder.path());
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let process = unprivileged("/usr/sbin/pgbouncer")
            .arg(&config)
            .stderr(log)
            .spawn()
            .expect("Debian's `pgbouncer` is needed");
        let pool = Self {
            folder,
            port,
            process,
        };
        eventually("the pool", || {
            let log = fs::read_to_string(pool.folder.path().join("log")).unwrap();
            log.contains("process up").then_some(())
        });
        pool
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
