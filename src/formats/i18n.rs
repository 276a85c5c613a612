//! Translations: the texts of chat messages in English and Chinese, without any vendor's markup.

use std::time::Duration;

use super::summary::{Category, Omitted, SummaryEntry};
use crate::config::{Chat, Language};
use crate::domain::event::EventTask;
use crate::domain::model::{Status, TaskKind, Timestamp};

/// Beijing's offset from UTC, all year round.
const BEIJING_OFFSET: Duration = Duration::from_secs(8 * 3600);

/// The texts of one language.
#[derive(Clone, Copy, Debug)]
pub(super) struct Messages(pub(super) Language);

/// One line of a message, without markup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MessageLine {
    pub(super) role: LineRole,
    pub(super) parts: Vec<LinePart>,
    /// What is lost if the line is left out.
    pub(super) content: Omitted,
}

/// What a line is for. Each vendor has markup per role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineRole {
    /// First line of an entry.
    Head(Category),
    /// Details of the entry.
    Detail,
    /// A URL of the entry.
    Url,
    /// A line that belongs to no entry.
    Note,
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LinePart {
    /// Our own text: words, numbers, times, and names from the config.
    Trusted(String),
    /// Text from outside. Must be escaped.
    Untrusted(String),
    /// A URL from outside. Must be escaped.
    Url(String),
}

impl MessageLine {
    pub(super) fn note(text: String) -> Self {
        Self {
            role: LineRole::Note,
            parts: vec![LinePart::Trusted(text)],
            content: Omitted::NOTHING,
        }
    }
}

/// First line of a message: `title: headline`.
pub(super) fn first_line(chat: &Chat, headline: &str) -> String {
    match chat.language {
        Language::En => format!("{}: {headline}", chat.title),
        Language::Zh => format!("{}：{headline}", chat.title),
    }
}

