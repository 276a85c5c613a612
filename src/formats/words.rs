//! What messages say, in English and in Chinese. Pure; knows no vendor's markup.

use std::time::Duration;

use super::digest::{Category, Entry};
use super::text::Tells;
use crate::config::{Chat, Language};
use crate::domain::event::EventTask;
use crate::domain::model::{Status, TaskKind, Timestamp};

/// Beijing is so far ahead of UTC, all year round.
const BEIJING: Duration = Duration::from_secs(8 * 3600);

/// The words of one language.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words(pub(super) Language);

/// One line, before any markup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) role: Role,
    pub(super) parts: Vec<Part>,
    pub(super) tells: Tells,
}

/// What a line is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Begins an entry.
    Head(Category),
    /// Says more of the entry.
    Detail,
    /// A URL of the entry.
    Url,
    /// Of nothing in particular.
    Note,
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Our own words, numbers, times, and names of the config.
    Ours(String),
    /// Text from outside.
    Theirs(String),
    /// A URL from outside.
    Url(String),
}

impl Line {
    pub(super) fn note(text: String) -> Self {
        Self {
            role: Role::Note,
            parts: vec![Part::Ours(text)],
            tells: Tells::NOTHING,
        }
    }
}

/// `title: headline`, each message's first line.
pub(super) fn first_line(chat: &Chat, headline: &str) -> String {
    match chat.language {
        Language::En => format!("{}: {headline}", chat.title),
        Language::Zh => format!("{}：{headline}", chat.title),
    }
}

