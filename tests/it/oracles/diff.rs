//! Oracle for the diff: over any sequence of observations, changes lead from the stored to the observed task, what a response leaves
//! out keeps its state, and no change is reported twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use ucdn_watch::domain::diff::{
    Difference, Observation, Transition, TransitionKind, compare, is_unchanged,
};
use ucdn_watch::domain::event::EventBuilder;
use ucdn_watch::domain::model::{
    Absence, Fingerprint, KnownTask, Status, TargetName, Task, TaskKind, TaskRowId, TaskSummary,
    Timestamp, Url, UrlState,
};

#[derive(Debug, Arbitrary)]
struct ObservedTask {
    after_seconds: u16,
    created: Option<u16>,
    is_of_type: Option<bool>,
    status: Option<Word>,
    urls: Vec<ObservedUrl>,
}

#[derive(Debug, Arbitrary)]
struct ObservedUrl {
    number: u8,
    status: Option<Word>,
    progress: Option<u8>,
    finished: Option<u16>,
}

#[derive(Clone, Copy, Debug, Arbitrary)]
enum Word {
    Wait,
    Process,
    Success,
    Failure,
    Unknow,
    Odd(u8),
}

impl Word {
    fn status(self) -> Status {
        match self {
            Self::Wait => Status::Wait,
            Self::Process => Status::Process,
            Self::Success => Status::Success,
            Self::Failure => Status::Failure,
            Self::Unknow => Status::Other(Status::UNKNOWN.to_owned()),
            Self::Odd(n) => Status::from_word(&format!("odd{n}")),
        }
    }
}

impl ObservedTask {
    fn task(&self) -> Task {
        let urls = self.urls.iter().map(|seen| Url {
            // The first one is a URL without text.
            url: match seen.number % 8 {
                0 => String::new(),
                n => format!("http://example.com/{n}"),
            },
            status: seen.status.map(Word::status),
            progress: seen.progress.map(u32::from),
            finished: seen
                .finished
                .and_then(|it| Timestamp::from_unix_seconds(it.into())),
        });
        Task {
            id: "t".into(),
            r#type: self
                .is_of_type
                .map(|it| if it { "file" } else { "dir" }.to_owned()),
            status: self.status.map(Word::status),
            created: self
                .created
                .and_then(|it| Timestamp::from_unix_seconds(it.into())),
            urls: urls.collect(),
        }
    }
}

pub(crate) fn check(input: &[u8]) {
    let Ok(observations) = Vec::<ObservedTask>::arbitrary(&mut Unstructured::new(input)) else {
        return;
    };
    let mut now = Timestamp::EPOCH;
    let mut known: Option<KnownTask> = None;
    for observed in &observations {
        now = now.saturating_add(Duration::from_secs(observed.after_seconds.into()));
        let moment = Observation {
            now,
            api_now: now,
            stall_after: Duration::from_secs(600),
        };
        known = Some(observe(known.as_ref(), &observed.task(), moment));
    }
}

fn observe(known: Option<&KnownTask>, seen: &Task, moment: Observation) -> KnownTask {
    let difference = compare(known, seen, moment);
    let mut shuffled = seen.clone();
    shuffled.urls.reverse();
    assert_eq!(
        compare(known, &shuffled, moment),
        difference,
        "the order of URLs matters"
    );
    let Some(difference) = difference else {
        let known = known.unwrap();
        assert_nothing_changed(known, seen);
        assert_eq!(known.absence, Absence::PRESENT);
        return known.clone();
    };
    assert_eq!(
        compare(Some(&difference.task), seen, moment),
        None,
        "reported twice"
    );
    assert_follows(known, seen, &difference);
    assert_stalls(known, &difference, moment);
    assert_leads_there(known, &difference);
    assert_events(&difference);
    assert_skipped(&difference.task, seen, moment);
    difference.task
}

/// The listed URLs that have a text.
fn mentioned(seen: &Task) -> impl Iterator<Item = &Url> {
    seen.urls.iter().filter(|url| !url.url.is_empty())
}

fn assert_nothing_changed(known: &KnownTask, seen: &Task) {
    assert!(seen.status.as_ref().is_none_or(|it| *it == known.status));
    for url in mentioned(seen) {
        let of_it = mentioned(seen).filter(|other| other.url == url.url);
        let before = &known.urls[&url.url].status;
        let mut statuses = of_it.map(|it| it.status.as_ref());
        assert!(
            statuses.any(|it| it.is_none_or(|it| it == before)),
            "{url:?}"
        );
    }
}

