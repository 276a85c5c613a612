//! A stub webhook receiver for tests: it records each request and answers as the test says.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;

use super::clock::SimulatedClock;
use super::response_writer::HttpResponse;
use super::server::{HttpRequest, HttpServer};

/// A receiver on a free port of 127.0.0.1. It answers 204 by default and stops when it is dropped.
#[derive(Debug)]
pub struct StubReceiver {
    server: HttpServer,
    state: Arc<Mutex<ReceiverState>>,
}

#[derive(Debug)]
struct ReceiverState {
    clock: SimulatedClock,
    next: VecDeque<HttpResponse>,
    usual: HttpResponse,
    rejected_text: Option<String>,
    deliveries: Vec<Delivery>,
}

/// One request, in the order of arrival.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Time since the start of the receiver.
    pub at: Duration,
    /// `POST`, …
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body as text.
    pub body: String,
    /// The status of the response. A response that [breaks off](super::Sending) has one, too.
    pub answered: u16,
}

impl StubReceiver {
    /// Listens from here on.
    pub fn start() -> io::Result<Self> {
        let listener = HttpServer::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let state = Arc::new(Mutex::new(ReceiverState {
            clock: SimulatedClock::start(),
            next: VecDeque::new(),
            usual: HttpResponse::status(204),
            rejected_text: None,
            deliveries: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        let server = HttpServer::start(listener, move |request| shared.lock().receive(request))?;
        Ok(Self { server, state })
    }

    /// The webhook's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.server.address())
    }

    /// Answers the next requests with these responses, one each.
    pub fn answer_next(&self, responses: impl IntoIterator<Item = HttpResponse>) {
        self.state.lock().next.extend(responses);
    }

    /// Answers all requests with this response, after those of [`Self::answer_next`].
    pub fn answer_always(&self, response: HttpResponse) {
        self.state.lock().usual = response;
    }

    /// Answers 400 to each request whose body contains this text, whatever else is set.
    pub fn reject_bodies_with(&self, text: &str) {
        self.state.lock().rejected_text = Some(text.to_owned());
    }

    /// Answers all requests with 204, from the next one on.
    pub fn accept_all(&self) {
        let mut state = self.state.lock();
        state.next.clear();
        state.rejected_text = None;
        state.usual = HttpResponse::status(204);
    }

    /// How many requests arrived.
    #[must_use]
    pub fn delivery_count(&self) -> usize {
        self.state.lock().deliveries.len()
    }

    /// All requests so far.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state.lock().deliveries.clone()
    }

    /// The bodies of requests that were answered 2xx, in the order of arrival.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        let state = self.state.lock();
        let accepted = state
            .deliveries
            .iter()
            .filter(|it| (200..300).contains(&it.answered));
        accepted.map(Delivery::event).collect()
    }

    /// How many bytes of responses it sent.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        self.server.sent_bytes()
    }
}

impl ReceiverState {
    fn receive(&mut self, request: HttpRequest) -> HttpResponse {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let mut response = self.next.pop_front().unwrap_or_else(|| self.usual.clone());
        if self
            .rejected_text
            .as_ref()
            .is_some_and(|text| body.contains(text))
        {
            response = HttpResponse::status(400);
        }
        self.deliveries.push(Delivery {
            at: self.clock.elapsed(),
            path: match request.query.as_str() {
                "" => request.path,
                query => format!("{}?{query}", request.path),
            },
            method: request.method,
            headers: request.headers,
            body,
            answered: response.status,
        });
        response
    }
}

impl Delivery {
    /// A header by its lower-case name. Empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as JSON. `null` if it is none.
    #[must_use]
    pub fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}
