//! Options: how the simulator answers each question that the vendor's documents leave open.

use std::fmt;
use std::str::FromStr;

use super::notation::{self, NotationError, name_and_value, words};
use super::script::Script;

/// Declares [`Options`] from one row per option: its name in the notation, its field, type and default.
macro_rules! options {
    ($($(#[doc = $doc:literal])* $name:literal => $field:ident: $type:ty = $default:expr;)*) => {
        /// How the simulator reads the vendor's open questions. Each default is the reading that the vendor's reference
        /// page suggests.
        ///
        /// ```
        /// use ucdn_simulator::{Options, Unit};
        /// let options: Options = "unit=urls limit=20".parse().unwrap();
        /// assert_eq!(options.unit, Unit::Urls);
        /// ```
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Options { $($(#[doc = $doc])* pub $field: $type),* }

        impl Default for Options {
            fn default() -> Self {
                Self { $($field: $default),* }
            }
        }

        impl Options {
            fn set(&mut self, name: &str, value: &str) -> Result<(), NotationError> {
                match name {
                    $($name => {
                        self.$field = value.parse().map_err(|error: NotationError| error.for_name(name))?;
                    })*
                    _ => return Err(NotationError::new(format!(
                        "unknown option `{name}`; valid options are {}",
                        [$($name),*].join(", ")
                    ))),
                }
                Ok(())
            }
        }

        impl fmt::Display for Options {
            /// One `NAME=VALUE` per line.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "{}={}", $name, self.$field)?;)*
                Ok(())
            }
        }
    };
}

options! {
    /// What `Offset` and `Limit` count.
    "unit" => unit: Unit = Unit::Tasks;
    /// Whether `Limit` is respected.
    "limit" => limit: LimitRule = LimitRule::Honoured;
    /// What `TotalCount` holds.
    "total-count" => total_count: TotalCount = TotalCount::Tasks;
    /// The order of the list.
    "order" => order: Order = Order::Newest;
    /// The time that `BeginTime` and `EndTime` are compared with.
    "window" => window_field: WindowField = WindowField::Created;
    /// Whether a task at exactly `BeginTime` is listed.
    "window-begin" => window_begin: Edge = Edge::Inclusive;
    /// Whether a task at exactly `EndTime` is listed.
    "window-end" => window_end: Edge = Edge::Inclusive;
    /// How very long windows are treated.
    "max-window" => max_window: MaxWindow = MaxWindow::Unlimited;
    /// How long tasks are known after their creation.
    "keep" => keep: Retention = Retention::Forever;
    /// Whether a query by `TaskId` looks beyond the window.
    "task-id" => task_id: TaskIdRule = TaskIdRule::OverridesWindow;
    /// Which tasks `IsDcdn` lists.
    "dcdn" => dcdn: DcdnRule = DcdnRule::Separate;
    /// The project ids that exist. Others get `RetCode` 292.
    "projects" => projects: Projects = Projects::default();
    /// Tasks that appear after each list request.
    "inserts" => inserts: Shift = Shift::default();
    /// Tasks that disappear after each list request.
    "removals" => removals: Shift = Shift::default();
    /// How a list without entries is written.
    "empty-list" => empty_list: ListShape = ListShape::Array;
    /// How each `UrlLists` is written.
    "url-list" => url_list: ListShape = ListShape::Array;
    /// The order of a task's URLs. It changes within a page only, so that no URL moves between pages.
    "url-order" => url_order: UrlOrder = UrlOrder::Kept;
    /// Whether the first URL of each task is listed twice.
    "repeated-url" => repeated_url: Presence = Presence::Absent;
    /// `FinishTime` of an unfinished URL.
    "unfinished-time" => unfinished_time: Unfinished = Unfinished::Zero;
    /// `Progress` of an unfinished URL.
    "unfinished-progress" => unfinished_progress: Unfinished = Unfinished::Number;
    /// How the status `unknow` is spelled.
    "unknown-word" => unknown_word: UnknownWord = UnknownWord::Unknow;
    /// How keys are spelled.
    "key-case" => key_case: KeyCase = KeyCase::Vendor;
    /// How numbers other than `RetCode` are written.
    "numbers" => numbers: NumberShape = NumberShape::Number;
    /// How `RetCode` is written.
    "ret-code" => ret_code: NumberShape = NumberShape::Number;
    /// Whether errors carry `Action`.
    "error-action" => error_action: Presence = Presence::Present;
    /// Whether responses and tasks carry a field that no page documents.
    "extra-field" => extra_field: Presence = Presence::Absent;
    /// The `Date` header.
    "date" => date: DateHeader = DateHeader::True;
    /// How long after its submission a task appears in the list.
    "listed-after" => listed_after: ListingDelay = ListingDelay(0);
    /// What becomes of submitted tasks whose URLs contain neither `fail` nor `stuck`.
    "submitted" => submitted: Script = Script::default();
}

impl Options {
    /// Changes the options that `text` names. Changes none if a word is wrong.
    pub fn change(&mut self, text: &str) -> Result<(), NotationError> {
        let mut changed = self.clone();
        for word in text.split_whitespace() {
            let (name, value) = name_and_value(word);
            changed.set(name, value)?;
        }
        *self = changed;
        Ok(())
    }
}

impl FromStr for Options {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        let mut options = Self::default();
        options.change(text)?;
        Ok(options)
    }
}

words! {
    /// What `TotalCount` holds.
    TotalCount {
        /// The number of matching tasks.
        #[default]
        Tasks = "tasks",
        /// The number of URLs of the matching tasks.
        Urls = "urls",
        /// The number of tasks on this page.
        Page = "page",
        /// The field is missing.
        Absent = "absent",
        /// `null`.
        Null = "null",
        /// Always 0.
        Zero = "zero",
        /// A number beyond 32 bits.
        Huge = "huge",
        /// Text instead of a number.
        Text = "text",
    }

    /// What `Offset` and `Limit` count.
    Unit {
        /// Tasks.
        #[default]
        Tasks = "tasks",
        /// URLs: the end of a page may split a task. A task without URLs counts as one.
        Urls = "urls",
    }

    /// The order of the list.
    Order {
        /// Newest creation time first.
        #[default]
        Newest = "newest",
        /// Oldest creation time first.
        Oldest = "oldest",
        /// Unfinished tasks first, then the latest finish time first.
        Finish = "finish",
    }

    /// The time that the window filters on.
    WindowField {
        /// The submission.
        #[default]
        Created = "created",
        /// The finish. An unfinished task counts by its submission.
        Finished = "finished",
    }

    /// Whether an end of the window belongs to it.
    Edge {
        /// It does.
        #[default]
        Inclusive = "inclusive",
        /// It does not.
        Exclusive = "exclusive",
    }

    /// How `TaskId` and the window go together.
    TaskIdRule {
        /// `TaskId` alone counts.
        #[default]
        OverridesWindow = "overrides-window",
        /// A task must match both.
        WithinWindow = "within-window",
        /// The server does not know the parameter and lists every task of the window.
        Ignored = "ignored",
    }

    /// What `IsDcdn` selects.
    DcdnRule {
        /// True lists only whole-site tasks, false only the others.
        #[default]
        Separate = "separate",
        /// True lists all tasks, false only those that are not whole-site.
        Overlapping = "overlapping",
        /// Both list all tasks.
        Ignored = "ignored",
    }

    /// A place in the list.
    Place {
        /// Before the first entry.
        #[default]
        Front = "front",
        /// After the last entry.
        Back = "back",
        /// In the middle.
        Middle = "middle",
    }

    /// How a list is written.
    ListShape {
        /// An array with its entries.
        #[default]
        Array = "array",
        /// An array without entries. `TotalCount` is 0 then.
        Empty = "empty",
        /// The key is missing.
        Missing = "missing",
        /// `null`.
        Null = "null",
        /// `{}`.
        Object = "object",
    }

    /// A number of an unfinished URL.
    Unfinished {
        /// The real number.
        #[default]
        Number = "number",
        /// 0.
        Zero = "zero",
        /// The key is missing.
        Absent = "absent",
        /// `null`.
        Null = "null",
        /// An empty string.
        Text = "text",
    }

    /// The order of the URLs of a task.
    UrlOrder {
        /// As submitted.
        #[default]
        Kept = "kept",
        /// Reversed.
        Reversed = "reversed",
        /// Random, another one in each response.
        Shuffled = "shuffled",
    }

    /// Whether something is there.
    Presence {
        /// It is.
        #[default]
        Present = "yes",
        /// It is not.
        Absent = "no",
    }

    /// The spelling of the vendor's status `unknow`.
    UnknownWord {
        /// As on the current reference page.
        #[default]
        Unknow = "unknow",
        /// As in older copies of the API.
        Unkonw = "unkonw",
    }

    /// The spelling of keys in responses.
    KeyCase {
        /// `TaskList`.
        #[default]
        Vendor = "vendor",
        /// `tasklist`.
        Lower = "lower",
        /// `TASKLIST`.
        Upper = "upper",
    }

    /// How a number is written.
    NumberShape {
        /// `1`.
        #[default]
        Number = "number",
        /// `"1"`.
        Text = "text",
        /// The key is missing.
        Missing = "missing",
    }
}

/// Whether `Limit` is respected. `Limit=0` and a missing `Limit` ask for everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitRule {
    /// It is: `honoured`.
    Honoured,
    /// Everything from `Offset` on is listed: `ignored`.
    Ignored,
    /// A page never has more entries than this: a number.
    Clamped(usize),
}

impl FromStr for LimitRule {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        match text {
            "honoured" => Ok(Self::Honoured),
            "ignored" => Ok(Self::Ignored),
            most => notation::number(most).map(Self::Clamped),
        }
    }
}

impl fmt::Display for LimitRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Honoured => f.write_str("honoured"),
            Self::Ignored => f.write_str("ignored"),
            Self::Clamped(most) => write!(f, "{most}"),
        }
    }
}

