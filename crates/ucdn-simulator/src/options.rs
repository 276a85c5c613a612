//! What the stand-in is asked to be like: each open query of the vendor's API as an option. Owns words only.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::script::Script;

/// How the stand-in reads the vendor's open questions. The default is the reading that the reference page suggests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What `TotalCount` counts.
    pub total_count: TotalCount,
    /// What `Offset` and `Limit` count.
    pub unit: Unit,
    /// Whether `Limit` is kept to.
    pub limit: LimitRule,
    /// In which order tasks are listed.
    pub order: Order,
    /// Which time `BeginTime` and `EndTime` are compared with.
    pub window_field: WindowField,
    /// Whether a task at exactly `BeginTime` is listed.
    pub window_begin: Edge,
    /// Whether a task at exactly `EndTime` is listed.
    pub window_end: Edge,
    /// What happens to windows that are very long.
    pub span: SpanRule,
    /// Tasks older than this are no longer known, in seconds. Default: kept for ever.
    pub keep_seconds: Option<u64>,
    /// Whether asking by `TaskId` looks beyond the window.
    pub task_id: TaskIdRule,
    /// Which tasks `IsDcdn` lists.
    pub dcdn: DcdnRule,
    /// The project ids that exist; others give 292. Default, empty: all exist.
    pub projects: Vec<String>,
    /// Tasks that turn up between two list requests.
    pub inserts: Option<Shift>,
    /// Tasks that are gone between two list requests.
    pub removals: Option<Shift>,
    /// What stands in the place of `TaskList`.
    pub task_list: ListShape,
    /// What stands in the place of each `UrlLists`.
    pub url_list: ListShape,
    /// What a list without entries looks like.
    pub empty_list: ListShape,
    /// `FinishTime` of an unfinished URL.
    pub unfinished_time: Unfinished,
    /// `Progress` of an unfinished URL.
    pub unfinished_progress: Unfinished,
    /// In which order a task's URLs are listed. Changed within a page only, so that no URL moves between pages.
    pub url_order: UrlOrder,
    /// Whether the first URL of each task is listed twice.
    pub repeated_url: Presence,
    /// How the vendor spells the status that it does not know.
    pub unknown_word: UnknownWord,
    /// How keys are spelled.
    pub key_case: KeyCase,
    /// How numbers other than `RetCode` are written.
    pub numbers: NumberShape,
    /// How `RetCode` is written.
    pub ret_code: NumberShape,
    /// Whether errors carry `Action`.
    pub error_action: Presence,
    /// Whether answers and tasks carry a field that no page documents.
    pub undocumented_field: Presence,
    /// The `Date` header.
    pub date: DateHeader,
    /// What becomes of submitted tasks whose URLs don't say `fail` or `stuck`.
    pub submitted: Script,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            total_count: TotalCount::default(),
            unit: Unit::default(),
            limit: LimitRule::default(),
            order: Order::default(),
            window_field: WindowField::default(),
            window_begin: Edge::default(),
            window_end: Edge::default(),
            span: SpanRule::default(),
            keep_seconds: None,
            task_id: TaskIdRule::default(),
            dcdn: DcdnRule::default(),
            projects: Vec::new(),
            inserts: None,
            removals: None,
            task_list: ListShape::default(),
            url_list: ListShape::default(),
            empty_list: ListShape::default(),
            unfinished_time: Unfinished::Zero,
            unfinished_progress: Unfinished::Number,
            url_order: UrlOrder::default(),
            repeated_url: Presence::Absent,
            unknown_word: UnknownWord::default(),
            key_case: KeyCase::default(),
            numbers: NumberShape::default(),
            ret_code: NumberShape::default(),
            error_action: Presence::Present,
            undocumented_field: Presence::Absent,
            date: DateHeader::default(),
            submitted: Script::default(),
        }
    }
}

macro_rules! words {
    ($($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
        #[serde(rename_all = "snake_case")]
        #[value(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_meta])* $variant),* }
    )*};
}

