//! Instances on one PostgreSQL, and what limits them: polls a second in which nothing changed, and polls a second of which
//! each commits an event; what it takes to hold targets of which none is due. With the time on a CPU that the instances and
//! the server took. `tests/postgres/run` starts the server.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use crate::measured::{Running, Usage};
use crate::place::{PRIVATE_KEY, PUBLIC_KEY, Place};
use crate::report::{Finding, Report};
use crate::sockets::Server;
use crate::statistics::{Sample, milliseconds, whole};

/// At the shortest interval they are due ten times as often, which is more than is ever reached.
const TARGETS: usize = 1_000;
/// Polled once, and then held.
const HELD: [usize; 2] = [2_000, 10_000];
/// Until each instance has its share.
const SETTLE: Duration = Duration::from_secs(12);
const WINDOW: Duration = Duration::from_secs(10);

/// What a request for single tasks has in it.
const BY_ID: &[u8] = b"TaskId";

/// No poll for so long: none is due any more.
const SILENCE: Duration = Duration::from_secs(3);

/// What the API's answers show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    /// The same task each time.
    Quiet,
    /// A task with a new status each time.
    Busy,
}

/// One window: polls a second, and cores at work.
struct Measured {
    polls: f64,
    ours: f64,
    servers: f64,
}

/// One, two and four instances.
pub(crate) fn shared(rounds: usize, report: &mut Report) -> io::Result<()> {
    let server = postgres("shared")?;
    for (list, what) in [
        (List::Quiet, "quiet polls"),
        (List::Busy, "polls that commit"),
    ] {
        for instances in [1, 2, 4] {
            let windows = measure(&server, instances, list, rounds)?;
            let figure = |of: fn(&Measured) -> f64| Sample::of(windows.iter().map(of));
            report.add(Finding {
                benchmark: "shared",
                what: format!("{what} a second, {TARGETS} targets, instances: {instances}"),
                figure: format!(
                    "{}; CPU of each: ours {}, the server's {}",
                    figure(|it| it.polls).shown(whole),
                    figure(|it| it.ours / it.polls).shown(milliseconds),
                    figure(|it| it.servers / it.polls).shown(milliseconds)
                ),
                bound: "",
            });
        }
    }
    for targets in HELD {
        let windows = hold(&server, targets, rounds)?;
        let figure = |of: fn(&Measured) -> f64| Sample::of(windows.iter().map(of));
        report.add(Finding {
            benchmark: "shared",
            what: format!("{targets} targets held, none due: CPU a second"),
            figure: format!(
                "ours {}, the server's {}",
                figure(|it| it.ours).shown(milliseconds),
                figure(|it| it.servers).shown(milliseconds)
            ),
            bound: "",
        });
    }
    Ok(())
}

/// One instance, and all polls behind it.
fn hold(server: &str, targets: usize, rounds: usize) -> io::Result<Vec<Measured>> {
    let stage = Stage::set(
        server,
        &Cast {
            instances: 1,
            targets,
            interval: "24h",
            list: List::Quiet,
        },
    )?;
    let mut before = 0;
    while stage.polls() < u64::try_from(targets).unwrap_or(u64::MAX) || stage.polls() > before {
        before = stage.polls();
        sleep(SILENCE);
    }
    let windows = (0..rounds).map(|_| stage.look());
    let windows = windows.collect::<io::Result<_>>()?;
    stage.clear()?;
    Ok(windows)
}

/// The URL of the server that was started for this benchmark.
pub(crate) fn postgres(benchmark: &str) -> io::Result<String> {
    std::env::var("UCDN_WATCH_TEST_POSTGRES").map_err(|_| {
        io::Error::other(format!(
            "run it by tests/postgres/run cargo bench --features postgres --bench whole -- {benchmark}"
        ))
    })
}

fn measure(server: &str, instances: usize, list: List, rounds: usize) -> io::Result<Vec<Measured>> {
    let stage = Stage::set(
        server,
        &Cast {
            instances,
            targets: TARGETS,
            interval: "100ms",
            list,
        },
    )?;
    sleep(SETTLE);
    let windows = (0..rounds).map(|_| stage.look());
    let windows: Vec<Measured> = windows.collect::<io::Result<_>>()?;
    stage.clear()?;
    let polled = windows.iter().all(|it| it.polls > 0.0);
    assert!(polled, "nobody polls: did the instances start?");
    Ok(windows)
}

