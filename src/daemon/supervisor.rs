//! Worker supervision: every thread of the daemon is spawned here. A panic is always reported, and a supervised worker
//! restarts with backoff.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::error::SetupError;
use crate::clock::{CancelToken, Notify};
use crate::domain::model::WebhookName;
use crate::domain::schedule::{MAX_RETRY_DELAY, retry_delay};
use crate::domain::text::with_causes;

/// Time for threads to end by themselves, of the 2 s that a stop may take. A thread that is still resolving a name or
/// connecting is left behind. The next start repeats its work.
pub(super) const JOIN_TIMEOUT: Duration = Duration::from_millis(1500);

/// Runs `work` on a new thread and then `on_exit` on the same thread: with the result of `work`, or with `None` if it
/// panicked.
pub(super) fn spawn_guarded<R: Send + 'static>(
    thread_name: String,
    work: impl FnOnce() -> R + Send + 'static,
    on_exit: impl FnOnce(Option<R>) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name(thread_name).spawn(move || {
        let mut guard = ExitGuard {
            result: None,
            on_exit: Some(on_exit),
        };
        guard.result = Some(work());
    })
}

/// Waits for all `threads`, for at most `timeout`. Returns whether all of them ended.
pub(super) fn join_all(threads: Vec<JoinHandle<()>>, timeout: Duration) -> bool {
    let (sender, joined) = mpsc::channel();
    let waiter = Builder::new().name("join".to_owned()).spawn(move || {
        for thread in threads {
            // The panic hook has reported a panic already.
            let _ = thread.join();
        }
        let _ = sender.send(());
    });
    waiter.is_ok() && joined.recv_timeout(timeout).is_ok()
}

/// Calls `on_exit` when it is dropped, which a panic does too.
struct ExitGuard<R, F: FnOnce(Option<R>)> {
    result: Option<R>,
    on_exit: Option<F>,
}

impl<R, F: FnOnce(Option<R>)> Drop for ExitGuard<R, F> {
    fn drop(&mut self) {
        if let Some(on_exit) = self.on_exit.take() {
            on_exit(self.result.take());
        }
    }
}

/// Work for a supervised thread.
pub(super) struct Worker {
    /// Works until the stop of the [`Notify`].
    pub(super) run: Box<dyn FnOnce(&Notify) + Send>,
    /// Ends the network call under way. Comes after the stop, so that the worker does not take it for a failure.
    pub(super) abort: Box<dyn Fn() + Send>,
}

/// Makes a new [`Worker`] for each start of the thread.
pub(super) type WorkerFactory = Box<dyn FnMut() -> Result<Worker, SetupError> + Send>;

/// What a [`WorkerSupervisor`] keeps running. `Display` shows it as fields of a log line.
#[derive(Clone, Debug)]
pub(super) enum WorkerId {
    Delivery(WebhookName),
    Heartbeat,
    Textfile,
}

/// Keeps one worker running: at most one thread at a time, restarted with backoff after a panic.
pub(super) struct WorkerSupervisor {
    id: WorkerId,
    factory: WorkerFactory,
    /// Made in advance, for the first start.
    first: Option<Worker>,
    /// Wakes the worker, and carries the order to stop.
    notify: Notify,
    running: Option<RunningWorker>,
    /// Panics and failed starts in a row.
    failures: u32,
    /// No restart before this, by the monotonic clock.
    restart_at: Duration,
}

/// The thread of a worker. After a reload it may be a thread of the previous config, which was asked to stop.
struct RunningWorker {
    /// By the monotonic clock.
    started: Duration,
    exit: Arc<OnceLock<WorkerExit>>,
    stop: CancelToken,
    abort: Box<dyn Fn() + Send>,
    thread: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WorkerExit {
    Returned,
    Panicked,
}

impl WorkerSupervisor {
    /// Starts nothing yet; see [`Self::ensure_running`].
    pub(super) fn new(id: WorkerId, first: Worker, factory: WorkerFactory) -> Self {
        Self {
            id,
            factory,
            first: Some(first),
            notify: Notify::new(&CancelToken::default()),
            running: None,
            failures: 0,
            restart_at: Duration::ZERO,
        }
    }