words! {
    /// What `TotalCount` counts.
    TotalCount {
        /// The tasks that match.
        #[default]
        Tasks,
        /// The URLs of the tasks that match.
        Urls,
        /// The tasks of this page.
        Page,
        /// There is no such field.
        Absent,
        /// It is `null`.
        Null,
        /// Always 0.
        Zero,
        /// A number beyond 32 bits.
        Huge,
        /// Words instead of a number.
        Text,
    }

    /// What `Offset` and `Limit` count.
    Unit {
        /// Tasks.
        #[default]
        Tasks,
        /// URLs: a page's end may cut a task in two. A task without URLs counts as one.
        Urls,
    }

    /// The order of the list.
    Order {
        /// Created last comes first.
        #[default]
        Newest,
        /// Created first comes first.
        Oldest,
        /// Finished last comes first, after the unfinished.
        Finish,
    }

    /// Which time the window is about.
    WindowField {
        /// When the task was submitted.
        #[default]
        Created,
        /// When it was finished; unfinished ones are judged by when they were submitted.
        Finished,
    }

    /// Whether an end belongs to the window.
    Edge {
        /// It does.
        #[default]
        Inclusive,
        /// It does not.
        Exclusive,
    }

    /// Asking by `TaskId`.
    TaskIdRule {
        /// The window is not looked at.
        #[default]
        OverridesWindow,
        /// Both must hold.
        WithinWindow,
        /// It is a parameter that the server does not know: every task is listed.
        Ignored,
    }

    /// What `IsDcdn` does.
    DcdnRule {
        /// True lists whole-site tasks alone, false the others alone.
        #[default]
        Separate,
        /// True lists all tasks, false those that are not whole-site.
        Overlapping,
        /// All are listed either way.
        Ignored,
    }

    /// Where in the list something happens.
    Place {
        /// Before the first.
        #[default]
        Front,
        /// After the last.
        Back,
        /// In between.
        Middle,
    }

    /// How a list is written.
    ListShape {
        /// As an array with its entries.
        #[default]
        Array,
        /// As an array without entries; `TotalCount` is 0 then.
        Empty,
        /// Not at all.
        Missing,
        /// `null`.
        Null,
        /// `{}`.
        Object,
    }

    /// A value of something unfinished.
    Unfinished {
        /// The number that it really is.
        #[default]
        Number,
        /// 0.
        Zero,
        /// Not there.
        Absent,
        /// `null`.
        Null,
        /// An empty string.
        Text,
    }

    /// The order of URLs in a task.
    UrlOrder {
        /// As submitted.
        #[default]
        Kept,
        /// The other way round.
        Reversed,
        /// Anew in each answer.
        Shuffled,
    }

    /// Whether something is there.
    Presence {
        /// It is.
        #[default]
        Present,
        /// It is not.
        Absent,
    }

    /// The vendor's word for a status that it does not know.
    UnknownWord {
        /// As the current page has it.
        #[default]
        Unknow,
        /// As older copies have it.
        Unkonw,
    }

    /// How keys of answers are spelled.
    KeyCase {
        /// `TaskList`.
        #[default]
        Vendor,
        /// `tasklist`.
        Lower,
        /// `TASKLIST`.
        Upper,
    }

    /// How a number is written.
    NumberShape {
        /// `1`.
        #[default]
        Number,
        /// `"1"`.
        Text,
        /// Not at all.
        Missing,
    }
}

/// Whether `Limit` is kept to. `Limit=0` and no `Limit` ask for everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitRule {
    /// It is.
    #[default]
    Honoured,
    /// Everything from `Offset` on is listed.
    Ignored,
    /// Never more entries than this, whatever was asked for.
    Clamped(usize),
}

/// What happens to long windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanRule {
    /// Nothing.
    #[default]
    Unlimited,
    /// Longer than this many seconds: 230.
    RefusedBeyond(u64),
    /// Only the last so many seconds are looked at.
    CutTo(u64),
}

/// The `Date` header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateHeader {
    /// The stand-in's own clock.
    #[default]
    True,
    /// None is sent.
    Off,
    /// So many seconds ahead of the stand-in's clock.
    Skewed(i64),
}

/// A list that does not hold still: applied after each answered list request that does not ask by `TaskId`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shift {
    /// How many tasks at a time.
    pub count: usize,
    /// Where in the list that was just asked for; within its window, whatever the window is.
    #[serde(default)]
    pub at: Place,
    /// How many times in all. Default: without end.
    #[serde(default)]
    pub times: Option<u32>,
}

impl Shift {
    /// Whether it is to be applied now; counts it.
    pub(crate) fn is_due(&mut self) -> bool {
        match &mut self.times {
            None => true,
            Some(0) => false,
            Some(times) => {
                *times -= 1;
                true
            }
        }
    }
}
