//! systemd notifications: the protocol of `sd_notify(3)`, with watchdog and status. Does nothing if `$NOTIFY_SOCKET` is not set.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock;
use crate::config::Environment;
use crate::domain::text::is_unsafe;

/// Time limit of one message. A service manager that does not read must not delay a stop.
const SEND_TIMEOUT: Duration = Duration::from_millis(250);

/// Notifies the service manager, if there is one: systemd, or a container runtime with the same protocol.
///
/// A failure to send is logged when it begins and when it ends, and has no other effect.
#[derive(Debug, Default)]
pub struct SystemdNotifier {
    socket: Option<NotifySocket>,
    watchdog: Option<Duration>,
}

#[derive(Debug)]
struct NotifySocket {
    socket: UnixDatagram,
    address: SocketAddr,
    is_failing: AtomicBool,
}

impl SystemdNotifier {
    /// A notifier for `$NOTIFY_SOCKET` and `$WATCHDOG_USEC`. Without the first it drops every message.
    #[must_use]
    pub fn of(environment: &Environment) -> Self {
        let Some(name) = environment.get("NOTIFY_SOCKET") else {
            return Self::default();
        };
        match NotifySocket::open(name) {
            Ok(socket) => Self {
                socket: Some(socket),
                watchdog: watchdog_interval(environment),
            },
            Err(error) => {
                log::warn!("NOTIFY_SOCKET can't be used; systemd gets no notifications: {error}");
                Self::default()
            }
        }
    }

    /// The start or a reload is complete.
    pub fn ready(&self, status: &str) {
        self.send(format_args!("READY=1\nSTATUS={}", plain(status)));
    }

    /// Sets the line in `systemctl status`. `status` is called only if there is a service manager, because it may read the state.
    pub fn status(&self, status: impl FnOnce() -> String) {
        if self.socket.is_some() {
            self.send(format_args!("STATUS={}", plain(&status())));
        }
    }

    /// A reload begins. [`Self::ready`] must follow, also if nothing changed.
    pub fn reloading(&self) {
        let now = clock::since_boot().as_micros();
        self.send(format_args!("RELOADING=1\nMONOTONIC_USEC={now}"));
    }

    /// The program is stopping.
    pub fn stopping(&self) {
        self.send(format_args!("STOPPING=1\nSTATUS=stopping"));
    }

    /// Resets the watchdog. To be called each [`Self::keep_alive_interval`], and not while a worker is stuck, so that systemd
    /// restarts the program.
    pub fn keep_alive(&self) {
        if self.watchdog.is_some() {
            self.send(format_args!("WATCHDOG=1"));
        }
    }

    /// How often to call [`Self::keep_alive`]: half of the watchdog's limit. `None` without a watchdog.
    #[must_use]
    pub fn keep_alive_interval(&self) -> Option<Duration> {
        self.watchdog
    }

    fn send(&self, message: fmt::Arguments<'_>) {
        if let Some(socket) = &self.socket {
            socket.send(&message.to_string());
        }
    }
}

impl NotifySocket {
    fn open(name: &OsStr) -> io::Result<Self> {
        // Not connected, because the service manager may replace its socket.
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok(Self {
            socket,
            address: address(name.as_bytes())?,
            is_failing: AtomicBool::new(false),
        })
    }

    fn send(&self, message: &str) {
        let sent = self.socket.send_to_addr(message.as_bytes(), &self.address);
        let was_failing = self.is_failing.swap(sent.is_err(), Ordering::Relaxed);
        match sent {
            Err(error) if !was_failing => log::warn!("systemd can't be notified: {error}"),
            Ok(_) if was_failing => log::info!("systemd can be notified again"),
            _ => {}
        }
    }
}

/// Reads a path, or `@` and the name of an abstract socket. `vsock:` addresses are not supported.
fn address(name: &[u8]) -> io::Result<SocketAddr> {
    match name {
        [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name),
        [b'/', ..] => SocketAddr::from_pathname(OsStr::from_bytes(name)),
        _ => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "neither an absolute path nor an abstract socket",
        )),
    }
}

/// Half of `$WATCHDOG_USEC`, unless `$WATCHDOG_PID` names another process.
fn watchdog_interval(environment: &Environment) -> Option<Duration> {
    let number = |name| environment.get(name)?.to_str()?.parse::<u64>().ok();
    let is_for_another = environment.get("WATCHDOG_PID").is_some()
        && number("WATCHDOG_PID") != Some(u64::from(std::process::id()));
    number("WATCHDOG_USEC")
        .filter(|limit| *limit > 0 && !is_for_another)
        .map(|limit| Duration::from_micros(limit) / 2)
}

