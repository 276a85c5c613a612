//! The service manager: tells it how the program is. Owns the notification protocol of `sd_notify(3)`, and is
//! silent where nobody listens. Decides nothing of what it tells.

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

/// How long a message may wait for a manager that doesn't read: a stop must not hang on it.
const SEND_TIMEOUT: Duration = Duration::from_millis(250);

/// Whoever started the program and asked to be told how it is: systemd, a container runtime, or nobody.
///
/// A message that can't be sent is logged when that begins and when it ends, and is otherwise no fault.
#[derive(Debug, Default)]
pub struct SystemdNotifier {
    listener: Option<Listener>,
    watchdog: Option<Duration>,
}

#[derive(Debug)]
struct Listener {
    socket: UnixDatagram,
    address: SocketAddr,
    is_deaf: AtomicBool,
}

impl SystemdNotifier {
    /// Finds it by `$NOTIFY_SOCKET` and `$WATCHDOG_USEC`; without the former every message is dropped.
    #[must_use]
    pub fn of(environment: &Environment) -> Self {
        let Some(name) = environment.get("NOTIFY_SOCKET") else {
            return Self::default();
        };
        match Listener::open(name) {
            Ok(listener) => Self {
                listener: Some(listener),
                watchdog: watchdog_interval(environment),
            },
            Err(error) => {
                log::warn!(
                    "NOTIFY_SOCKET can't be used, so systemd will not be told anything: {error}"
                );
                Self::default()
            }
        }
    }

    /// Start or reload is over, and this is how things are.
    pub fn ready(&self, status: &str) {
        self.tell(format_args!("READY=1\nSTATUS={}", plain(status)));
    }

    /// One line for `systemctl status`, which is made if there is somebody to read it: it may cost a look into the state.
    pub fn status(&self, status: impl FnOnce() -> String) {
        if self.listener.is_some() {
            self.tell(format_args!("STATUS={}", plain(&status())));
        }
    }

    /// A reload begins. It must end in [`ready`](Self::ready), also if nothing was changed.
    pub fn reloading(&self) {
        let now = clock::since_boot().as_micros();
        self.tell(format_args!("RELOADING=1\nMONOTONIC_USEC={now}"));
    }

    /// The program is about to end.
    pub fn stopping(&self) {
        self.tell(format_args!("STOPPING=1\nSTATUS=stopping"));
    }

    /// Every loop turns. To be called each [`keep_alive_interval`](Self::keep_alive_interval), and not while one is
    /// stuck: the restart that follows is what the watchdog is for.
    pub fn keep_alive(&self) {
        if self.watchdog.is_some() {
            self.tell(format_args!("WATCHDOG=1"));
        }
    }

    /// How often to call [`keep_alive`](Self::keep_alive): half of what is allowed. `None`: nobody waits for it.
    #[must_use]
    pub fn keep_alive_interval(&self) -> Option<Duration> {
        self.watchdog
    }

    fn tell(&self, message: fmt::Arguments<'_>) {
        if let Some(listener) = &self.listener {
            listener.tell(&message.to_string());
        }
    }
}

impl Listener {
    fn open(name: &OsStr) -> io::Result<Self> {
        // Bound to nothing and connected for no longer than one message: the manager may make its socket anew.
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok(Self {
            socket,
            address: address(name.as_bytes())?,
            is_deaf: AtomicBool::new(false),
        })
    }

    fn tell(&self, message: &str) {
        let sent = self.socket.send_to_addr(message.as_bytes(), &self.address);
        let was_deaf = self.is_deaf.swap(sent.is_err(), Ordering::Relaxed);
        match sent {
            Err(error) if !was_deaf => log::warn!("systemd can't be told how things are: {error}"),
            Ok(_) if was_deaf => log::info!("systemd can be told how things are again"),
            _ => {}
        }
    }
}

/// A path, or `@` and a name that is in no file system. Others exist (`vsock:`), for virtual machines.
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

