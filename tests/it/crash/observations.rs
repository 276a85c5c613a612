//! Oracle: derives from the API's responses which events must have been sent. A slow and simple second implementation of
//! the contract that shares no code with the program.
//!
//! The program may or may not have committed the responses of a poll in which it was killed. It must have committed all
//! others. So several histories are possible, and each is followed as long as it fits the events.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use ucdn_simulator::ResponseRecord;

use super::crash_test::OLD;
use super::received_event::{ReceivedEvent, UrlChange};
use super::run::{Ending, FinishedRun, RUN_HEADER};

const FAIL_AFTER: u32 = 3;

/// One target's polls, in order.
pub(super) struct Polls(Vec<Poll>);

/// One poll.
struct Poll {
    /// The tasks of each response. `None` if it broke off or is an error.
    answers: Vec<Option<Vec<Task>>>,
    certainty: Certainty,
    start: PollStart,
}

/// Whether a first page begins a poll. A walk also steps back to it if its pages do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PollStart {
    Certain,
    /// It may belong to the poll before.
    Uncertain,
}

/// Whether the program committed the responses of a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    Committed,
    /// It was killed or stopped during the poll.
    Uncertain,
}

/// A task in one response.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Task {
    id: String,
    status: String,
    urls: BTreeMap<String, String>,
}

/// One occurrence of a task in a response.
struct TaskObservation<'a> {
    poll: usize,
    certainty: Certainty,
    task: &'a Task,
    /// Merged with an earlier page of the same poll. If pages may split tasks, two occurrences count as two parts, and the
    /// worse status of a URL in both holds until the next poll.
    merged: Option<Task>,
}

/// The stored state of a task after some observations, and the number of its events up to there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct History {
    known: Option<Task>,
    stalled: bool,
    matched: usize,
}

impl Polls {
    /// The polls whose action contains this word.
    pub(super) fn of(
        answers: &[ResponseRecord],
        action: &str,
        finished_runs: &[FinishedRun],
    ) -> Self {
        let is_asked = |it: &&ResponseRecord| {
            let requests_before = it.request.action.as_deref().unwrap_or_default();
            // The extra target of some configs reads another list of the same kind.
            requests_before.contains(action) && it.request.is_dcdn.is_none()
        };
        let mut answers: Vec<&ResponseRecord> = answers.iter().filter(is_asked).collect();
        // The simulator may read a request of a killed run after one of the next run.
        answers.sort_by_key(|it| (run(it), it.request.number));
        let mut polls = Vec::new();
        for of_run in answers.chunk_by(|a, b| run(a) == run(b)) {
            polls.extend(polls_of_run(of_run));
            if let Some(last) = polls.last_mut()
                && finished_runs[run(of_run[0])].ending != Ending::Done
            {
                last.certainty = Certainty::Uncertain;
            }
        }
        Self(polls)
    }

    /// The last part that may belong to the same poll.
    fn end(&self, poll: usize) -> usize {
        let rest = self.0[poll + 1..].iter();
        poll + rest
            .take_while(|it| it.start == PollStart::Uncertain)
            .count()
    }

    /// All occurrences of each task, in order.
    fn observations(&self) -> BTreeMap<&str, Vec<TaskObservation<'_>>> {
        let mut observations: BTreeMap<&str, Vec<TaskObservation<'_>>> = BTreeMap::new();
        for (number, poll) in self.0.iter().enumerate() {
            for task in poll.answers.iter().flatten().flatten() {
                let of_task = observations.entry(&task.id).or_default();
                let mut merged = None;
                // Pages overlap: the second occurrence in a poll may have replaced the first.
                if let Some(before) = of_task.last_mut().filter(|it| it.poll == number) {
                    before.certainty = Certainty::Uncertain;
                    merged = before.merged.as_ref().unwrap_or(before.task).with(task);
                }
                of_task.push(TaskObservation {
                    poll: number,
                    certainty: poll.certainty,
                    task,
                    merged,
                });
            }
        }
        observations
    }
}

fn run(answer: &ResponseRecord) -> usize {
    answer.request.headers[RUN_HEADER].parse().unwrap()
}

/// A poll begins with the first page of the list.
fn polls_of_run(answers: &[&ResponseRecord]) -> Vec<Poll> {
    let begins =
        |it: &ResponseRecord| it.request.offset.unwrap_or(0) == 0 && it.request.task_ids.is_empty();
    let mut before: Option<&ResponseRecord> = None;
    answers
        .chunk_by(|_, next| !begins(next))
        .map(|answers| Poll {
            answers: answers.iter().map(|it| tasks(it)).collect(),
            certainty: Certainty::Committed,
            start: poll_start(before.replace(answers[answers.len() - 1]), answers[0]),
        })
        .collect()
}