/// How windows longer than a limit are treated. Limits are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxWindow {
    /// There is no limit: `unlimited`.
    Unlimited,
    /// A longer window gets `RetCode` 230: `refuse:SPAN`.
    Refuse(u64),
    /// Only the last part of a longer window is searched: `cut:SPAN`.
    Cut(u64),
}

impl FromStr for MaxWindow {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        match text.split_once(':') {
            None if text == "unlimited" => Ok(Self::Unlimited),
            Some(("refuse", span)) => notation::span_seconds(span).map(Self::Refuse),
            Some(("cut", span)) => notation::span_seconds(span).map(Self::Cut),
            _ => Err(NotationError::new(format!(
                "unknown value `{text}`; valid values are unlimited, refuse:SPAN, cut:SPAN"
            ))),
        }
    }
}

impl fmt::Display for MaxWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = |seconds: u64| notation::written_ms(seconds.saturating_mul(1000));
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::Refuse(seconds) => write!(f, "refuse:{}", span(*seconds)),
            Self::Cut(seconds) => write!(f, "cut:{}", span(*seconds)),
        }
    }
}

/// How long a task is known after its creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// Without limit: `forever`.
    Forever,
    /// For this many seconds: a duration.
    Seconds(u64),
}

impl FromStr for Retention {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        match text {
            "forever" => Ok(Self::Forever),
            span => notation::span_seconds(span).map(Self::Seconds),
        }
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("forever"),
            Self::Seconds(seconds) => {
                f.write_str(&notation::written_ms(seconds.saturating_mul(1000)))
            }
        }
    }
}