/// Replaces control characters: a line break would begin another assignment of the protocol.
fn plain(status: &str) -> String {
    status.replace(is_unsafe, " ")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn environment(variables: &[(&str, &OsStr)]) -> Environment {
        let owned = |(name, value): &(&str, &OsStr)| (OsString::from(name), value.into());
        variables.iter().map(owned).collect()
    }

    fn receive(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        socket
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_service_sends_its_life_cycle_to_the_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let own_id = std::process::id().to_string();
        let notifier = SystemdNotifier::of(&environment(&[
            ("NOTIFY_SOCKET", path.as_os_str()),
            ("WATCHDOG_USEC", OsStr::new("30000000")),
            ("WATCHDOG_PID", OsStr::new(&own_id)),
        ]));

        notifier.ready("watching 2 targets");
        assert_eq!(receive(&socket), "READY=1\nSTATUS=watching 2 targets");
        notifier.status(|| "shop: polled\nMAINPID=1".to_owned());
        assert_eq!(receive(&socket), "STATUS=shop: polled MAINPID=1");
        assert_eq!(
            notifier.keep_alive_interval(),
            Some(Duration::from_secs(15))
        );
        notifier.keep_alive();
        assert_eq!(receive(&socket), "WATCHDOG=1");
        notifier.stopping();
        assert_eq!(receive(&socket), "STOPPING=1\nSTATUS=stopping");
    }

    #[test]
    fn a_reload_carries_the_kernels_own_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let notifier = SystemdNotifier::of(&environment(&[("NOTIFY_SOCKET", path.as_os_str())]));

        let before = clock::since_boot();
        notifier.reloading();
        let after = clock::since_boot();

        let message = receive(&socket);
        let (reloading, time) = message.split_once('\n').unwrap();
        let time: u64 = time
            .strip_prefix("MONOTONIC_USEC=")
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(reloading, "RELOADING=1");
        assert!(before.as_micros() <= time.into() && u128::from(time) <= after.as_micros());
    }

    #[test]
    fn an_abstract_socket_is_reached() {
        let name = format!("ucdn-watch-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        let variable = format!("@{name}");
        let notifier =
            SystemdNotifier::of(&environment(&[("NOTIFY_SOCKET", OsStr::new(&variable))]));

        notifier.ready("x");
        assert_eq!(receive(&socket), "READY=1\nSTATUS=x");
    }

    #[test]
    fn without_a_service_manager_nothing_happens() {
        let watchdog = ("WATCHDOG_USEC", OsStr::new("1000000"));
        for variables in [
            vec![watchdog],
            vec![watchdog, ("NOTIFY_SOCKET", OsStr::new("vsock:2:1234"))],
            vec![watchdog, ("NOTIFY_SOCKET", OsStr::new("relative/path"))],
        ] {
            let notifier = SystemdNotifier::of(&environment(&variables));
            assert_eq!(notifier.keep_alive_interval(), None);
            notifier.ready("x");
            notifier.keep_alive();
            notifier.stopping();
        }
        let gone = [("NOTIFY_SOCKET", OsStr::new("/nonexistent/notify"))];
        SystemdNotifier::of(&environment(&gone)).ready("x");
    }

    #[test]
    fn a_service_manager_that_never_reads_delays_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let notifier = SystemdNotifier::of(&environment(&[("NOTIFY_SOCKET", path.as_os_str())]));
        // The queue of a datagram socket fills up, and then a message fails at its time limit.
        while !notifier
            .socket
            .as_ref()
            .is_some_and(|socket| socket.is_failing.load(Ordering::Relaxed))
        {
            notifier.status(|| "x".to_owned());
        }
        receive(&socket);
        notifier.status(|| "y".to_owned());
        assert!(!notifier.socket.unwrap().is_failing.into_inner());
    }

    #[test]
    fn without_a_service_manager_no_status_is_made() {
        SystemdNotifier::default().status(|| panic!("no service manager"));
    }

    #[test]
    fn a_watchdog_of_another_process_is_ignored() {
        let of = |usec: &str, pid: &str| {
            watchdog_interval(&environment(&[
                ("WATCHDOG_USEC", OsStr::new(usec)),
                ("WATCHDOG_PID", OsStr::new(pid)),
            ]))
        };
        assert_eq!(of("1000000", "1"), None);
        assert_eq!(of("1000000", "nonsense"), None);
        assert_eq!(of("0", ""), None);
        assert_eq!(of("soon", ""), None);
        assert_eq!(of("1000000", ""), Some(Duration::from_millis(500)));
    }
}
