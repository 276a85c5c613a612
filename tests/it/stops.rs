//! Stops that something could delay: a connect that never ends, a long backoff.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::process::Signal;
use ucdn_simulator::{Effect, Fault};

use crate::harness::{Scene, eventually, task, types};
use crate::signals::assert_stops_in_time;

/// An address where a connect neither succeeds nor fails.
struct DeadEnd {
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
    address: SocketAddr,
}

impl DeadEnd {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // The shortest queue, which is then filled and never emptied.
        rustix::net::listen(&listener, 0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            waiting.push(stream);
        }
        Self {
            _listener: listener,
            _waiting: waiting,
            address,
        }
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Waits until the program is connecting.
    fn wait_for_connect(&self) {
        // The remote address and the state SYN_SENT, in the kernel's hexadecimal notation.
        let connecting = format!(":{:04X} 02 ", self.address.port());
        eventually("a connect under way", || {
            let connections = fs::read_to_string("/proc/net/tcp").unwrap();
            connections.contains(&connecting).then_some(())
        });
    }
}

/// A connect can't be aborted, so its thread is left behind.
#[test]
fn a_stop_does_not_wait_for_a_connection_that_never_comes() {
    let end = DeadEnd::open();
    let scene = Scene::with(|config| config.text("webhooks.ops", "url", &end.url()));
    scene.api.add_task(task("t"));
    let watcher = scene.watch();
    end.wait_for_connect();
    assert_stops_in_time(watcher);
    scene.configure(|config| config);
    scene.once().with_code(0);
    assert_eq!(types(&scene.hook.events()), ["task.wait"]);
}

/// The first signal waits for the connect. The second one ends the program, and the exit code says so.
#[test]
fn a_second_signal_does_not_wait_for_the_first_one() {
    let end = DeadEnd::open();
    let scene = Scene::with(|config| config.text("webhooks.ops", "url", &end.url()));
    scene.api.add_task(task("t"));
    let mut watcher = scene.watch();
    end.wait_for_connect();
    watcher.signal(Signal::TERM);
    watcher.wait_for_log("stopping");
    watcher.signal(Signal::INT);
    watcher.wait().with_code(130);
    scene.configure(|config| config);
    scene.once().with_code(0);
    assert_eq!(types(&scene.hook.events()), ["task.wait"]);
}

#[test]
fn a_stop_ends_the_backoff_after_failed_polls() {
    let scene = Scene::with(|config| config.text("poll", "interval", "1h"));
    scene.api.add_fault(Fault::always(Effect::Status {
        code: 503,
        retry_after: Some("3600".to_owned()),
    }));
    let watcher = scene.watch();
    watcher.wait_for_log("poll failed");
    assert_stops_in_time(watcher);
}
