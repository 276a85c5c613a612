//! TCP proxy that can silently stop forwarding.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::pause;

const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Forwards connections until the test process ends.
pub(crate) struct Proxy {
    address: SocketAddr,
    cut: Arc<AtomicBool>,
}

impl Proxy {
    /// Forwards to this port of 127.0.0.1.
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            cut: Arc::default(),
        };
        let cut = Arc::clone(&proxy.cut);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                forward(near.try_clone().unwrap(), far.try_clone().unwrap(), &cut);
                forward(far, near, &cut);
            }
        });
        proxy
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Stops forwarding.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    /// Resumes forwarding, with the bytes held back.
    pub(crate) fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, cut: &Arc<AtomicBool>) {
    let cut = Arc::clone(cut);
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            while cut.load(Ordering::SeqCst) {
                pause(LOOK_EVERY);
            }
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        // Forwards the close once the proxy is not cut.
        while cut.load(Ordering::SeqCst) {
            pause(LOOK_EVERY);
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
        let _ = from.shutdown(std::net::Shutdown::Both);
    });
}