/// The observed values are stored, and the others keep their state.
fn assert_follows(known: Option<&KnownTask>, seen: &Task, difference: &Difference) {
    let task = &difference.task;
    let before = known.map_or_else(BTreeMap::new, |known| known.urls.clone());
    let names: BTreeSet<&String> = mentioned(seen).map(|url| &url.url).collect();
    let all: BTreeSet<&String> = names.iter().copied().chain(before.keys()).collect();
    assert_eq!(task.urls.keys().collect::<BTreeSet<_>>(), all);
    for (url, state) in &task.urls {
        if names.contains(url) {
            assert_said(url, state, before.get(url), seen);
        } else {
            assert_eq!(Some(state), before.get(url));
        }
    }
    let unknown = Status::Other(Status::UNKNOWN.to_owned());
    let status = seen.status.as_ref().or(known.map(|it| &it.status));
    assert_eq!(&task.status, status.unwrap_or(&unknown));
    assert_eq!(
        task.created,
        seen.created.or(known.and_then(|it| it.created))
    );
    let r#type = seen
        .r#type
        .as_ref()
        .or(known.and_then(|it| it.r#type.as_ref()));
    assert_eq!(task.r#type.as_ref(), r#type);
    assert_eq!(task.absence, Absence::PRESENT);
}

fn assert_said(url: &str, state: &UrlState, before: Option<&UrlState>, seen: &Task) {
    let said: Vec<Option<&Status>> = mentioned(seen)
        .filter(|other| other.url == url)
        .map(|other| other.status.as_ref())
        .collect();
    if said.contains(&Some(&Status::Failure)) {
        assert_eq!(
            state.status,
            Status::Failure,
            "of repeats, a failure counts"
        );
    } else if said.iter().any(Option::is_some) {
        assert!(said.contains(&Some(&state.status)), "{url}: {state:?}");
    } else {
        let unknown = Status::Other(Status::UNKNOWN.to_owned());
        assert_eq!(
            &state.status,
            before.map_or(&unknown, |before| &before.status)
        );
    }
}

fn assert_stalls(known: Option<&KnownTask>, difference: &Difference, moment: Observation) {
    let task = &difference.task;
    let was = known.is_some_and(|known| known.stalled);
    let age = task.created.map(|created| moment.api_now.since(created));
    let is_late = age.is_some_and(|age| age >= moment.stall_after);
    let unfinished = !matches!(task.status, Status::Success | Status::Failure);
    assert_eq!(difference.newly_stalled, !was && unfinished && is_late);
    assert_eq!(task.stalled, was || difference.newly_stalled);
}

/// The transitions lead from the old statuses to the new ones and have the right kind.
fn assert_leads_there(known: Option<&KnownTask>, difference: &Difference) {
    let statuses = |urls: &BTreeMap<String, UrlState>| -> BTreeMap<String, Status> {
        let statuses = urls
            .iter()
            .map(|(url, state)| (url.clone(), state.status.clone()));
        statuses.collect()
    };
    let mut replayed = known.map_or_else(BTreeMap::new, |known| statuses(&known.urls));
    let transition = difference.transition.as_ref();
    let changes = transition.map_or(&[][..], |transition| &transition.urls);
    for change in changes {
        assert_ne!(change.previous.as_ref(), Some(&change.state.status));
        let before = replayed.insert(change.url.clone(), change.state.status.clone());
        assert_eq!(before, change.previous);
        assert_eq!(difference.task.urls.get(&change.url), Some(&change.state));
    }
    assert_eq!(replayed, statuses(&difference.task.urls));
    let failed =
        |change: &&ucdn_watch::domain::diff::UrlTransition| change.state.status == Status::Failure;
    let failures = changes.iter().take_while(failed).count();
    assert_eq!(
        failures,
        changes.iter().filter(failed).count(),
        "failures come first"
    );
    let kind = match known {
        None => Some(TransitionKind::FirstSeen),
        Some(known) if known.status != difference.task.status => Some(TransitionKind::Status {
            previous: known.status.clone(),
        }),
        Some(_) if changes.is_empty() => None,
        Some(_) if failures > 0 => Some(TransitionKind::UrlsFailed),
        Some(_) => Some(TransitionKind::UrlsChanged),
    };
    assert_eq!(
        transition.map(|Transition { kind, .. }| kind),
        kind.as_ref()
    );
}

/// Each transition gives one event, and a stall one more.
fn assert_events(difference: &Difference) {
    let target = TargetName("shop".to_owned());
    let builder = EventBuilder {
        target: &target,
        kind: TaskKind::Refresh,
        time: Timestamp::EPOCH,
    };
    let events = builder.events_for(difference);
    let reported =
        usize::from(difference.transition.is_some()) + usize::from(difference.newly_stalled);
    assert_eq!(events.len(), reported);
    for event in events {
        let document: serde_json::Value =
            serde_json::from_str(&event.document("evt_1", 1)).unwrap();
        assert_eq!(document["type"], event.r#type.as_str());
        assert_eq!(
            document["task"]["urls"]["total"],
            difference.task.urls.len()
        );
    }
}

/// A task with the same fingerprint is skipped until it may have stalled.
fn assert_skipped(known: &KnownTask, seen: &Task, moment: Observation) {
    let print = Some(Fingerprint::from_hash(7));
    let footprint = TaskSummary {
        number: TaskRowId(1),
        fingerprint: print,
        created: known.created,
        in_flight: known.is_in_flight(),
        stalled: known.stalled,
    };
    assert!(!is_unchanged(&footprint, None, moment));
    assert!(!is_unchanged(
        &footprint,
        Some(Fingerprint::from_hash(8)),
        moment
    ));
    for later in [0, 300, 600, 100_000] {
        let moment = Observation {
            api_now: moment.api_now.saturating_add(Duration::from_secs(later)),
            ..moment
        };
        let teaches = compare(Some(known), seen, moment).is_some();
        assert_eq!(
            is_unchanged(&footprint, print, moment),
            !teaches,
            "{later} s later"
        );
    }
}
