//! Sums events up for people: one entry a task or target, the worst first, each as it stands after the last of its events.
//! Owns what is told and in which order; the words are [`super::words`]'s. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::text::Tells;
use super::words::{Line, Words};
use crate::domain::event::{EventDocument, EventTask, EventType};
use crate::domain::model::{Status, Timestamp};
use crate::formats::OutgoingEvent;

/// So many URLs of a task are listed if its message tells of others too.
const URLS_BESIDE_OTHERS: usize = 5;

/// So many entries that somebody has to look into are listed: more would push the first ones off the screen.
const URGENT_ENTRIES: usize = 20;

/// So many entries are listed one by one if nobody has to look into any of them.
const QUIET_ENTRIES: usize = 5;

/// Events, summed up.
#[derive(Debug)]
pub(super) struct Digest {
    /// By category, then in the order in which they were first told of.
    entries: Vec<Entry>,
}

/// What became of one task or one target's polls, or one event that is of neither.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) target: String,
    pub(super) category: Category,
    /// When the last of its events was seen.
    pub(super) time: Option<Timestamp>,
    /// As it is after the last of its events; none for a target.
    pub(super) task: Option<EventTask>,
    /// Why polls fail, or an event's own summary.
    pub(super) reason: Option<String>,
    /// URLs that failed and have not succeeded since.
    pub(super) failing: BTreeSet<String>,
    has_failed: bool,
    is_stalled: bool,
    is_vanished: bool,
}

/// What an entry comes to: the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Category {
    Failed,
    Vanished,
    PollsFail,
    Stalled,
    Unknown,
    PollsRecovered,
    /// Succeeded after a failure that this very message would have told of.
    Mended,
    Succeeded,
    InFlight,
    Test,
    /// Of a later version, or damaged.
    Other,
}

/// How bad a message's worst entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Bad,
    Worrying,
    Good,
    Plain,
}

impl Category {
    pub(super) const ALL: [Self; 11] = [
        Self::Failed,
        Self::Vanished,
        Self::PollsFail,
        Self::Stalled,
        Self::Unknown,
        Self::PollsRecovered,
        Self::Mended,
        Self::Succeeded,
        Self::InFlight,
        Self::Test,
        Self::Other,
    ];

    pub(super) fn mood(self) -> Mood {
        match self {
            Self::Failed | Self::Vanished | Self::PollsFail => Mood::Bad,
            Self::Stalled | Self::Unknown => Mood::Worrying,
            Self::PollsRecovered | Self::Mended | Self::Succeeded => Mood::Good,
            Self::InFlight | Self::Test | Self::Other => Mood::Plain,
        }
    }

    /// Whether somebody has to look into it. What is not understood may be anything.
    fn is_urgent(self) -> bool {
        matches!(self.mood(), Mood::Bad | Mood::Worrying) || self == Self::Other
    }
}