/// The `Date` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateHeader {
    /// The simulator's clock: `true`.
    True,
    /// The header is missing: `off`.
    Off,
    /// The simulator's clock plus this many seconds.
    Skewed(i64),
}

impl FromStr for DateHeader {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        match text {
            "true" => Ok(Self::True),
            "off" => Ok(Self::Off),
            seconds => notation::number(seconds).map(Self::Skewed),
        }
    }
}

impl fmt::Display for DateHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::True => f.write_str("true"),
            Self::Off => f.write_str("off"),
            Self::Skewed(seconds) => write!(f, "{seconds}"),
        }
    }
}

/// How long after its submission a task appears in the list, in milliseconds. In the notation: a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListingDelay(pub u64);

impl FromStr for ListingDelay {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        notation::span_ms(text).map(Self)
    }
}

impl fmt::Display for ListingDelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&notation::written_ms(self.0))
    }
}

/// The project ids that exist, separated by commas in the notation. Empty or `any`: all ids exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Projects(pub Vec<String>);

impl Projects {
    pub(crate) fn includes(&self, id: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|known| known == id)
    }
}

impl FromStr for Projects {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        let ids = text.split(',').filter(|id| !matches!(*id, "" | "any"));
        Ok(Self(ids.map(str::to_owned).collect()))
    }
}

