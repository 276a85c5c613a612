//! A webhook receiver that answers with a fixed sequence of replies.

use std::time::Duration;

use ucdn_simulator::{Delivery, HttpResponse, Sending};

use crate::clock::CancelToken;

/// What the receiver does with one request.
#[derive(Clone, Copy, Debug)]
pub(super) enum StubReply {
    Status(u16),
    /// 200 with this body.
    Says(&'static str),
    /// 400 if the request contains this text, else 200.
    Refuses(&'static str),
    /// 503 with this `Retry-After`.
    Later(&'static str),
    /// Never answers.
    Hang,
    /// 200 with a body of 1 GiB.
    Huge,
    /// Closes the connection without an answer.
    Close,
}

impl StubReply {
    fn response(self) -> HttpResponse {
        match self {
            Self::Status(status) => HttpResponse::status(status),
            Self::Says(body) => HttpResponse::ok(body),
            Self::Refuses(_) => HttpResponse::status(200),
            Self::Later(when) => HttpResponse::status(503).with_header("Retry-After", when),
            Self::Hang => HttpResponse::hang(),
            Self::Huge => HttpResponse::status(200).sent(Sending::Endless),
            Self::Close => HttpResponse::status(0).sent(Sending::Close),
        }
    }
}

pub(super) struct ScriptedReceiver(ucdn_simulator::StubReceiver);

impl ScriptedReceiver {
    /// Answers each request with the next reply, and repeats the last one.
    pub(super) fn start(replies: &[StubReply]) -> Self {
        let receiver = ucdn_simulator::StubReceiver::start().unwrap();
        let (last, first) = replies.split_last().unwrap();
        receiver.answer_next(first.iter().map(|reply| reply.response()));
        receiver.answer_always(last.response());
        for reply in replies {
            if let StubReply::Refuses(text) = reply {
                receiver.reject_bodies_with(text);
            }
        }
        Self(receiver)
    }

    pub(super) fn url(&self) -> String {
        format!("{}?key=s3cret", self.0.url())
    }

    pub(super) fn requests(&self) -> Vec<Delivery> {
        self.0.deliveries()
    }

    /// The ids in order of arrival, with repeats.
    pub(super) fn ids(&self) -> Vec<String> {
        let requests = self.requests();
        requests
            .iter()
            .map(|request| request.header("webhook-id").to_owned())
            .collect()
    }

    /// How many bytes of responses were sent.
    pub(super) fn bytes_sent(&self) -> u64 {
        self.0.sent_bytes()
    }

    pub(super) fn wait_for_requests(&self, count: usize) {
        wait_until(|| self.0.delivery_count() >= count);
    }
}

/// Checks the condition repeatedly, for ten seconds.
pub(super) fn wait_until(condition: impl Fn() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        CancelToken::default().sleep(Duration::from_millis(10));
    }
    panic!("it did not happen in time");
}