    /// Wakes the worker. Lasts over restarts.
    pub(super) fn notifier(&self) -> &Notify {
        &self.notify
    }

    /// Starts the worker if it is not running and its backoff is over. The exit of its thread notifies `daemon`.
    pub(super) fn ensure_running(&mut self, now: Duration, daemon: &Notify) {
        if let Some(exited) = self.running.take_if(|running| running.has_exited()) {
            self.handle_exit(&exited, now);
        }
        if self.is_idle() && self.restart_at <= now {
            self.spawn(now, daemon);
        }
    }

    /// When to call [`Self::ensure_running`] next. `None` while a thread runs, because its exit notifies the daemon.
    pub(super) fn restart_due(&self) -> Option<Duration> {
        self.is_idle().then_some(self.restart_at)
    }

    /// Replaces the supervisor of the previous config. The worker starts when the old one has ended the call under way.
    pub(super) fn take_over(&mut self, mut old: Self) {
        old.request_stop();
        self.running = old.running.take();
    }

    /// Asks the worker to stop after the call under way.
    pub(super) fn request_stop(&self) {
        self.notify.stop().cancel();
        if let Some(running) = &self.running {
            running.stop.cancel();
        }
    }

    /// Asks the worker to stop and ends the call under way.
    pub(super) fn stop_now(&self) {
        self.request_stop();
        if let Some(running) = &self.running {
            (running.abort)();
        }
    }

    /// The thread, for [`join_all`] after [`Self::stop_now`].
    pub(super) fn take_thread(&mut self) -> Option<JoinHandle<()>> {
        self.running.take().map(|running| running.thread)
    }

    /// Whether no thread is at work.
    pub(super) fn has_exited(&self) -> bool {
        self.running.as_ref().is_none_or(RunningWorker::has_exited)
    }

    /// Whether no thread exists, not even an exited one that [`Self::ensure_running`] has yet to look at.
    fn is_idle(&self) -> bool {
        self.running.is_none()
    }

    fn handle_exit(&mut self, exited: &RunningWorker, now: Duration) {
        if exited.exit.get() != Some(&WorkerExit::Panicked) {
            return;
        }
        if now.saturating_sub(exited.started) > MAX_RETRY_DELAY {
            self.failures = 0;
        }
        let delay = self.back_off(now);
        // The new worker repeats the work that the panic interrupted.
        self.notify.notify();
        log::error!(
            "worker panicked, restarting: {} in={}s",
            self.id,
            delay.as_secs()
        );
    }

    fn spawn(&mut self, now: Duration, daemon: &Notify) {
        let made = match self.first.take() {
            Some(first) => Ok(first),
            None => (self.factory)(),
        };
        let started = made
            .map_err(|error| with_causes(&error))
            .and_then(|worker| {
                self.start(worker, now, daemon)
                    .map_err(|error| error.to_string())
            });
        if let Err(reason) = started {
            let delay = self.back_off(now);
            log::error!(
                "can't start a worker, retrying: {} in={}s reason={reason}",
                self.id,
                delay.as_secs()
            );
        }
    }

    fn start(&mut self, worker: Worker, now: Duration, daemon: &Notify) -> io::Result<()> {
        let Worker { run, abort } = worker;
        let exit = Arc::<OnceLock<_>>::default();
        let (notify, exited, daemon) = (self.notify.clone(), Arc::clone(&exit), daemon.clone());
        let thread = spawn_guarded(
            self.id.thread_name(),
            move || run(&notify),
            move |returned| {
                let _ = exited.set(match returned {
                    Some(()) => WorkerExit::Returned,
                    None => WorkerExit::Panicked,
                });
                daemon.notify();
            },
        )?;
        self.running = Some(RunningWorker {
            started: now,
            exit,
            stop: self.notify.stop().clone(),
            abort,
            thread,
        });
        Ok(())
    }

