//! What the API answered, poll by poll, and what must have been told for it: a second, slow and simple reading of the
//! contract, which shares nothing with the program's.
//!
//! What a poll was answered just before it was killed may have been committed, or not; everything else must have been.
//! So more than one history may be right, and each of them is followed as far as it fits what was told.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use ucdn_simulator::ResponseRecord;

use super::run::{Ending, Lived, RUN_HEADER};
use super::stage::OLD;
use super::told::{Told, UrlChange};

const FAIL_AFTER: u32 = 3;

/// One target's polls, in order.
pub(super) struct Polls(Vec<Poll>);

/// One poll.
struct Poll {
    /// What it was answered: an answer that broke off, or that is an error, shows nothing.
    answers: Vec<Option<Vec<Task>>>,
    certainty: Certainty,
    beginning: Beginning,
}

/// Whether a first page begins a poll: a walk may also step back to it, if its pages don't fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beginning {
    Certain,
    /// It may be the same poll as the one before.
    Perhaps,
}

/// Whether the program certainly committed what it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    Committed,
    /// It died, or was stopped, meanwhile.
    Perhaps,
}

/// A task as an answer shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Task {
    id: String,
    status: String,
    urls: BTreeMap<String, String>,
}

/// One sight of a task.
struct Sight<'a> {
    poll: usize,
    certainty: Certainty,
    task: &'a Task,
    /// Together with what an earlier page of the poll showed of it: if pages may cut tasks, two sights are taken for two
    /// parts, and of a URL in both the worse status holds until the next poll.
    merged: Option<Task>,
}

/// What is known of a task after a while, and how many of its events have been told by then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct History {
    known: Option<Task>,
    stalled: bool,
    told: usize,
}

impl Polls {
    /// The polls whose action has this word in it.
    pub(super) fn of(answers: &[ResponseRecord], action: &str, lived: &[Lived]) -> Self {
        let is_asked = |it: &&ResponseRecord| {
            let asked = it.request.action.as_deref().unwrap_or_default();
            // The target that some configs have besides is about another list of the same kind.
            asked.contains(action) && it.request.is_dcdn.is_none()
        };
        let mut answers: Vec<&ResponseRecord> = answers.iter().filter(is_asked).collect();
        // A request of a dying run may be read only after one of the next run.
        answers.sort_by_key(|it| (run(it), it.request.number));
        let mut polls = Vec::new();
        for of_run in answers.chunk_by(|a, b| run(a) == run(b)) {
            polls.extend(polls_of_run(of_run));
            if let Some(last) = polls.last_mut()
                && lived[run(of_run[0])].ending != Ending::Done
            {
                last.certainty = Certainty::Perhaps;
            }
        }
        Self(polls)
    }

    /// The last one that may be of the same poll as this.
    fn end(&self, poll: usize) -> usize {
        let rest = self.0[poll + 1..].iter();
        poll + rest
            .take_while(|it| it.beginning == Beginning::Perhaps)
            .count()
    }

    /// Every sight of every task, in order.
    fn sights(&self) -> BTreeMap<&str, Vec<Sight<'_>>> {
        let mut sights: BTreeMap<&str, Vec<Sight<'_>>> = BTreeMap::new();
        for (number, poll) in self.0.iter().enumerate() {
            for task in poll.answers.iter().flatten().flatten() {
                let of_task = sights.entry(&task.id).or_default();
                let mut merged = None;
                // Pages overlap: of two sights in one poll, the first may have been laid under the second.
                if let Some(before) = of_task.last_mut().filter(|it| it.poll == number) {
                    before.certainty = Certainty::Perhaps;
                    merged = before.merged.as_ref().unwrap_or(before.task).with(task);
                }
                of_task.push(Sight {
                    poll: number,
                    certainty: poll.certainty,
                    task,
                    merged,
                });
            }
        }
        sights
    }
}

fn run(answer: &ResponseRecord) -> usize {
    answer.request.headers[RUN_HEADER].parse().unwrap()
}

/// A poll begins with the list's first page.
fn polls_of_run(answers: &[&ResponseRecord]) -> Vec<Poll> {
    let begins =
        |it: &ResponseRecord| it.request.offset.unwrap_or(0) == 0 && it.request.task_ids.is_empty();
    let mut before: Option<&ResponseRecord> = None;
    answers
        .chunk_by(|_, next| !begins(next))
        .map(|answers| Poll {
            answers: answers.iter().map(|it| tasks(it)).collect(),
            certainty: Certainty::Committed,
            beginning: beginning(before.replace(answers[answers.len() - 1]), answers[0]),
        })
        .collect()
}

