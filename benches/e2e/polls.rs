//! Benchmark: polls of a long list, each a whole process (nothing changed, some tasks changed, all new), beside the baseline
//! and the SDK script.

use std::io;

use crate::baseline;
use crate::list_server::{ListServer, ListSize};
use crate::measured::{Cost, run};
use crate::report::{Measurement, Report};
use crate::script::Script;
use crate::statistics::{Sample, mebibytes, milliseconds, times, whole};
use crate::tempdir::{BenchDir, Config};

/// `[poll]` settings of the benchmarks: pages of 1,000 tasks.
pub(crate) const POLL: &str = "page_size = 1000";
/// Every hundredth task changes.
pub(crate) const CHANGED: usize = 100;
/// Exit codes of a good `--once` run: without and with newly failed tasks.
const ENDS: &[i32] = &[0, 1];
/// The list of the quiet, busy, first and script benchmarks.
const LIST: ListSize = ListSize {
    tasks: 200_000,
    urls: 5,
};

/// A served list, and a state that already holds it.
struct Setup {
    server: ListServer,
    dir: BenchDir,
    forms: Vec<String>,
}

impl Setup {
    fn set(size: ListSize) -> io::Result<Self> {
        let mut server = ListServer::start(size)?;
        let dir = BenchDir::new(&Config {
            api: &server.url,
            poll: POLL,
            webhooks: Vec::new(),
        })?;
        run(&mut dir.once(), ENDS)?;
        server.forget_requests()?;
        // The second poll is shorter: the first one recorded how the server pages.
        run(&mut dir.once(), ENDS)?;
        let forms = server.requests()?;
        Ok(Self { server, dir, forms })
    }

    fn baseline(&self) -> io::Result<Cost> {
        baseline::run(&self.server.url, &self.forms)
    }

    fn quiet(&self) -> io::Result<Cost> {
        run(&mut self.dir.once(), ENDS)
    }

    fn busy(&mut self) -> io::Result<Cost> {
        self.server.change(CHANGED)?;
        self.quiet()
    }
}

/// The quiet poll against the baseline.
pub(crate) fn quiet(rounds: usize, report: &mut Report) -> io::Result<()> {
    let (quiets, baselines) = side_by_side(LIST, rounds)?;
    let mut add = |what: &str, figure, bound| {
        report.add(Measurement {
            benchmark: "quiet",
            what: what.to_owned(),
            figure,
            bound,
        });
    };
    add(
        "quiet poll of 200,000 tasks × 5 URLs: CPU",
        cpu(&quiets).shown(milliseconds),
        "",
    );
    add("the baseline: CPU", cpu(&baselines).shown(milliseconds), "");
    add(
        "quiet poll: CPU over the baseline's",
        ratio(&quiets, &baselines).shown(times),
        "≤ 2.0",
    );
    add(
        "quiet poll: peak RSS",
        memory(&quiets).shown(mebibytes),
        "≤ 24 MiB",
    );
    let written = quiets.iter().map(|it| float(it.written_bytes));
    add(
        "quiet poll: bytes written to disk",
        Sample::of(written).shown(whole),
        "0",
    );
    Ok(())
}

/// The busy poll against the quiet one.
pub(crate) fn busy(rounds: usize, report: &mut Report) -> io::Result<()> {
    let mut stage = Setup::set(LIST)?;
    let mut quiets = Vec::new();
    let mut busies = Vec::new();
    for _ in 0..rounds {
        quiets.push(stage.quiet()?);
        busies.push(stage.busy()?);
    }
    let mut add = |what: &str, figure, bound| {
        report.add(Measurement {
            benchmark: "busy",
            what: what.to_owned(),
            figure,
            bound,
        });
    };
    add(
        "busy poll, 1 % of the tasks changed: CPU",
        cpu(&busies).shown(milliseconds),
        "",
    );
    add(
        "busy poll: CPU over the quiet poll's",
        ratio(&busies, &quiets).shown(times),
        "≤ 1.3",
    );
    add("busy poll: peak RSS", memory(&busies).shown(mebibytes), "");
    let one = crate::syncs::one(stage.dir.folder())?;
    add("one sync of this disk", one.shown(milliseconds), "");
    stage.server.change(CHANGED)?;
    if let Some(syncs) = crate::syncs::count(&stage.dir)? {
        let figure = format!("{syncs} for {} pages", stage.forms.len());
        add("busy poll: syncs of files", figure, "≤ 1 a page");
    }
    Ok(())
}