impl Messages {
    /// Text of a message's link.
    pub(super) fn link(self) -> &'static str {
        match self.0 {
            Language::En => "View details",
            Language::Zh => "查看详情",
        }
    }

    pub(super) fn list(self, items: impl Iterator<Item = String>) -> String {
        let items: Vec<String> = items.collect();
        items.join(match self.0 {
            Language::En => ", ",
            Language::Zh => "，",
        })
    }

    /// `… and 3 more, 2 more failed URLs`.
    pub(super) fn more(self, omitted: Omitted) -> String {
        let Omitted { entries, urls } = omitted;
        let entries = (entries > 0).then(|| match self.0 {
            Language::En => format!("{entries} more"),
            Language::Zh => format!("{entries} 项"),
        });
        let urls = (urls > 0).then(|| match (self.0, urls) {
            (Language::En, 1) => "1 more failed URL".to_owned(),
            (Language::En, _) => format!("{urls} more failed URLs"),
            (Language::Zh, _) => format!("{urls} 个失败的 URL"),
        });
        let counted = self.list(entries.into_iter().chain(urls));
        match self.0 {
            Language::En => format!("… and {counted}"),
            Language::Zh => format!("……另有 {counted}"),
        }
    }

    /// [`Self::more`] as a line. `None` if nothing is left out.
    pub(super) fn more_line(self, omitted: Omitted) -> Option<MessageLine> {
        let line = || MessageLine {
            content: omitted,
            ..MessageLine::note(self.more(omitted))
        };
        (omitted != Omitted::NOTHING).then(line)
    }

    /// Counts of entries that need no action, in a message with entries that do.
    pub(super) fn also(self, counts: &str) -> String {
        match self.0 {
            Language::En => format!("Also: {counts}"),
            Language::Zh => format!("此外：{counts}"),
        }
    }

    /// `2 tasks failed`: a part of the headline.
    pub(super) fn count(self, category: Category, count: usize) -> String {
        let (en, zh) = match category {
            Category::Failed => ("failed", "失败"),
            Category::Vanished => ("vanished", "消失"),
            Category::PollsFail => ("not watched", "无法监控"),
            Category::Stalled => ("stalled", "卡住"),
            Category::Unknown => ("in an unknown status", "状态未知"),
            Category::PollsRecovered => ("watched again", "恢复监控"),
            Category::Recovered => ("succeeded after failing", "失败后成功"),
            Category::Succeeded => ("succeeded", "成功"),
            Category::InFlight => ("in progress", "进行中"),
            Category::Test => return self.pick("test message", "测试消息"),
            Category::Other => ("not understood", "无法识别"),
        };
        let (one, many, noun) = match category {
            Category::PollsFail | Category::PollsRecovered => ("target", "targets", "个目标"),
            Category::Other => ("event", "events", "个事件"),
            _ => ("task", "tasks", "个任务"),
        };
        match (self.0, count) {
            (Language::En, 1) => format!("1 {one} {en}"),
            (Language::En, _) => format!("{count} {many} {en}"),
            (Language::Zh, _) => format!("{count} {noun}{zh}"),
        }
    }

    /// The first line of an entry.
    pub(super) fn head(self, entry: &SummaryEntry) -> MessageLine {
        MessageLine {
            role: LineRole::Head(entry.category),
            parts: match &entry.task {
                Some(task) => self.task_head(entry, task),
                None => self.target_head(entry),
            },
            content: Omitted::ENTRY,
        }
    }

    /// The lines of an entry, with at most `max_urls` of its URLs.
    pub(super) fn entry(self, entry: &SummaryEntry, max_urls: usize) -> Vec<MessageLine> {
        let mut lines = vec![self.head(entry)];
        lines.push(MessageLine {
            role: LineRole::Detail,
            parts: self.detail(entry),
            content: Omitted::NOTHING,
        });
        lines.retain(|line| !line.parts.is_empty());
        lines.extend(self.urls(entry, max_urls));
        lines
    }

    fn urls(self, entry: &SummaryEntry, max: usize) -> Vec<MessageLine> {
        let mut lines: Vec<MessageLine> = entry
            .failing
            .iter()
            .take(max)
            .map(|url| MessageLine {
                role: LineRole::Url,
                parts: vec![LinePart::Url(url.clone())],
                content: Omitted::urls(1),
            })
            .collect();
        let unlisted = entry.failing.len() - lines.len() + entry.unlisted_failures();
        if unlisted > 0 && !lines.is_empty() {
            lines.extend(self.more_line(Omitted::urls(unlisted)));
        }
        lines
    }

    /// `shop: refresh task 2019… failed`.
    fn task_head(self, entry: &SummaryEntry, task: &EventTask) -> Vec<LinePart> {
        let target = &entry.target;
        let before = match (self.0, task.kind) {
            (Language::En, kind) => format!("{target}: {kind} task "),
            (Language::Zh, TaskKind::Refresh) => format!("{target}：刷新任务 "),
            (Language::Zh, TaskKind::Prefetch) => format!("{target}：预取任务 "),
        };
        let mut parts = vec![
            LinePart::Trusted(before),
            LinePart::Untrusted(task.id.as_str().to_owned()),
        ];
        match entry.category {
            Category::Failed if task.status == Status::Failure => {
                parts.push(LinePart::Trusted(self.pick(" failed", " 失败")));
            }
            Category::Failed => {
                parts.push(LinePart::Trusted(
                    self.pick(" has failed URLs, and is ", " 有 URL 失败，任务"),
                ));
                parts.push(self.status(&task.status));
            }
            Category::Vanished => {
                parts.push(LinePart::Trusted(
                    self.pick(" vanished; it was ", " 消失，此前"),
                ));
                parts.push(self.status(&task.status));
            }
            Category::Stalled => {
                parts.push(LinePart::Trusted(self.pick(" is stalled: ", " 卡住：")));
                parts.push(self.status(&task.status));
            }
            Category::Recovered => {
                parts.push(LinePart::Trusted(
                    self.pick(" succeeded after failing", " 失败后成功"),
                ));
            }
            Category::Succeeded => parts.push(LinePart::Trusted(self.pick(" succeeded", " 成功"))),
            Category::Unknown => {
                parts.push(LinePart::Trusted(
                    self.pick(" is in an unknown status: ", " 状态未知："),
                ));
                parts.push(self.status(&task.status));
            }
            _ => {
                parts.push(LinePart::Trusted(self.pick(" is ", " ")));
                parts.push(self.status(&task.status));
            }
        }
        parts
    }

    fn target_head(self, entry: &SummaryEntry) -> Vec<LinePart> {
        let target = &entry.target;
        let (en, zh) = match entry.category {
            Category::PollsFail => (
                format!("{target} is not watched: its polls fail"),
                format!("{target}：轮询连续失败，无法监控"),
            ),
            Category::PollsRecovered => (
                format!("{target} is watched again"),
                format!("{target}：轮询恢复正常"),
            ),
            Category::Test => (
                "Sent by `ucdn-watch test-webhook`. No task has changed.".to_owned(),
                "由 `ucdn-watch test-webhook` 发送，没有任务发生变化。".to_owned(),
            ),
            _ => (
                format!("{target}: an event of an unknown type"),
                format!("{target}：无法识别的事件"),
            ),
        };
        vec![LinePart::Trusted(self.pick(&en, &zh))]
    }

    /// `1 of 2 URLs failed · created … · seen …`.
    fn detail(self, entry: &SummaryEntry) -> Vec<LinePart> {
        let mut facts: Vec<LinePart> = Vec::new();
        if let (Some(reason), true) = (&entry.reason, entry.category != Category::PollsRecovered) {
            facts.push(LinePart::Trusted(self.pick("why: ", "原因：")));
            facts.push(LinePart::Untrusted(reason.clone()));
        }
        if let Some(task) = &entry.task
            && task.urls.failure > 0
        {
            let (failed, total) = (task.urls.failure, task.urls.total);
            facts.push(LinePart::Trusted(self.pick(
                &format!("{failed} of {total} URLs failed"),
                &format!("{total} 个 URL 中有 {failed} 个失败"),
            )));
        }
        let created = entry.task.as_ref().and_then(|task| task.created);
        facts.extend(self.times(created, entry.time).map(LinePart::Trusted));
        Self::separated(facts)
    }

    /// `created …, seen 6s later`.
    fn times(
        self,
        created: Option<Timestamp>,
        seen: Option<Timestamp>,
    ) -> impl Iterator<Item = String> {
        let age = match (created, seen) {
            (Some(created), Some(seen)) if created <= seen => Some(seen.since(created)),
            _ => None,
        };
        let created = created.map(|created| {
            let created = self.time(created);
            self.pick(&format!("created {created}"), &format!("创建于 {created}"))
        });
        let seen = match age {
            Some(age) => {
                let age = self.age(age);
                Some(self.pick(&format!("seen {age} later"), &format!("{age}后发现")))
            }
            None => seen.map(|seen| {
                let seen = self.time(seen);
                self.pick(&format!("seen {seen}"), &format!("发现于 {seen}"))
            }),
        };
        created.into_iter().chain(seen)
    }

    /// The two largest units.
    fn age(self, age: Duration) -> String {
        let seconds = age.as_secs();
        let units = [
            (seconds / 86_400, "d", " 天"),
            (seconds / 3_600 % 24, "h", " 小时"),
            (seconds / 60 % 60, "m", " 分"),
            (seconds % 60, "s", " 秒"),
        ];
        let shown: Vec<String> = units
            .iter()
            .skip_while(|(count, _, _)| *count == 0)
            .take(2)
            .filter(|(count, _, _)| *count > 0)
            .map(|(count, en, zh)| format!("{count}{}", self.pick(en, zh)))
            .collect();
        if shown.is_empty() {
            return self.pick("0s", "0 秒");
        }
        shown.join(" ")
    }

    /// Puts separators between facts. Text from outside belongs to the words before it.
    fn separated(facts: Vec<LinePart>) -> Vec<LinePart> {
        let mut parts: Vec<LinePart> = Vec::new();
        for fact in facts {
            if !parts.is_empty() && matches!(fact, LinePart::Trusted(_)) {
                parts.push(LinePart::Trusted(" · ".to_owned()));
            }
            parts.push(fact);
        }
        parts
    }

    fn status(self, status: &Status) -> LinePart {
        match status {
            Status::Wait => LinePart::Trusted(self.pick("waiting", "等待中")),
            Status::Process => LinePart::Trusted(self.pick("in process", "处理中")),
            Status::Success => LinePart::Trusted(self.pick("success", "成功")),
            Status::Failure => LinePart::Trusted(self.pick("failure", "失败")),
            Status::Other(word) => LinePart::Untrusted(word.clone()),
        }
    }

    fn time(self, time: Timestamp) -> String {
        let (time, zone) = match self.0 {
            Language::En => (time, " UTC"),
            Language::Zh => (time.saturating_add(BEIJING_OFFSET), "（北京时间）"),
        };
        let text = time.to_string().replace('T', " ");
        format!("{}{zone}", text.trim_end_matches('Z'))
    }

    fn pick(self, en: &str, zh: &str) -> String {
        match self.0 {
            Language::En => en.to_owned(),
            Language::Zh => zh.to_owned(),
        }
    }
}
