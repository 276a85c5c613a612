//! Which path is answered with what. Reads the board; whatever else it shows, it is handed a function for.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::AllowedHosts;
use crate::status::answer::{Answer, Code};
use crate::status::board::Board;
use crate::status::request::Request;

/// The daemon turns several times in this span, whatever it waits for: it is the service manager's patience, too.
const TURNS_WITHIN: Duration = Duration::from_secs(60);

/// All that is served.
pub struct Site {
    /// To whom.
    pub hosts: AllowedHosts,
    /// How things are.
    pub board: Arc<Board>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Makes the text of `/metrics`.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site")
            .field("hosts", &self.hosts)
            .field("board", &self.board)
            .finish_non_exhaustive()
    }
}

impl Site {
    /// What a request gets.
    pub(super) fn answer(&self, request: &Request) -> Answer {
        match request.path.as_str() {
            "/healthz" => self.health(),
            "/readyz" => self.readiness(),
            "/metrics" => Answer {
                content_type: "text/plain; version=0.0.4; charset=utf-8",
                ..Answer::text(Code::Ok, (self.metrics)())
            },
            _ => Answer::text(
                Code::NotFound,
                "there is no such page; there are /healthz, /readyz and /metrics\n",
            ),
        }
    }

    fn health(&self) -> Answer {
        let since = self
            .clock
            .monotonic()
            .saturating_sub(self.board.standing().turned);
        if since <= TURNS_WITHIN {
            return Answer::text(Code::Ok, "ok\n");
        }
        Answer::text(
            Code::Unavailable,
            format!("stuck: no turn of all loops for {} s\n", since.as_secs()),
        )
    }

    fn readiness(&self) -> Answer {
        let mut not_ready = String::new();
        for (name, last) in self.board.standing().targets {
            // Writing into a string can't fail.
            let _ = match last {
                None => writeln!(not_ready, "{name}: not polled yet"),
                Some(last) => match last.fault {
                    Some(fault) => writeln!(not_ready, "{name}: the last poll failed: {fault}"),
                    None => Ok(()),
                },
            };
        }
        if not_ready.is_empty() {
            return Answer::text(Code::Ok, "ok\n");
        }
        Answer::text(Code::Unavailable, not_ready)
    }
}