/// Who works on what.
struct Cast {
    instances: usize,
    targets: usize,
    interval: &'static str,
    list: List,
}

/// Instances at work.
struct Stage {
    server: String,
    polls: Arc<AtomicU64>,
    running: Vec<Running>,
    _api: Server,
    _place: Place,
}

impl Stage {
    fn set(server: &str, cast: &Cast) -> io::Result<Self> {
        let polls = Arc::new(AtomicU64::new(0));
        let api = api(cast.list, Arc::clone(&polls))?;
        let place = Place::empty()?;
        place.configure(&cast.config(&api.url()))?;
        let schema = format!("bench_{:016x}", fastrand::u64(..));
        let url = format!("{server}?schema={schema}");
        let start = |_| Running::start(place.watch().env("STATE_URL", &url));
        let running = (0..cast.instances).map(start).collect::<io::Result<_>>()?;
        Ok(Self {
            server: server.to_owned(),
            polls,
            running,
            _api: api,
            _place: place,
        })
    }

    fn polls(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }

    /// What goes on in one window.
    fn look(&self) -> io::Result<Measured> {
        let begun = Instant::now();
        let before = (
            self.polls(),
            ours(&self.running)?,
            server_cpu(&self.server)?,
        );
        sleep(WINDOW);
        let seconds = begun.elapsed().as_secs_f64();
        let polls = u32::try_from(self.polls() - before.0).unwrap_or(u32::MAX);
        let of =
            |now: Duration, before: Duration| now.saturating_sub(before).as_secs_f64() / seconds;
        Ok(Measured {
            polls: f64::from(polls) / seconds,
            ours: of(ours(&self.running)?, before.1),
            servers: of(server_cpu(&self.server)?, before.2),
        })
    }

    fn clear(self) -> io::Result<()> {
        self.running.into_iter().try_for_each(Running::stop)
    }
}

impl Cast {
    fn config(&self, api: &str) -> String {
        let interval = self.interval;
        let mut text = format!(
            "state = {{ env = \"STATE_URL\" }}\n[poll]\ninterval = {interval:?}\nactive_interval = {interval:?}\n\
             [accounts.main]\nendpoint = {api:?}\npublic_key = {PUBLIC_KEY:?}\nprivate_key = {PRIVATE_KEY:?}\n\
             max_requests_per_second = 10000\n"
        );
        for target in 0..self.targets {
            let _ = write!(
                text,
                "[targets.t{target:05}]\nproject_id = \"org-{target}\"\n"
            );
        }
        text
    }
}

fn api(list: List, polls: Arc<AtomicU64>) -> io::Result<Server> {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let created = now.as_secs();
    Server::start(move |request, body| {
        // A poll reads the list, and asks for tasks in flight by their ids besides.
        let is_list = !request.body.windows(BY_ID.len()).any(|it| it == BY_ID);
        let answers = polls.fetch_add(u64::from(is_list), Ordering::Relaxed);
        let word = match list {
            List::Quiet => "process".to_owned(),
            List::Busy => format!("step-{answers}"),
        };
        let _ = io::Write::write_fmt(
            body,
            format_args!(
                r#"{{"RetCode":0,"Action":"x","TotalCount":1,"TaskList":[{{"CreateTime":{created},"Status":"{word}","TaskId":"t","UrlLists":[{{"Url":"http://img.example.com/a.jpg","Status":"{word}"}}]}}]}}"#
            ),
        );
    })
}

/// Time on a CPU, of all instances.
fn ours(running: &[Running]) -> io::Result<Duration> {
    running.iter().map(Running::cpu_of_process).sum()
}

/// Time on a CPU, of the server that listens at this URL's port, and of its processes.
fn server_cpu(url: &str) -> io::Result<Duration> {
    let port = url
        .rsplit(':')
        .next()
        .and_then(|rest| rest.split('/').next());
    let option = format!("\0-p\0{}\0", port.unwrap_or_default());
    let mut parents = Vec::new();
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        // What is no process, or has ended meanwhile, is none of the server's.
        let Ok(usage) = Usage::of(&path) else {
            continue;
        };
        let line = fs::read_to_string(path.join("cmdline")).unwrap_or_default();
        if line.contains(&option) && line.contains("postgres") {
            parents.push(usage.id);
        }
        processes.push(usage);
    }
    let is_server = |usage: &&Usage| parents.contains(&usage.id) || parents.contains(&usage.parent);
    Ok(processes.iter().filter(is_server).map(|it| it.cpu).sum())
}
