//! Whole polls of a long list, each a process from start to end: nothing changed, some changed, all new; and beside them
//! the floor and the script.

use std::io;

use crate::floor;
use crate::list_server::{ListServer, ListSize};
use crate::measured::{Cost, run};
use crate::place::{Config, Place};
use crate::report::{Finding, Report};
use crate::script::Script;
use crate::statistics::{Sample, mebibytes, milliseconds, times, whole};

/// Reads the list in pages of a thousand.
pub(crate) const POLL: &str = "page_size = 1000";
/// Each hundredth task.
pub(crate) const CHANGED: usize = 100;
/// How a poll may end: with or without tasks that newly failed.
const ENDS: &[i32] = &[0, 1];
/// How long the list is that is read many times.
const LIST: ListSize = ListSize {
    tasks: 200_000,
    urls: 5,
};

/// A list, and a state that knows it.
struct Stage {
    server: ListServer,
    place: Place,
    forms: Vec<String>,
}

impl Stage {
    fn set(size: ListSize) -> io::Result<Self> {
        let mut server = ListServer::start(size)?;
        let place = Place::new(&Config {
            api: &server.url,
            poll: POLL,
            webhooks: Vec::new(),
        })?;
        run(&mut place.once(), ENDS)?;
        server.forget_requests()?;
        // What the first poll learned of the paging shortens the second.
        run(&mut place.once(), ENDS)?;
        let forms = server.requests()?;
        Ok(Self {
            server,
            place,
            forms,
        })
    }

    fn floor(&self) -> io::Result<Cost> {
        floor::run(&self.server.url, &self.forms)
    }

    fn quiet(&self) -> io::Result<Cost> {
        run(&mut self.place.once(), ENDS)
    }

    fn busy(&mut self) -> io::Result<Cost> {
        self.server.change(CHANGED)?;
        self.quiet()
    }
}

/// The quiet poll against the floor.
pub(crate) fn quiet(rounds: usize, report: &mut Report) -> io::Result<()> {
    let (quiets, floors) = side_by_side(LIST, rounds)?;
    let mut add = |what: &str, figure, bound| {
        report.add(Finding {
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
    add("the floor: CPU", cpu(&floors).shown(milliseconds), "");
    add(
        "quiet poll: CPU over the floor's",
        ratio(&quiets, &floors).shown(times),
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
    let mut stage = Stage::set(LIST)?;
    let mut quiets = Vec::new();
    let mut busies = Vec::new();
    for _ in 0..rounds {
        quiets.push(stage.quiet()?);
        busies.push(stage.busy()?);
    }
    let mut add = |what: &str, figure, bound| {
        report.add(Finding {
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
    let one = crate::syncs::one(stage.place.folder())?;
    add("one sync of this disk", one.shown(milliseconds), "");
    stage.server.change(CHANGED)?;
    if let Some(syncs) = crate::syncs::count(&stage.place)? {
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
        let place = Place::new(&Config {
            api: &server.url,
            poll: POLL,
            webhooks: Vec::new(),
        })?;
        ours.push(run(&mut place.once(), ENDS)?);
        state_bytes.push(float(std::fs::metadata(place.state())?.len()) / 200_000.0);
        let snapshot = place.folder().join("snapshot.json");
        theirs.push(run(&mut script.command(&server.url, &snapshot), &[0])?);
    }
    for (who, costs) in [("ours", &ours), ("the script's", &theirs)] {
        let rates = costs.iter().map(|it| 200_000.0 / it.elapsed.as_secs_f64());
        report.add(Finding {
            benchmark: "first",
            what: format!("first poll, {who}: tasks a second"),
            figure: Sample::of(rates).shown(whole),
            bound: "",
        });
    }
    let mut add = |what: &str, figure| {
        report.add(Finding {
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
    let stage = Stage::set(LIST)?;
    let snapshot = stage.place.folder().join("snapshot.json");
    let script = || run(&mut script.command(&stage.server.url, &snapshot), &[0]);
    script()?;
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..rounds {
        ours.push(stage.quiet()?);
        theirs.push(script()?);
    }
    let mut add = |what: &str, figure, bound| {
        report.add(Finding {
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

/// Lists of four lengths, and the floor beside each. The start of either process, measured with an empty list, is taken off.
pub(crate) fn growth(rounds: usize, report: &mut Report) -> io::Result<()> {
    let long = |tasks| ListSize { tasks, urls: 5 };
    let (empty, empty_floor) = side_by_side(long(0), rounds * 4)?;
    for tasks in [1_000, 10_000, 100_000, 1_000_000] {
        // A short list's poll is over in no time: more of them tell as much.
        let (costs, floors) = side_by_side(long(tasks), rounds * (100_000 / tasks).clamp(1, 10))?;
        let each = |costs: &[Cost], start: &[Cost]| {
            let start = cpu(start).median();
            let each = costs
                .iter()
                .map(|it| (it.cpu.as_secs_f64() - start) / float(tasks as u64));
            Sample::of(each).shown(|it| format!("{:.2} µs", it * 1e6))
        };
        report.add(Finding {
            benchmark: "growth",
            what: format!("quiet poll of {tasks} tasks: CPU a task; the floor's; peak RSS"),
            figure: format!(
                "{}; {}; {}",
                each(&costs, &empty),
                each(&floors, &empty_floor),
                memory(&costs).shown(mebibytes)
            ),
            bound: "flat within 20 %",
        });
    }
    Ok(())
}

/// Quiet polls, and the floor, by turns.
fn side_by_side(size: ListSize, rounds: usize) -> io::Result<(Vec<Cost>, Vec<Cost>)> {
    let stage = Stage::set(size)?;
    let mut quiets = Vec::new();
    let mut floors = Vec::new();
    for _ in 0..rounds {
        floors.push(stage.floor()?);
        quiets.push(stage.quiet()?);
    }
    Ok((quiets, floors))
}

fn cpu(costs: &[Cost]) -> Sample {
    Sample::of(costs.iter().map(|it| it.cpu.as_secs_f64()))
}

pub(crate) fn memory(costs: &[Cost]) -> Sample {
    Sample::of(costs.iter().map(|it| float(it.peak_rss_bytes)))
}

/// Of the two of each round, which ran one after the other.
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
