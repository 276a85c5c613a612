//! A courier's place: sees to it that there is one at work, and never two. One that died of a fault of the program's own is
//! followed by another, as after a restart: what it had in hand is in the state.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::workers::SetupError;
use crate::clock::{CancelToken, Notify};
use crate::deliver::{DeliveryWorker, WorkerStatus};
use crate::domain::model::WebhookName;
use crate::domain::schedule::{LONGEST_RENEWAL_DELAY, renewal_delay};
use crate::domain::text::with_causes;

/// A new courier for a webhook.
pub(super) type Hire = Box<dyn Fn() -> Result<DeliveryWorker, SetupError> + Send>;

/// A courier's place. Times are monotonic.
pub(super) struct Desk {
    name: WebhookName,
    hire: Hire,
    /// Until it is started.
    courier: Option<DeliveryWorker>,
    /// Wakes the courier, and tells it to stop.
    pub(super) bell: Notify,
    pub(super) status: Arc<WorkerStatus>,
    /// Ends the call under way.
    cut: Box<dyn Fn() + Send>,
    shift: Option<Shift>,
    /// Of a config before: two at once would break the order.
    predecessor: Option<Shift>,
    /// Couriers that died, or could not begin, one after the other.
    failures: u32,
    /// When the next one begins.
    due: Duration,
}

/// A courier at work.
pub(super) struct Shift {
    since: Duration,
    ended: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Says that a courier's work has ended, when it is dropped: a panic does that too.
struct Ending {
    ended: Arc<AtomicBool>,
    daemon: Notify,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("name", &self.name)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        self.daemon.notify();
    }
}

impl Shift {
    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

impl Desk {
    /// With a courier, who does not work yet.
    pub(super) fn new(name: WebhookName, hire: Hire) -> Result<Self, SetupError> {
        let courier = hire()?;
        Ok(Self {
            name,
            bell: Notify::new(&CancelToken::default()),
            status: courier.status(),
            cut: cut_of(&courier),
            courier: Some(courier),
            hire,
            shift: None,
            predecessor: None,
            failures: 0,
            due: Duration::ZERO,
        })
    }

    /// Tells its courier to end after the call under way.
    pub(super) fn dismiss(&self) {
        self.bell.stop().cancel();
    }

    /// Whether no courier of it, nor of its predecessor, is at work any more: to be asked of one that is dismissed.
    pub(super) fn is_left(&self) -> bool {
        let mut shifts = self.shift.iter().chain(&self.predecessor);
        shifts.all(Shift::has_ended)
    }

    /// Begins when the courier of that desk, who is dismissed, has ended.
    pub(super) fn succeed_to(&mut self, mut old: Self) {
        self.predecessor = old.shift.take().or_else(|| old.predecessor.take());
    }

    /// Hands its courier out, if it has not begun.
    pub(super) fn take_courier(&mut self) -> Option<DeliveryWorker> {
        self.courier.take()
    }

    /// Lets a courier begin where there is none at work. `daemon` rings when this is to be called again; so does
    /// [`Self::due`] say.
    pub(super) fn tend(&mut self, now: Duration, daemon: &Notify) {
        if let Some(dead) = self.shift.take_if(|shift| shift.has_ended()) {
            self.courier_died(&dead, now);
        }
        self.predecessor.take_if(|shift| shift.has_ended());
        if self.is_vacant() && self.due <= now {
            self.fill(now, daemon);
        }
    }

    /// When there is something to tend that nobody rings for.
    pub(super) fn due(&self) -> Option<Duration> {
        Some(self.due).filter(|_| self.is_vacant())
    }

    pub(super) fn stop(&self) {
        // In this order: a call that is cut must not be taken for a failed try.
        self.dismiss();
        (self.cut)();
    }

    /// To be waited for, after [`Self::stop`].
    pub(super) fn take_threads(&mut self) -> impl Iterator<Item = JoinHandle<()>> + use<> {
        let shifts = [self.shift.take(), self.predecessor.take()];
        shifts.into_iter().flatten().map(|shift| shift.thread)
    }

    pub(super) fn is_stuck(&self, now: Duration, after: Duration) -> bool {
        let status = self.status.snapshot();
        let until = status.last_turn.max(status.busy_until.unwrap_or_default());
        // One that has only begun has not turned at all.
        let turned = self.shift.is_some() && !status.last_turn.is_zero();
        turned && now > until.saturating_add(after)
    }

    fn is_vacant(&self) -> bool {
        self.shift.is_none() && self.predecessor.is_none()
    }

    fn courier_died(&mut self, dead: &Shift, now: Duration) {
        if now.saturating_sub(dead.since) > LONGEST_RENEWAL_DELAY {
            self.failures = 0;
        }
        let delay = self.put_off(now);
        log::error!(
            "deliveries died of a fault of this program, beginning anew: webhook={} in={}s",
            self.name,
            delay.as_secs()
        );
    }

    /// What could not be done is due again after this long.
    fn put_off(&mut self, now: Duration) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let delay = renewal_delay(self.failures);
        self.due = now.saturating_add(delay);
        delay
    }

    fn fill(&mut self, now: Duration, daemon: &Notify) {
        let courier = match self.courier.take() {
            Some(first) => Ok(first),
            None => (self.hire)().map(|next| next.in_place_of(&self.status)),
        };
        let courier = match courier {
            Ok(courier) => courier,
            Err(error) => {
                self.put_off(now);
                let error = with_causes(&error);
                log::error!("deliveries can't begin anew, trying again later: {error}");
                return;
            }
        };
        self.cut = cut_of(&courier);
        self.start(courier, now, daemon);
    }

    fn start(&mut self, mut courier: DeliveryWorker, now: Duration, daemon: &Notify) {
        let bell = self.bell.clone();
        let ended = Arc::<AtomicBool>::default();
        let ending = Ending {
            ended: Arc::clone(&ended),
            daemon: daemon.clone(),
        };
        let started = Builder::new()
            .name(format!("deliver {}", self.name))
            .spawn(move || {
                let _ending = ending;
                courier.run(&bell);
            });
        match started {
            Ok(thread) => {
                self.shift = Some(Shift {
                    since: now,
                    ended,
                    thread,
                });
            }
            Err(error) => {
                self.put_off(now);
                log::error!(
                    "no thread for deliveries, trying again later: webhook={} reason={error}",
                    self.name
                );
            }
        }
    }
}

fn cut_of(courier: &DeliveryWorker) -> Box<dyn Fn() + Send> {
    let client = courier.http_client();
    Box::new(move || client.shut_down())
}
