//! Benchmark: several instances on one PostgreSQL. Polls per second without changes and with a commit each, and the cost of
//! holding idle targets, with the CPU time of the instances and of the server. `tests/postgres/run` starts the server.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use crate::measured::{Running, Usage};
use crate::report::{Measurement, Report};
use crate::sockets::Server;
use crate::statistics::{Sample, milliseconds, whole};
use crate::tempdir::{BenchDir, PRIVATE_KEY, PUBLIC_KEY};

/// At the shortest interval (100 ms) this asks for 10,000 polls per second.
const TARGETS: usize = 1_000;
/// Targets that are polled once and then only leased.
const LEASED: [usize; 2] = [2_000, 10_000];
/// Time until each instance has its share of the targets.
const SETTLE: Duration = Duration::from_secs(12);
const WINDOW: Duration = Duration::from_secs(10);

/// Part of a request that asks for single tasks.
const BY_ID: &[u8] = b"TaskId";

/// After this long without a poll, no target is due.
const SILENCE: Duration = Duration::from_secs(3);

/// What the API's answers show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    /// The same task each time.
    Quiet,
    /// A task with a new status each time.
    Busy,
}

/// Measured in one window: polls per second and CPU cores in use.
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
            report.add(Measurement {
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
    for targets in LEASED {
        let windows = hold(&server, targets, rounds)?;
        let figure = |of: fn(&Measured) -> f64| Sample::of(windows.iter().map(of));
        report.add(Measurement {
            benchmark: "shared",
            what: format!("{targets} idle targets leased: CPU per second"),
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

/// One instance after all its polls.
fn hold(server: &str, targets: usize, rounds: usize) -> io::Result<Vec<Measured>> {
    let stage = Setup::set(
        server,
        &Scenario {
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
    let windows = (0..rounds).map(|_| stage.measure_window());
    let windows = windows.collect::<io::Result<_>>()?;
    stage.clear()?;
    Ok(windows)
}

/// The URL of the server that was started for this benchmark.
pub(crate) fn postgres(benchmark: &str) -> io::Result<String> {
    std::env::var("UCDN_WATCH_TEST_POSTGRES").map_err(|_| {
        io::Error::other(format!(
            "run it by tests/postgres/run cargo bench --features postgres --bench e2e -- {benchmark}"
        ))
    })
}

fn measure(server: &str, instances: usize, list: List, rounds: usize) -> io::Result<Vec<Measured>> {
    let stage = Setup::set(
        server,
        &Scenario {
            instances,
            targets: TARGETS,
            interval: "100ms",
            list,
        },
    )?;
    sleep(SETTLE);
    let windows = (0..rounds).map(|_| stage.measure_window());
    let windows: Vec<Measured> = windows.collect::<io::Result<_>>()?;
    stage.clear()?;
    let polled = windows.iter().all(|it| it.polls > 0.0);
    assert!(polled, "no instance polls: did they start?");
    Ok(windows)
}

/// Instances and their targets.
struct Scenario {
    instances: usize,
    targets: usize,
    interval: &'static str,
    list: List,
}

/// Running instances.
struct Setup {
    server: String,
    polls: Arc<AtomicU64>,
    running: Vec<Running>,
    _api: Server,
    _dir: BenchDir,
}

impl Setup {
    fn set(server: &str, scenario: &Scenario) -> io::Result<Self> {
        let polls = Arc::new(AtomicU64::new(0));
        let api = api(scenario.list, Arc::clone(&polls))?;
        let dir = BenchDir::empty()?;
        dir.configure(&scenario.config(&api.url()))?;
        let schema = format!("bench_{:016x}", fastrand::u64(..));
        let url = format!("{server}?schema={schema}");
        let start = |_| Running::start(dir.watch().env("STATE_URL", &url));
        let running = (0..scenario.instances)
            .map(start)
            .collect::<io::Result<_>>()?;
        Ok(Self {
            server: server.to_owned(),
            polls,
            running,
            _api: api,
            _dir: dir,
        })
    }

    fn polls(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }

    /// Measures one window.
    fn measure_window(&self) -> io::Result<Measured> {
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

impl Scenario {
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
        // A poll reads the list and also asks for tasks in flight by id. Only the first counts as a poll.
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

/// CPU time of all instances.
fn ours(running: &[Running]) -> io::Result<Duration> {
    running.iter().map(Running::cpu_of_process).sum()
}

/// CPU time of the PostgreSQL server that listens on this URL's port, with its child processes.
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
        // Skips what is not a process or has just ended.
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