impl Digest {
    pub(super) fn of(events: &[OutgoingEvent<'_>]) -> Self {
        let mut places = BTreeMap::new();
        let mut entries: Vec<Entry> = Vec::new();
        for outgoing in events {
            let event = outgoing.read();
            let place = *places.entry(key(&event, outgoing)).or_insert(entries.len());
            if place == entries.len() {
                entries.push(Entry::new(&event));
            }
            if let Some(entry) = entries.get_mut(place) {
                entry.take(event);
            }
        }
        // Stable: within a category the order stays.
        entries.sort_by_key(|entry| entry.category);
        Self { entries }
    }

    pub(super) fn mood(&self) -> Mood {
        let worst = self.entries.first();
        worst.map_or(Mood::Plain, |entry| entry.category.mood())
    }

    /// How many of each, in a few words: of what somebody has to look into, if there is anything of that.
    pub(super) fn headline(&self, words: Words) -> String {
        self.counts(words, |category| !self.is_urgent() || category.is_urgent())
    }

    /// All that there is to tell, the worst first.
    pub(super) fn lines(&self, words: Words) -> Vec<Line> {
        let count = self.entries.len();
        let mut lines = Vec::new();
        if self.is_urgent() {
            let most_urls = if count == 1 {
                usize::MAX
            } else {
                URLS_BESIDE_OTHERS
            };
            let mut urgent = self
                .entries
                .iter()
                .filter(|entry| entry.category.is_urgent());
            let listed = urgent.by_ref().take(URGENT_ENTRIES);
            lines.extend(listed.flat_map(|entry| words.entry(entry, most_urls)));
            let unlisted = urgent.fold(Tells::NOTHING, |sum, entry| sum + entry.tells());
            lines.extend(words.unlisted(unlisted));
            let also = self.counts(words, |category| !category.is_urgent());
            lines.extend((!also.is_empty()).then(|| Line::note(words.also(&also))));
            return lines;
        }
        if let [entry] = self.entries.as_slice() {
            return words.entry(entry, usize::MAX);
        }
        let listed = self.entries.iter().take(QUIET_ENTRIES);
        lines.extend(listed.map(|entry| words.brief(entry)));
        let unlisted = count.saturating_sub(QUIET_ENTRIES);
        lines.extend(words.unlisted(Tells {
            entries: unlisted,
            urls: 0,
        }));
        lines
    }

    fn is_urgent(&self) -> bool {
        self.entries.iter().any(|entry| entry.category.is_urgent())
    }

    fn counts(&self, words: Words, wanted: impl Fn(Category) -> bool) -> String {
        let categories = Category::ALL
            .into_iter()
            .filter(|category| wanted(*category));
        words.list(categories.filter_map(|category| {
            let of_it = |entry: &&Entry| entry.category == category;
            let count = self.entries.iter().filter(of_it).count();
            (count > 0).then(|| words.count(category, count))
        }))
    }
}

/// Events of the same key are told of as one.
fn key(event: &EventDocument, outgoing: &OutgoingEvent<'_>) -> (String, String) {
    let subject = match (&event.task, event.event_type()) {
        (Some(task), _) => format!("task {} {}", task.kind, task.id),
        (None, Some(EventType::WatchFailing | EventType::WatchRecovered)) => "polls".to_owned(),
        (None, _) => format!("event {}", outgoing.id),
    };
    (event.target.clone(), subject)
}

impl Entry {
    fn new(event: &EventDocument) -> Self {
        Self {
            target: event.target.clone(),
            category: Category::Other,
            time: None,
            task: None,
            reason: None,
            failing: BTreeSet::new(),
            has_failed: false,
            is_stalled: false,
            is_vanished: false,
        }
    }

    fn tells(&self) -> Tells {
        Tells {
            entries: 1,
            urls: self.failing.len() + self.failing_unnamed(),
        }
    }

    /// How many URLs have failed beside those that are known by name.
    pub(super) fn failing_unnamed(&self) -> usize {
        let failing = self.task.as_ref().map_or(0, |task| task.urls.failure);
        failing.saturating_sub(self.failing.len())
    }

    fn take(&mut self, event: EventDocument) {
        let event_type = event.event_type();
        match event_type {
            Some(EventType::TaskStalled) => self.is_stalled = true,
            Some(EventType::TaskVanished) => self.is_vanished = true,
            _ => self.is_vanished = false,
        }
        for change in event.changes {
            if change.status == Status::Failure {
                self.failing.insert(change.url);
            } else {
                self.failing.remove(&change.url);
            }
        }
        self.time = event.time.or(self.time);
        self.task = event.task;
        self.category = self.judge(event_type);
        self.reason = match self.category {
            Category::Other => Some(event.summary),
            _ => event.reason,
        };
        self.has_failed |= self.category == Category::Failed;
    }

    fn judge(&self, last: Option<EventType>) -> Category {
        match (&self.task, last) {
            (None, Some(EventType::WatchFailing)) => Category::PollsFail,
            (None, Some(EventType::WatchRecovered)) => Category::PollsRecovered,
            (None, Some(EventType::Test)) => Category::Test,
            (Some(task), Some(_)) => self.judge_task(task),
            _ => Category::Other,
        }
    }

    fn judge_task(&self, task: &EventTask) -> Category {
        match &task.status {
            Status::Failure => Category::Failed,
            _ if !self.failing.is_empty() => Category::Failed,
            Status::Success if self.has_failed => Category::Mended,
            Status::Success => Category::Succeeded,
            _ if self.is_vanished => Category::Vanished,
            _ if self.is_stalled => Category::Stalled,
            Status::Other(_) => Category::Unknown,
            Status::Wait | Status::Process => Category::InFlight,
        }
    }
}