/// Half of `$WATCHDOG_USEC`, unless `$WATCHDOG_PID` says that another process is meant.
fn watchdog_interval(environment: &Environment) -> Option<Duration> {
    let number = |name| environment.get(name)?.to_str()?.parse::<u64>().ok();
    let is_for_another = environment.get("WATCHDOG_PID").is_some()
        && number("WATCHDOG_PID") != Some(u64::from(std::process::id()));
    number("WATCHDOG_USEC")
        .filter(|limit| *limit > 0 && !is_for_another)
        .map(|limit| Duration::from_micros(limit) / 2)
}

/// A newline would begin another assignment of the protocol.
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
    fn a_service_tells_its_life_to_the_socket_it_was_given() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let own_id = std::process::id().to_string();
        let supervisor = SystemdNotifier::of(&environment(&[
            ("NOTIFY_SOCKET", path.as_os_str()),
            ("WATCHDOG_USEC", OsStr::new("30000000")),
            ("WATCHDOG_PID", OsStr::new(&own_id)),
        ]));

        supervisor.ready("watching 2 targets");
        assert_eq!(receive(&socket), "READY=1\nSTATUS=watching 2 targets");
        supervisor.status(|| "shop: polled\nMAINPID=1".to_owned());
        assert_eq!(receive(&socket), "STATUS=shop: polled MAINPID=1");
        assert_eq!(
            supervisor.keep_alive_interval(),
            Some(Duration::from_secs(15))
        );
        supervisor.keep_alive();
        assert_eq!(receive(&socket), "WATCHDOG=1");
        supervisor.stopping();
        assert_eq!(receive(&socket), "STOPPING=1\nSTATUS=stopping");
    }

    #[test]
    fn a_reload_carries_the_kernels_own_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let supervisor = SystemdNotifier::of(&environment(&[("NOTIFY_SOCKET", path.as_os_str())]));

        let before = clock::since_boot();
        supervisor.reloading();
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
        let supervisor =
            SystemdNotifier::of(&environment(&[("NOTIFY_SOCKET", OsStr::new(&variable))]));

        supervisor.ready("x");
        assert_eq!(receive(&socket), "READY=1\nSTATUS=x");
    }

    #[test]
    fn nobody_listening_is_no_fault() {
        let watchdog = ("WATCHDOG_USEC", OsStr::new("1000000"));
        for variables in [
            vec![watchdog],
            vec![watchdog, ("NOTIFY_SOCKET", OsStr::new("vsock:2:1234"))],
            vec![watchdog, ("NOTIFY_SOCKET", OsStr::new("relative/path"))],
        ] {
            let supervisor = SystemdNotifier::of(&environment(&variables));
            assert_eq!(supervisor.keep_alive_interval(), None);
            supervisor.ready("x");
            supervisor.keep_alive();
            supervisor.stopping();
        }
        let gone = [("NOTIFY_SOCKET", OsStr::new("/nonexistent/notify"))];
        SystemdNotifier::of(&environment(&gone)).ready("x");
    }

    #[test]
    fn a_manager_that_never_reads_does_not_hold_the_program_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let supervisor = SystemdNotifier::of(&environment(&[("NOTIFY_SOCKET", path.as_os_str())]));
        // Ends only because each send does: the queue of a datagram socket holds far fewer.
        while !supervisor
            .listener
            .as_ref()
            .is_some_and(|listener| listener.is_deaf.load(Ordering::Relaxed))
        {
            supervisor.status(|| "x".to_owned());
        }
        receive(&socket);
        supervisor.status(|| "y".to_owned());
        assert!(!supervisor.listener.unwrap().is_deaf.into_inner());
    }

    #[test]
    fn a_status_that_nobody_reads_is_not_made() {
        SystemdNotifier::default().status(|| panic!("nobody reads it"));
    }

    #[test]
    fn a_watchdog_for_another_process_is_not_ours() {
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
