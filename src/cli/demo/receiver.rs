//! Webhook receiver of `demo`: checks signatures, prints and counts deliveries.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use parking_lot::Mutex;
use ucdn_simulator::{HttpRequest, HttpResponse, HttpServer};

use super::delivery::{DemoDelivery, SignatureCheck, Urgency};
use super::output::{self, DemoTotals};
use super::signature::Signed;
use crate::clock::Clock;
use crate::domain::event::EventDocument;

/// The path of events that wake the on-call person.
pub(super) const ON_CALL_PATH: &str = "/on-call";

/// A bound receiver that does not answer yet.
#[derive(Debug)]
pub(super) struct BoundReceiver {
    listener: TcpListener,
    address: SocketAddr,
    key: Vec<u8>,
}

/// A receiver at work.
#[derive(Debug)]
pub(super) struct RunningReceiver {
    server: HttpServer,
    totals: Arc<Mutex<DemoTotals>>,
}

impl BoundReceiver {
    pub(super) fn bind(key: &[u8]) -> io::Result<Self> {
        let listener = HttpServer::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            key: key.to_vec(),
        })
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn start(self, clock: Arc<dyn Clock>) -> io::Result<RunningReceiver> {
        let totals = Arc::<Mutex<DemoTotals>>::default();
        let (shared, key) = (Arc::clone(&totals), self.key);
        let server = HttpServer::start(self.listener, move |request| {
            let delivery = delivery(&request, &key, &*clock);
            // Held while printing, so that entries do not mix.
            let mut totals = shared.lock();
            totals.count(&delivery);
            output::show(&delivery, clock.monotonic());
            HttpResponse::status(match delivery.signature {
                SignatureCheck::Wrong => 401,
                SignatureCheck::Ok => 204,
            })
        })?;
        Ok(RunningReceiver { server, totals })
    }
}

impl RunningReceiver {
    /// Stops it and returns the totals.
    pub(super) fn stop(self) -> DemoTotals {
        drop(self.server);
        std::mem::take(&mut *self.totals.lock())
    }
}

fn delivery(request: &HttpRequest, key: &[u8], clock: &dyn Clock) -> DemoDelivery {
    let signed = Signed {
        id: request.header("webhook-id"),
        timestamp: request.header("webhook-timestamp"),
        signature: request.header("webhook-signature"),
        body: &request.body,
    };
    let signature = if signed.is_by(key, clock.now()) {
        SignatureCheck::Ok
    } else {
        SignatureCheck::Wrong
    };
    DemoDelivery {
        id: signed.id.to_owned(),
        event: EventDocument::read(&String::from_utf8_lossy(&request.body)),
        signature,
        urgency: if request.path == ON_CALL_PATH {
            Urgency::OnCall
        } else {
            Urgency::Chat
        },
    }
}
