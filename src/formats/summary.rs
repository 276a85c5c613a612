//! Summary of events for a chat message: one entry per task or target, the worst first, each with the state after its last
//! event.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Add;

use super::outgoing::OutgoingEvent;
use crate::domain::event::{EventDocument, EventTask, EventType};
use crate::domain::model::{Status, Timestamp};

/// Events, merged into entries.
#[derive(Debug)]
pub(super) struct Summary {
    /// By category, then in the order of their first events.
    entries: Vec<SummaryEntry>,
}

/// One task, one target's polls, or one event of another kind.
#[derive(Debug)]
pub(super) struct SummaryEntry {
    pub(super) target: String,
    pub(super) category: Category,
    /// Time of the last event.
    pub(super) time: Option<Timestamp>,
    /// The task after the last event. `None` for a target.
    pub(super) task: Option<EventTask>,
    /// Why polls fail. For [`Category::Other`], the event's own summary.
    pub(super) reason: Option<String>,
    /// URLs that failed and have not succeeded since.
    pub(super) failing: BTreeSet<String>,
    has_failed: bool,
    is_stalled: bool,
    is_vanished: bool,
}

/// Kind of entry, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Category {
    Failed,
    Vanished,
    PollsFail,
    Stalled,
    Unknown,
    PollsRecovered,
    /// Succeeded after a failure in the same summary.
    Recovered,
    Succeeded,
    InFlight,
    Test,
    /// An event of an unknown type, or an unreadable document.
    Other,
}

/// Severity of an entry or a message: its colour and symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageSeverity {
    Critical,
    Warning,
    Good,
    Neutral,
}

/// Content that a message leaves out, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Omitted {
    /// Tasks or targets.
    pub(super) entries: usize,
    /// URLs that failed.
    pub(super) urls: usize,
}

impl Omitted {
    pub(super) const NOTHING: Self = Self {
        entries: 0,
        urls: 0,
    };
    pub(super) const ENTRY: Self = Self {
        entries: 1,
        urls: 0,
    };

    pub(super) fn urls(urls: usize) -> Self {
        Self { entries: 0, urls }
    }
}

impl Add for Omitted {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            entries: self.entries + other.entries,
            urls: self.urls + other.urls,
        }
    }
}

impl Category {
    pub(super) const ALL: [Self; 11] = [
        Self::Failed,
        Self::Vanished,
        Self::PollsFail,
        Self::Stalled,
        Self::Unknown,
        Self::PollsRecovered,
        Self::Recovered,
        Self::Succeeded,
        Self::InFlight,
        Self::Test,
        Self::Other,
    ];

    pub(super) fn severity(self) -> MessageSeverity {
        match self {
            Self::Failed | Self::Vanished | Self::PollsFail => MessageSeverity::Critical,
            Self::Stalled | Self::Unknown => MessageSeverity::Warning,
            Self::PollsRecovered | Self::Recovered | Self::Succeeded => MessageSeverity::Good,
            Self::InFlight | Self::Test | Self::Other => MessageSeverity::Neutral,
        }
    }

    /// Whether an operator has to look into it. An event that we can't read may be anything, so it is urgent.
    pub(super) fn is_urgent(self) -> bool {
        matches!(
            self.severity(),
            MessageSeverity::Critical | MessageSeverity::Warning
        ) || self == Self::Other
    }
}

impl Summary {
    pub(super) fn of(events: &[OutgoingEvent<'_>]) -> Self {
        let mut indexes = BTreeMap::new();
        let mut entries: Vec<SummaryEntry> = Vec::new();
        for outgoing in events {
            let event = outgoing.read();
            let index = *indexes
                .entry(key(&event, outgoing))
                .or_insert(entries.len());
            if index == entries.len() {
                entries.push(SummaryEntry::new(&event));
            }
            if let Some(entry) = entries.get_mut(index) {
                entry.apply(event);
            }
        }
        // The sort is stable: within a category the order stays.
        entries.sort_by_key(|entry| entry.category);
        Self { entries }
    }

    /// The entries, the worst first.
    pub(super) fn entries(&self) -> &[SummaryEntry] {
        &self.entries
    }

    /// Severity of the worst entry.
    pub(super) fn severity(&self) -> MessageSeverity {
        let worst = self.entries.first();
        worst.map_or(MessageSeverity::Neutral, |entry| entry.category.severity())
    }

    /// Whether an operator has to look into any entry.
    pub(super) fn is_urgent(&self) -> bool {
        self.entries.iter().any(|entry| entry.category.is_urgent())
    }

    /// The number of entries per category, without categories that have none.
    pub(super) fn counts(&self) -> impl Iterator<Item = (Category, usize)> {
        Category::ALL.into_iter().filter_map(|category| {
            let in_category = |entry: &&SummaryEntry| entry.category == category;
            let count = self.entries.iter().filter(in_category).count();
            (count > 0).then_some((category, count))
        })
    }
}

/// Events with the same key are merged into one entry.
fn key(event: &EventDocument, outgoing: &OutgoingEvent<'_>) -> (String, String) {
    let subject = match (&event.task, event.event_type()) {
        (Some(task), _) => format!("task {} {}", task.kind, task.id),
        (None, Some(EventType::WatchFailing | EventType::WatchRecovered)) => "polls".to_owned(),
        (None, _) => format!("event {}", outgoing.id),
    };
    (event.target.clone(), subject)
}

impl SummaryEntry {
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

    /// What is lost if the entry is left out.
    pub(super) fn as_omitted(&self) -> Omitted {
        Omitted {
            entries: 1,
            urls: self.failing.len() + self.unlisted_failures(),
        }
    }

    /// How many URLs have failed that no event lists.
    pub(super) fn unlisted_failures(&self) -> usize {
        let failing = self.task.as_ref().map_or(0, |task| task.urls.failure);
        failing.saturating_sub(self.failing.len())
    }

    fn apply(&mut self, event: EventDocument) {
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
        self.category = self.categorize(event_type);
        self.reason = match self.category {
            Category::Other => Some(event.summary),
            _ => event.reason,
        };
        self.has_failed |= self.category == Category::Failed;
    }

    fn categorize(&self, last: Option<EventType>) -> Category {
        match (&self.task, last) {
            (None, Some(EventType::WatchFailing)) => Category::PollsFail,
            (None, Some(EventType::WatchRecovered)) => Category::PollsRecovered,
            (None, Some(EventType::Test)) => Category::Test,
            (Some(task), Some(_)) => self.categorize_task(task),
            _ => Category::Other,
        }
    }

    fn categorize_task(&self, task: &EventTask) -> Category {
        match &task.status {
            Status::Failure => Category::Failed,
            _ if !self.failing.is_empty() => Category::Failed,
            Status::Success if self.has_failed => Category::Recovered,
            Status::Success => Category::Succeeded,
            _ if self.is_vanished => Category::Vanished,
            _ if self.is_stalled => Category::Stalled,
            Status::Other(_) => Category::Unknown,
            Status::Wait | Status::Process => Category::InFlight,
        }
    }
}