    /// Puts the next start off and returns for how long.
    fn back_off(&mut self, now: Duration) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let delay = retry_delay(self.failures);
        self.restart_at = now.saturating_add(delay);
        delay
    }
}

impl fmt::Debug for WorkerSupervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerSupervisor")
            .field("id", &self.id)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

impl RunningWorker {
    fn has_exited(&self) -> bool {
        self.exit.get().is_some()
    }
}

impl WorkerId {
    fn thread_name(&self) -> String {
        match self {
            Self::Delivery(webhook) => format!("deliver {webhook}"),
            Self::Heartbeat => "heartbeat".to_owned(),
            Self::Textfile => "textfile".to_owned(),
        }
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivery(webhook) => write!(f, "worker=delivery webhook={webhook}"),
            Self::Heartbeat => f.write_str("worker=heartbeat"),
            Self::Textfile => f.write_str("worker=textfile"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Woken;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A supervisor whose workers send their number at each notification, and panic until the `healthy`th.
    fn supervisor(healthy: u32) -> (WorkerSupervisor, mpsc::Receiver<u32>) {
        let (sender, notified) = mpsc::channel();
        let mut started = 0;
        let mut factory: WorkerFactory = Box::new(move || {
            started += 1;
            let (number, sender) = (started, sender.clone());
            Ok(Worker {
                run: Box::new(move |notify| {
                    while notify.wait(None) != Woken::Stopped {
                        sender.send(number).unwrap();
                        assert!(number >= healthy, "this worker panics");
                    }
                }),
                abort: Box::new(|| {}),
            })
        });
        let first = factory().unwrap();
        (
            WorkerSupervisor::new(WorkerId::Textfile, first, factory),
            notified,
        )
    }

    fn daemon() -> Notify {
        Notify::new(&CancelToken::default())
    }

    #[test]
    fn a_panicked_worker_restarts_with_backoff_and_repeats_its_work() {
        let (mut supervisor, notified) = supervisor(3);
        let daemon = daemon();
        let mut now = seconds(100);
        supervisor.ensure_running(now, &daemon);
        supervisor.notifier().notify();
        for (panicked, delay) in [(1, 1), (2, 2)] {
            assert_eq!(notified.recv(), Ok(panicked));
            assert_eq!(daemon.wait(None), Woken::Notified);
            supervisor.ensure_running(now, &daemon);
            assert_eq!(supervisor.restart_due(), Some(now + seconds(delay)));
            now += seconds(delay);
            supervisor.ensure_running(now, &daemon);
        }
        assert_eq!(notified.recv(), Ok(3));
        supervisor.stop_now();
        assert!(join_all(
            supervisor.take_thread().into_iter().collect(),
            seconds(60)
        ));
    }

    #[test]
    fn a_worker_of_a_new_config_starts_when_the_old_one_has_stopped() {
        let (mut old, notified) = supervisor(0);
        let daemon = daemon();
        old.ensure_running(seconds(0), &daemon);
        let (mut new, _) = supervisor(0);
        new.take_over(old);
        assert_eq!(new.restart_due(), None);
        assert_eq!(daemon.wait(None), Woken::Notified);
        assert!(new.has_exited() && notified.try_recv().is_err());
        new.ensure_running(seconds(0), &daemon);
        assert!(!new.has_exited());
        new.stop_now();
    }

    #[test]
    fn the_end_of_a_guarded_thread_is_reported_also_after_a_panic() {
        for panics in [false, true] {
            let (sender, ended) = mpsc::channel();
            let work = move || {
                assert!(!panics, "this thread panics");
                7
            };
            let thread = spawn_guarded("test".to_owned(), work, move |result| {
                sender.send(result).unwrap();
            });
            assert_eq!(ended.recv(), Ok((!panics).then_some(7)));
            assert_eq!(thread.unwrap().join().is_err(), panics);
        }
    }
}