fn poll_start(before: Option<&ResponseRecord>, first: &ResponseRecord) -> PollStart {
    let window = |it: &ResponseRecord| (it.request.begin, it.request.end);
    let may_step_back = |it: &ResponseRecord| {
        it.request.offset > Some(0) && window(it) == window(first) && tasks(it).is_some()
    };
    if before.is_some_and(may_step_back) {
        PollStart::Uncertain
    } else {
        PollStart::Certain
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

    /// `None` if the two can't be parts of one task.
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

/// Higher is worse.
fn severity(status: &str) -> (usize, &str) {
    let known = ["success", "process", "wait", "unknow", "failure"];
    let rank = known.iter().position(|it| *it == status);
    (rank.unwrap(), status)
}

/// Each task has exactly the events that its observations require, in the order of the polls.
pub(super) fn assert_events_match_observations(polls: &Polls, events: &[ReceivedEvent]) {
    let mut by_task: BTreeMap<&str, Vec<&ReceivedEvent>> = BTreeMap::new();
    for event in events {
        if let Some(id) = event.task_id() {
            by_task.entry(id).or_default().push(event);
        }
    }
    let observations = polls.observations();
    let unseen = by_task.keys().find(|id| !observations.contains_key(**id));
    assert!(
        unseen.is_none(),
        "events of {unseen:?}, which the API never listed"
    );
    let mut polls_of_events = BTreeMap::new();
    for (id, observations) in &observations {
        let mut events = by_task.remove(id).unwrap_or_default();
        let vanished = events.pop_if(|it| it.r#type() == "task.vanished");
        let (ends, ranges) = follow(observations, &events);
        assert!(
            !ends.is_empty(),
            "{id}: the events do not match the observations: {events:#?}"
        );
        assert_vanished(id, polls, observations, &ends, vanished);
        polls_of_events.extend(events.iter().map(|it| it.sequence).zip(ranges));
    }
    let mut latest = (0, PollRange(0, 0));
    for (sequence, range) in polls_of_events {
        let range = PollRange(range.0, polls.end(range.1));
        assert!(
            latest.1.0 <= range.1,
            "event {sequence}, of the polls {range:?}, came after event {}, of the polls {:?}: {events:#?}",
            latest.0,
            latest.1
        );
        if latest.1.0 < range.0 {
            latest = (sequence, range);
        }
    }
}

/// The histories that fit, and the first and last poll that can have caused each event.
fn follow(
    observations: &[TaskObservation<'_>],
    events: &[&ReceivedEvent],
) -> (Vec<History>, Vec<PollRange>) {
    let mut ranges = vec![PollRange(usize::MAX, 0); events.len()];
    let mut histories = vec![History::default()];
    for observation in observations {
        let mut next: Vec<History> = Vec::new();
        for history in &histories {
            for task in [Some(observation.task), observation.merged.as_ref()]
                .into_iter()
                .flatten()
            {
                let Some(after) = history.after(task, events) else {
                    continue;
                };
                for range in &mut ranges[history.matched..after.matched] {
                    *range =
                        PollRange(range.0.min(observation.poll), range.1.max(observation.poll));
                }
                next.push(after);
            }
            if observation.certainty == Certainty::Uncertain {
                next.push(history.clone());
            }
        }
        next.dedup();
        let before = std::mem::replace(&mut histories, next);
        assert!(
            !histories.is_empty(),
            "poll {}: no event for {:?}; possible states before: {before:#?}; next event: {:#?}",
            observation.poll,
            observation.task,
            events.get(before[0].matched)
        );
    }
    histories.retain(|history| history.matched == events.len());
    (histories, ranges)
}

#[derive(Clone, Copy, Debug)]
struct PollRange(usize, usize);

impl History {
    /// The history after this observation was committed. `None` if the events do not fit it.
    fn after(&self, seen: &Task, events: &[&ReceivedEvent]) -> Option<Self> {
        let mut after = self.clone();
        if let Some(kind) = self.kind_of_change(seen) {
            let next = events.get(after.matched)?;
            let previous = self.known.as_ref().map(|known| known.status.as_str());
            let fits = next.r#type() == kind
                && next.status() == Some(&seen.status)
                && next.previous_status() == previous
                && next.changes() == self.changed_urls(seen);
            fits.then_some(())?;
            after.matched += 1;
        }
        if seen.id.starts_with(OLD) && !seen.is_finished() && !self.stalled {
            (events.get(after.matched)?.r#type() == "task.stalled").then_some(())?;
            after.matched += 1;
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

/// A task has one final `task.vanished` if it was in flight when it left the list.
fn assert_vanished(
    id: &str,
    polls: &Polls,
    observations: &[TaskObservation<'_>],
    ends: &[History],
    vanished: Option<&ReceivedEvent>,
) {
    let is_listed = observations.last().is_some_and(|last| {
        // A complete list without the task.
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
            "{id} has a task.vanished without cause"
        );
    } else {
        assert!(
            is_listed || !must_be_in_flight,
            "{id} left the list without task.vanished"
        );
    }
}

impl Poll {
    fn is_whole(&self) -> bool {
        self.certainty == Certainty::Committed && self.answers.iter().all(Option::is_some)
    }
}

/// `watch.failing` and `watch.recovered` follow from the consecutive failures of the polls.
pub(super) fn assert_failures_reported(polls: &Polls, events: &[ReceivedEvent]) {
    let events: Vec<&str> = events
        .iter()
        .filter(|it| it.task_id().is_none())
        .map(ReceivedEvent::r#type)
        .collect();
    let mut streaks = vec![Streak::default()];
    for (number, poll) in polls.0.iter().enumerate() {
        let mut next: Vec<Streak> = Vec::new();
        for streak in &streaks {
            next.extend((*streak).after(poll, &events));
            // Only the last part of a poll ends it.
            if poll.certainty == Certainty::Uncertain || polls.end(number) > number {
                next.push(*streak);
            }
        }
        next.sort_unstable();
        next.dedup();
        streaks = next;
        assert!(
            !streaks.is_empty(),
            "poll {number}: its failure or recovery was not reported: {events:?}"
        );
    }
    let fits = streaks.iter().any(|streak| streak.matched == events.len());
    assert!(fits, "failures without cause: {events:?}");
}

/// Consecutive failures, and the number of events for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Streak {
    failed: u32,
    is_reported: bool,
    matched: usize,
}

impl Streak {
    fn after(mut self, poll: &Poll, events: &[&str]) -> Option<Self> {
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
        (events.get(self.matched) == Some(&expected)).then_some(())?;
        self.matched += 1;
        self.is_reported = failed;
        Some(self)
    }
}