fn beginning(before: Option<&ResponseRecord>, first: &ResponseRecord) -> Beginning {
    let window = |it: &ResponseRecord| (it.request.begin, it.request.end);
    let may_step_back = |it: &ResponseRecord| {
        it.request.offset > Some(0) && window(it) == window(first) && tasks(it).is_some()
    };
    if before.is_some_and(may_step_back) {
        Beginning::Perhaps
    } else {
        Beginning::Certain
    }
}

fn tasks(answer: &ResponseRecord) -> Option<Vec<Task>> {
    let body: Value = serde_json::from_str(answer.body.as_deref()?).ok()?;
    let is_good = answer.status == 200 && body["RetCode"] == 0;
    is_good.then(|| {
        body["TaskList"]
            .as_array()
            .unwrap()
            .iter()
            .map(Task::of)
            .collect()
    })
}

impl Task {
    fn of(value: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let urls = value["UrlLists"].as_array().unwrap().iter();
        Self {
            id: text(&value["TaskId"]),
            status: text(&value["Status"]),
            urls: urls
                .map(|url| (text(&url["Url"]), text(&url["Status"])))
                .collect(),
        }
    }

    /// None for two sights that can't be parts of one.
    fn with(&self, later: &Self) -> Option<Self> {
        let mut task = self.clone();
        for (url, status) in &later.urls {
            let worst = task.urls.entry(url.clone()).or_insert(status.clone());
            if severity(status) > severity(worst) {
                worst.clone_from(status);
            }
        }
        (self.status == later.status).then_some(task)
    }

    fn is_finished(&self) -> bool {
        matches!(self.status.as_str(), "success" | "failure")
    }
}

/// The further from success, the worse.
fn severity(status: &str) -> (usize, &str) {
    let known = ["success", "process", "wait", "unknow", "failure"];
    let rank = known.iter().position(|it| *it == status);
    (rank.unwrap(), status)
}

