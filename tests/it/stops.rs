//! Stops that something holds up: a connect that never ends, a long back-off.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::process::Signal;
use ucdn_simulator::{Effect, Fault};

use crate::harness::{Scene, eventually, task, types};
use crate::signals::assert_stops_in_time;

/// An address that takes no connection and refuses none: whoever connects waits.
struct DeadEnd {
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
    address: SocketAddr,
}

impl DeadEnd {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // The shortest queue there is; then it is filled, and nobody ever looks at it.
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

    /// Waits until somebody waits for a connection.
    fn wait_for_knock(&self) {
        // The far end, and that the first packet has no answer yet, in the kernel's hex.
        let knock = format!(":{:04X} 02 ", self.address.port());
        eventually("a connect under way", || {
            let connections = fs::read_to_string("/proc/net/tcp").unwrap();
            connections.contains(&knock).then_some(())
        });
    }
}

/// Nothing cuts a connect short: it is left behind.
#[test]
fn a_stop_does_not_wait_for_a_connection_that_never_comes() {
    let end = DeadEnd::open();
    let scene = Scene::with(|config| config.text("webhooks.ops", "url", &end.url()));
    scene.api.add_task(task("t"));
    let watcher = scene.watch();
    end.wait_for_knock();
    assert_stops_in_time(watcher);
    scene.configure(|config| config);
    scene.once().with_code(0);
    assert_eq!(types(&scene.hook.events()), ["task.wait"]);
}

/// The first one waits for the connect, so it is the second one that ends the program, and the code says so.
#[test]
fn a_second_signal_does_not_let_the_first_one_finish() {
    let end = DeadEnd::open();
    let scene = Scene::with(|config| config.text("webhooks.ops", "url", &end.url()));
    scene.api.add_task(task("t"));
    let mut watcher = scene.watch();
    end.wait_for_knock();
    watcher.signal(Signal::TERM);
    watcher.wait_for_log("stopping");
    watcher.signal(Signal::INT);
    watcher.wait().with_code(130);
    scene.configure(|config| config);
    scene.once().with_code(0);
    assert_eq!(types(&scene.hook.events()), ["task.wait"]);
}

#[test]
fn a_stop_cuts_the_back_off_after_failed_polls_short() {
    let scene = Scene::with(|config| config.text("poll", "interval", "1h"));
    scene.api.add_fault(Fault::always(Effect::Status {
        code: 503,
        retry_after: Some("3600".to_owned()),
    }));
    let watcher = scene.watch();
    watcher.wait_for_log("poll failed");
    assert_stops_in_time(watcher);
}