/// The first poll against the script's.
pub(crate) fn first(rounds: usize, report: &mut Report) -> io::Result<()> {
    let script = Script::install()?;
    let server = ListServer::start(LIST)?;
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    let mut state_bytes = Vec::new();
    for _ in 0..rounds {
        let dir = BenchDir::new(&Config {
            api: &server.url,
            poll: POLL,
            webhooks: Vec::new(),
        })?;
        ours.push(run(&mut dir.once(), ENDS)?);
        state_bytes.push(float(std::fs::metadata(dir.state())?.len()) / 200_000.0);
        let snapshot = dir.folder().join("snapshot.json");
        theirs.push(run(&mut script.command(&server.url, &snapshot), &[0])?);
    }
    for (who, costs) in [("ours", &ours), ("the script's", &theirs)] {
        let rates = costs.iter().map(|it| 200_000.0 / it.elapsed.as_secs_f64());
        report.add(Measurement {
            benchmark: "first",
            what: format!("first poll, {who}: tasks a second"),
            figure: Sample::of(rates).shown(whole),
            bound: "",
        });
    }
    let mut add = |what: &str, figure| {
        report.add(Measurement {
            benchmark: "first",
            what: what.to_owned(),
            figure,
            bound: "",
        });
    };
    add(
        "first poll: the script's CPU over ours",
        ratio(&theirs, &ours).shown(times),
    );
    add(
        "the state's file: bytes a task of 5 URLs",
        Sample::of(state_bytes).shown(whole),
    );
    Ok(())
}

/// The script against the quiet poll.
pub(crate) fn script(rounds: usize, report: &mut Report) -> io::Result<()> {
    let script = Script::install()?;
    let stage = Setup::set(LIST)?;
    let snapshot = stage.dir.folder().join("snapshot.json");
    let script = || run(&mut script.command(&stage.server.url, &snapshot), &[0]);
    script()?;
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..rounds {
        ours.push(stage.quiet()?);
        theirs.push(script()?);
    }
    let mut add = |what: &str, figure, bound| {
        report.add(Measurement {
            benchmark: "script",
            what: what.to_owned(),
            figure,
            bound,
        });
    };
    add(
        "the script, nothing changed: CPU",
        cpu(&theirs).shown(milliseconds),
        "",
    );
    add(
        "the script's CPU over ours",
        ratio(&theirs, &ours).shown(times),
        "≥ 30",
    );
    add(
        "the script, nothing changed: peak RSS",
        memory(&theirs).shown(mebibytes),
        "",
    );
    let ratios = theirs.iter().zip(&ours);
    let ratios = ratios.map(|(a, b)| float(a.peak_rss_bytes) / float(b.peak_rss_bytes));
    add(
        "the script's peak RSS over ours",
        Sample::of(ratios).shown(times),
        "≥ 10",
    );
    Ok(())
}

/// Polls of lists of four lengths, each beside the baseline. The cost of an empty list, measured first, is subtracted.
pub(crate) fn growth(rounds: usize, report: &mut Report) -> io::Result<()> {
    let long = |tasks| ListSize { tasks, urls: 5 };
    let (empty, empty_baseline) = side_by_side(long(0), rounds * 4)?;
    for tasks in [1_000, 10_000, 100_000, 1_000_000] {
        // A poll of a short list is quick, so it is repeated more often.
        let (costs, baselines) =
            side_by_side(long(tasks), rounds * (100_000 / tasks).clamp(1, 10))?;
        let each = |costs: &[Cost], start: &[Cost]| {
            let start = cpu(start).median();
            let each = costs
                .iter()
                .map(|it| (it.cpu.as_secs_f64() - start) / float(tasks as u64));
            Sample::of(each).shown(|it| format!("{:.2} µs", it * 1e6))
        };
        report.add(Measurement {
            benchmark: "growth",
            what: format!("quiet poll of {tasks} tasks: CPU a task; the baseline's; peak RSS"),
            figure: format!(
                "{}; {}; {}",
                each(&costs, &empty),
                each(&baselines, &empty_baseline),
                memory(&costs).shown(mebibytes)
            ),
            bound: "flat within 20 %",
        });
    }
    Ok(())
}

/// Alternates quiet polls and the baseline.
fn side_by_side(size: ListSize, rounds: usize) -> io::Result<(Vec<Cost>, Vec<Cost>)> {
    let stage = Setup::set(size)?;
    let mut quiets = Vec::new();
    let mut baselines = Vec::new();
    for _ in 0..rounds {
        baselines.push(stage.baseline()?);
        quiets.push(stage.quiet()?);
    }
    Ok((quiets, baselines))
}

fn cpu(costs: &[Cost]) -> Sample {
    Sample::of(costs.iter().map(|it| it.cpu.as_secs_f64()))
}

pub(crate) fn memory(costs: &[Cost]) -> Sample {
    Sample::of(costs.iter().map(|it| float(it.peak_rss_bytes)))
}

/// Ratio of the two runs of each round.
fn ratio(costs: &[Cost], rivals: &[Cost]) -> Sample {
    let pairs = costs.iter().zip(rivals);
    Sample::of(pairs.map(|(a, b)| a.cpu.as_secs_f64() / b.cpu.as_secs_f64()))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "far below the numbers that lose any"
)]
fn float(number: u64) -> f64 {
    number as f64
}