impl Words {
    /// The words over a message's link.
    pub(super) fn link(self) -> &'static str {
        match self.0 {
            Language::En => "Look into it",
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

    /// What was left out.
    pub(super) fn more(self, omitted: Tells) -> String {
        let Tells { entries, urls } = omitted;
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

    /// A line on what was left out, if anything was.
    pub(super) fn unlisted(self, omitted: Tells) -> Option<Line> {
        let line = || Line {
            tells: omitted,
            ..Line::note(self.more(omitted))
        };
        (omitted != Tells::NOTHING).then(line)
    }

    /// What nobody has to look into, beside what somebody has to.
    pub(super) fn also(self, counts: &str) -> String {
        match self.0 {
            Language::En => format!("Also: {counts}"),
            Language::Zh => format!("此外：{counts}"),
        }
    }

    /// A part of the headline.
    pub(super) fn count(self, category: Category, count: usize) -> String {
        let (en, zh) = match category {
            Category::Failed => ("failed", "失败"),
            Category::Vanished => ("vanished", "消失"),
            Category::PollsFail => ("can't be watched", "无法监控"),
            Category::Stalled => ("stalled", "卡住"),
            Category::Unknown => ("in an unknown status", "状态未知"),
            Category::PollsRecovered => ("watched again", "恢复监控"),
            Category::Mended => ("succeeded after failing", "失败后成功"),
            Category::Succeeded => ("succeeded", "成功"),
            Category::InFlight => ("under way", "进行中"),
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

    /// An entry's first line alone.
    pub(super) fn brief(self, entry: &Entry) -> Line {
        Line {
            role: Role::Head(entry.category),
            parts: match &entry.task {
                Some(task) => self.task_head(entry, task),
                None => self.target_head(entry),
            },
            tells: Tells::ENTRY,
        }
    }

    /// The lines of one entry, and at most so many of its URLs.
    pub(super) fn entry(self, entry: &Entry, most_urls: usize) -> Vec<Line> {
        let mut lines = vec![self.brief(entry)];
        lines.push(Line {
            role: Role::Detail,
            parts: self.detail(entry),
            tells: Tells::NOTHING,
        });
        lines.retain(|line| !line.parts.is_empty());
        lines.extend(self.urls(entry, most_urls));
        lines
    }

    fn urls(self, entry: &Entry, most: usize) -> Vec<Line> {
        let mut lines: Vec<Line> = entry
            .failing
            .iter()
            .take(most)
            .map(|url| Line {
                role: Role::Url,
                parts: vec![Part::Url(url.clone())],
                tells: Tells::urls(1),
            })
            .collect();
        let unlisted = entry.failing.len() - lines.len() + entry.failing_unnamed();
        if unlisted > 0 && !lines.is_empty() {
            lines.extend(self.unlisted(Tells::urls(unlisted)));
        }
        lines
    }

    /// `shop: refresh task 2019… failed`.
    fn task_head(self, entry: &Entry, task: &EventTask) -> Vec<Part> {
        let target = &entry.target;
        let before = match (self.0, task.kind) {
            (Language::En, kind) => format!("{target}: {kind} task "),
            (Language::Zh, TaskKind::Refresh) => format!("{target}：刷新任务 "),
            (Language::Zh, TaskKind::Prefetch) => format!("{target}：预取任务 "),
        };
        let mut parts = vec![
            Part::Ours(before),
            Part::Theirs(task.id.as_str().to_owned()),
        ];
        match entry.category {
            Category::Failed if task.status == Status::Failure => {
                parts.push(Part::Ours(self.pick(" failed", " 失败")));
            }
            Category::Failed => {
                parts.push(Part::Ours(
                    self.pick(" has failed URLs, and is ", " 有 URL 失败，任务"),
                ));
                parts.push(self.status(&task.status));
            }
            Category::Vanished => {
                parts.push(Part::Ours(self.pick(" vanished; it was ", " 消失，此前")));
                parts.push(self.status(&task.status));
            }
            Category::Stalled => {
                parts.push(Part::Ours(self.pick(" is stalled: ", " 卡住：")));
                parts.push(self.status(&task.status));
            }
            Category::Mended => {
                parts.push(Part::Ours(
                    self.pick(" succeeded after failing", " 失败后成功"),
                ));
            }
            Category::Succeeded => parts.push(Part::Ours(self.pick(" succeeded", " 成功"))),
            Category::Unknown => {
                parts.push(Part::Ours(
                    self.pick(" is in an unknown status: ", " 状态未知："),
                ));
                parts.push(self.status(&task.status));
            }
            _ => {
                parts.push(Part::Ours(self.pick(" is ", " ")));
                parts.push(self.status(&task.status));
            }
        }
        parts
    }

    fn target_head(self, entry: &Entry) -> Vec<Part> {
        let target = &entry.target;
        let (en, zh) = match entry.category {
            Category::PollsFail => (
                format!("{target} can't be watched, its polls fail"),
                format!("{target}：轮询接连失败，无法监控"),
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
                format!("{target}: an event that is not understood"),
                format!("{target}：无法识别的事件"),
            ),
        };
        vec![Part::Ours(self.pick(&en, &zh))]
    }

    /// `1 of 2 URLs failed · created … · seen …`.
    fn detail(self, entry: &Entry) -> Vec<Part> {
        let mut facts: Vec<Part> = Vec::new();
        if let (Some(reason), true) = (&entry.reason, entry.category != Category::PollsRecovered) {
            facts.push(Part::Ours(self.pick("why: ", "原因：")));
            facts.push(Part::Theirs(reason.clone()));
        }
        if let Some(task) = &entry.task
            && task.urls.failure > 0
        {
            let (failed, total) = (task.urls.failure, task.urls.total);
            facts.push(Part::Ours(self.pick(
                &format!("{failed} of {total} URLs failed"),
                &format!("{total} 个 URL 中有 {failed} 个失败"),
            )));
        }
        let created = entry.task.as_ref().and_then(|task| task.created);
        facts.extend(self.times(created, entry.time).map(Part::Ours));
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
            let created = self.moment(created);
            self.pick(&format!("created {created}"), &format!("创建于 {created}"))
        });
        let seen = match age {
            Some(age) => {
                let age = self.age(age);
                Some(self.pick(&format!("seen {age} later"), &format!("{age}后发现")))
            }
            None => seen.map(|seen| {
                let seen = self.moment(seen);
                self.pick(&format!("seen {seen}"), &format!("发现于 {seen}"))
            }),
        };
        created.into_iter().chain(seen)
    }

    /// In its two largest units.
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

    /// Puts separators between facts; what comes from outside belongs to our words before it.
    fn separated(facts: Vec<Part>) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for fact in facts {
            if !parts.is_empty() && matches!(fact, Part::Ours(_)) {
                parts.push(Part::Ours(" · ".to_owned()));
            }
            parts.push(fact);
        }
        parts
    }

    fn status(self, status: &Status) -> Part {
        match status {
            Status::Wait => Part::Ours(self.pick("waiting", "等待中")),
            Status::Process => Part::Ours(self.pick("being worked on", "处理中")),
            Status::Success => Part::Ours(self.pick("success", "成功")),
            Status::Failure => Part::Ours(self.pick("failure", "失败")),
            Status::Other(word) => Part::Theirs(word.clone()),
        }
    }

    fn moment(self, time: Timestamp) -> String {
        let (time, zone) = match self.0 {
            Language::En => (time, " UTC"),
            Language::Zh => (time.saturating_add(BEIJING), "（北京时间）"),
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