impl fmt::Display for Projects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("any");
        }
        f.write_str(&self.0.join(","))
    }
}

/// Changes of the list between two requests. One is applied after each answered list request that has no `TaskId`.
///
/// In the notation: `none`, or `COUNT`, `COUNT@PLACE`, `COUNT@PLACE*TIMES`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shift {
    /// Tasks per change.
    pub count: usize,
    /// Where in the list that was just requested.
    pub at: Place,
    /// How many changes are left. `None` if there is no limit.
    pub times: Option<u32>,
}

impl Shift {
    /// Whether it applies now. Counts it if it does.
    pub(crate) fn is_due(&mut self) -> bool {
        match &mut self.times {
            _ if self.count == 0 => false,
            None => true,
            Some(0) => false,
            Some(times) => {
                *times -= 1;
                true
            }
        }
    }
}

impl FromStr for Shift {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        if text == "none" {
            return Ok(Self::default());
        }
        let (rest, times) = match text.split_once('*') {
            Some((rest, times)) => (rest, Some(notation::number(times)?)),
            None => (text, None),
        };
        let (count, place) = rest.split_once('@').unwrap_or((rest, "front"));
        Ok(Self {
            count: notation::number(count)?,
            at: place.parse()?,
            times,
        })
    }
}

impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return f.write_str("none");
        }
        write!(f, "{}@{}", self.count, self.at)?;
        self.times.map_or(Ok(()), |times| write!(f, "*{times}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_options_are_read_as_they_are_written() {
        let changed = "unit=urls limit=20 total-count=huge order=finish window=finished window-begin=exclusive \
            window-end=exclusive max-window=refuse:30days keep=1day task-id=ignored dcdn=overlapping \
            projects=org-a,org-b inserts=2@back*3 removals=1@middle empty-list=object url-list=null \
            url-order=shuffled repeated-url=yes unfinished-time=text unfinished-progress=absent \
            unknown-word=unkonw key-case=upper numbers=text ret-code=missing error-action=no extra-field=yes \
            date=-90 listed-after=2s submitted=wait:1s,failure";
        let options: Options = changed.parse().unwrap();
        assert_eq!(changed.split_whitespace().count(), 29);
        let written = options.to_string();
        assert_eq!(
            written.split_whitespace().collect::<Vec<_>>(),
            changed.split_whitespace().collect::<Vec<_>>()
        );
        let defaults = Options::default();
        assert_eq!(defaults.to_string().parse(), Ok(defaults.clone()));
        for line in defaults.to_string().lines() {
            assert!(
                !written.contains(&format!("{line}\n")),
                "{line} is not changed above"
            );
        }
    }

    #[test]
    fn a_wrong_word_is_explained_and_changes_nothing() {
        let mut options = Options::default();
        let error = |options: &mut Options, text| options.change(text).unwrap_err().to_string();
        assert_eq!(
            error(&mut options, "order=oldest unit=bytes"),
            "unit: unknown value `bytes`; valid values are tasks, urls"
        );
        assert!(
            error(&mut options, "unitt=urls")
                .starts_with("unknown option `unitt`; valid options are unit, ")
        );
        assert!(error(&mut options, "limit=many").contains("limit"));
        assert!(error(&mut options, "max-window=1d").contains("cut:SPAN"));
        assert_eq!(options, Options::default());
    }
}