/// Each task's events are those that its sights give, and events come in the order of the polls.
pub(super) fn assert_told_as_seen(polls: &Polls, told: &[Told]) {
    let mut by_task: BTreeMap<&str, Vec<&Told>> = BTreeMap::new();
    for told in told {
        if let Some(id) = told.task_id() {
            by_task.entry(id).or_default().push(told);
        }
    }
    let sights = polls.sights();
    let unseen = by_task.keys().find(|id| !sights.contains_key(**id));
    assert!(unseen.is_none(), "{unseen:?} was told of and never seen");
    let mut polls_of_events = BTreeMap::new();
    for (id, sights) in &sights {
        let mut told = by_task.remove(id).unwrap_or_default();
        let vanished = told.pop_if(|it| it.r#type() == "task.vanished");
        let (ends, ranges) = follow(sights, &told);
        assert!(
            !ends.is_empty(),
            "{id}: what was told is not what was seen: {told:#?}"
        );
        assert_vanished(id, polls, sights, &ends, vanished);
        polls_of_events.extend(told.iter().map(|it| it.sequence).zip(ranges));
    }
    let mut latest = (0, PollRange(0, 0));
    for (sequence, range) in polls_of_events {
        let range = PollRange(range.0, polls.end(range.1));
        assert!(
            latest.1.0 <= range.1,
            "event {sequence}, of the polls {range:?}, came after event {}, of the polls {:?}: {told:#?}",
            latest.0,
            latest.1
        );
        if latest.1.0 < range.0 {
            latest = (sequence, range);
        }
    }
}

/// The histories that fit, and the first and last poll that each event can be of.
fn follow(sights: &[Sight<'_>], told: &[&Told]) -> (Vec<History>, Vec<PollRange>) {
    let mut ranges = vec![PollRange(usize::MAX, 0); told.len()];
    let mut histories = vec![History::default()];
    for sight in sights {
        let mut next: Vec<History> = Vec::new();
        for history in &histories {
            for task in [Some(sight.task), sight.merged.as_ref()]
                .into_iter()
                .flatten()
            {
                let Some(after) = history.after(task, told) else {
                    continue;
                };
                for range in &mut ranges[history.told..after.told] {
                    *range = PollRange(range.0.min(sight.poll), range.1.max(sight.poll));
                }
                next.push(after);
            }
            if sight.certainty == Certainty::Perhaps {
                next.push(history.clone());
            }
        }
        next.dedup();
        let before = std::mem::replace(&mut histories, next);
        assert!(
            !histories.is_empty(),
            "poll {}: {:?} was seen and not told; what fitted before: {before:#?}, and then came {:#?}",
            sight.poll,
            sight.task,
            told.get(before[0].told)
        );
    }
    histories.retain(|history| history.told == told.len());
    (histories, ranges)
}

#[derive(Clone, Copy, Debug)]
struct PollRange(usize, usize);

impl History {
    /// What it is after this sight was committed; none if what was told does not fit that.
    fn after(&self, seen: &Task, told: &[&Told]) -> Option<Self> {
        let mut after = self.clone();
        if let Some(kind) = self.kind_of_change(seen) {
            let next = told.get(after.told)?;
            let previous = self.known.as_ref().map(|known| known.status.as_str());
            let fits = next.r#type() == kind
                && next.status() == Some(&seen.status)
                && next.previous_status() == previous
                && next.changes() == self.changed_urls(seen);
            fits.then_some(())?;
            after.told += 1;
        }
        if seen.id.starts_with(OLD) && !seen.is_finished() && !self.stalled {
            (told.get(after.told)?.r#type() == "task.stalled").then_some(())?;
            after.told += 1;
            after.stalled = true;
        }
        after.known = Some(seen.clone());
        Some(after)
    }

    fn kind_of_change(&self, seen: &Task) -> Option<&'static str> {
        let of_status = match seen.status.as_str() {
            "wait" => "task.wait",
            "process" => "task.process",
            "success" => "task.success",
            "failure" => "task.failure",
            _ => "task.unknown",
        };
        let changed = self.changed_urls(seen);
        match &self.known {
            None => Some(of_status),
            Some(known) if known.status != seen.status => Some(of_status),
            Some(_) if changed.is_empty() => None,
            Some(_) if changed.iter().any(|it| it.status == "failure") => Some("task.url_failure"),
            Some(_) => Some("task.progress"),
        }
    }

    fn changed_urls(&self, seen: &Task) -> BTreeSet<UrlChange> {
        let before = |url: &String| self.known.as_ref()?.urls.get(url).cloned();
        let changes = seen.urls.iter().map(|(url, status)| UrlChange {
            url: url.clone(),
            status: status.clone(),
            previous: before(url),
        });
        changes
            .filter(|it| it.previous.as_ref() != Some(&it.status))
            .collect()
    }
}

/// A task is vanished, once and at last, if it was in flight when it went.
fn assert_vanished(
    id: &str,
    polls: &Polls,
    sights: &[Sight<'_>],
    ends: &[History],
    vanished: Option<&Told>,
) {
    let is_listed = sights.last().is_some_and(|last| {
        // A list read whole that has it not.
        polls.0[last.poll + 1..].iter().all(|poll| !poll.is_whole())
    });
    let may_be_in_flight = ends
        .iter()
        .any(|it| it.known.as_ref().is_some_and(|it| !it.is_finished()));
    let must_be_in_flight = ends
        .iter()
        .all(|it| it.known.as_ref().is_some_and(|it| !it.is_finished()));
    if vanished.is_some() {
        assert!(
            !is_listed && may_be_in_flight,
            "{id} vanished without cause"
        );
    } else {
        assert!(
            is_listed || !must_be_in_flight,
            "{id} vanished, and nobody was told"
        );
    }
}

impl Poll {
    fn is_whole(&self) -> bool {
        self.certainty == Certainty::Committed && self.answers.iter().all(Option::is_some)
    }
}

/// `watch.failing` and `watch.recovered` are told as the polls' failures in a row give them.
pub(super) fn assert_failures_told(polls: &Polls, told: &[Told]) {
    let told: Vec<&str> = told
        .iter()
        .filter(|it| it.task_id().is_none())
        .map(Told::r#type)
        .collect();
    let mut streaks = vec![Streak::default()];
    for (number, poll) in polls.0.iter().enumerate() {
        let mut next: Vec<Streak> = Vec::new();
        for streak in &streaks {
            next.extend((*streak).after(poll, &told));
            // Of the parts of one poll, the last alone ends it.
            if poll.certainty == Certainty::Perhaps || polls.end(number) > number {
                next.push(*streak);
            }
        }
        next.sort_unstable();
        next.dedup();
        streaks = next;
        assert!(
            !streaks.is_empty(),
            "poll {number}: its failure or recovery was not told: {told:?}"
        );
    }
    let fits = streaks.iter().any(|streak| streak.told == told.len());
    assert!(fits, "failures without cause: {told:?}");
}

/// Polls failed in a row, and what of that was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Streak {
    failed: u32,
    is_reported: bool,
    told: usize,
}

impl Streak {
    fn after(mut self, poll: &Poll, told: &[&str]) -> Option<Self> {
        let failed = poll.answers.iter().any(Option::is_none);
        self.failed = if failed {
            (self.failed + 1).min(FAIL_AFTER)
        } else {
            0
        };
        let expected = match (failed, self.is_reported) {
            (true, false) if self.failed == FAIL_AFTER => "watch.failing",
            (false, true) => "watch.recovered",
            _ => return Some(self),
        };
        (told.get(self.told) == Some(&expected)).then_some(())?;
        self.told += 1;
        self.is_reported = failed;
        Some(self)
    }
}
