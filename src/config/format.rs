//! `format`, and the keys that only some formats have: which they are, and what they mean.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::reader::{Field, Table, all};
use super::report::{Read, Reported};
use super::values::SHORTEST;

const DEFAULT_TITLE: &str = "UCDN";
const DEFAULT_EXPIRE_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// A title is a part of each message's first line.
const LONGEST_TITLE: usize = 60;

const CHAT_KEYS: [&str; 3] = ["title", "language", "link"];
const ALERTMANAGER_KEYS: [&str; 2] = ["expire_after", "labels"];

/// The labels that say which alert it is.
const OWN_LABELS: [&str; 5] = ["alertname", "target", "kind", "task", "url"];

/// `format`: how a request is made of events, with the keys that this format has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// The event itself.
    Json,
    /// `CloudEvents` 1.0 around the event.
    CloudEvents,
    /// Alerts for an Alertmanager.
    Alertmanager(Alerts),
    /// A message for people.
    Chat(Chat),
}

/// What `format = "alertmanager"` adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// An alert that nothing resolves ends by itself after this long.
    pub expire_after: Duration,
    /// Set on every alert, beside our own and instead of our `severity`.
    pub labels: BTreeMap<String, String>,
}

/// What the chat formats add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// Whose bot it is.
    pub vendor: Vendor,
    /// How each message begins: for bots that take only messages with a certain word.
    pub title: String,
    /// What messages are written in.
    pub language: Language,
    /// Where a message leads: a console, or the status page.
    pub link: Option<String>,
}

/// Whose chat it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// An incoming webhook.
    Slack,
    /// A custom bot; Lark's is the same.
    Feishu,
    /// A custom robot.
    DingTalk,
    /// A group robot.
    WeCom,
}

/// `language`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English; times are UTC.
    En,
    /// Simplified Chinese; times are those of Beijing.
    Zh,
}

/// What secrets a format has a use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secrets {
    /// Two while rotating.
    Two,
    One,
    /// None: why not.
    None(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Json,
    CloudEvents,
    Alertmanager,
    Chat(Vendor),
}

/// What a webhook's table says of its format.
pub(super) struct FormatDraft {
    pub(super) format: Read<Format>,
    /// Known also if another key of the format is wrong.
    pub(super) secrets: Secrets,
}

impl Word {
    fn secrets(self) -> Secrets {
        match self {
            Self::Json | Self::CloudEvents => Secrets::Two,
            Self::Alertmanager => Secrets::None(
                "an Alertmanager checks no signature: remove it; what a proxy before it asks for goes into `headers`",
            ),
            Self::Chat(Vendor::Feishu | Vendor::DingTalk) => Secrets::One,
            Self::Chat(Vendor::Slack | Vendor::WeCom) => {
                Secrets::None("this format signs nothing, the URL itself is the secret: remove it")
            }
        }
    }
}

const WORDS: [(&str, Word); 7] = [
    ("json", Word::Json),
    ("cloudevents", Word::CloudEvents),
    ("alertmanager", Word::Alertmanager),
    ("slack", Word::Chat(Vendor::Slack)),
    ("feishu", Word::Chat(Vendor::Feishu)),
    ("dingtalk", Word::Chat(Vendor::DingTalk)),
    ("wecom", Word::Chat(Vendor::WeCom)),
];

impl fmt::Display for Format {
    /// As the config says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::Json => Word::Json,
            Self::CloudEvents => Word::CloudEvents,
            Self::Alertmanager(_) => Word::Alertmanager,
            Self::Chat(chat) => Word::Chat(chat.vendor),
        };
        let text = WORDS.iter().find(|(_, of)| *of == word);
        f.write_str(text.map_or("?", |(text, _)| text))
    }
}

/// Reads `format` and the keys of formats from a webhook's table.
pub(super) fn read(table: &mut Table<'_>) -> FormatDraft {
    let word = table.get("format", |field| field.word(&WORDS));
    let word = word.map(|word| word.unwrap_or(Word::Json));
    FormatDraft {
        secrets: word.as_ref().map_or(Secrets::Two, |word| word.secrets()),
        format: keys(table, word),
    }
}

fn keys(table: &mut Table<'_>, word: Read<Word>) -> Read<Format> {
    let chat_keys = given(table, &CHAT_KEYS);
    let alertmanager_keys = given(table, &ALERTMANAGER_KEYS);
    let no_chat = || {
        let reason = "is for the formats slack, feishu, dingtalk and wecom alone";
        refuse(&chat_keys, reason)
    };
    let no_alertmanager = || refuse(&alertmanager_keys, "is for the format alertmanager alone");
    match word? {
        Word::Json => all([no_chat(), no_alertmanager()]).map(|_| Format::Json),
        Word::CloudEvents => all([no_chat(), no_alertmanager()]).map(|_| Format::CloudEvents),
        Word::Alertmanager => {
            let refused = no_chat();
            let alerts = alerts(table);
            refused.and(alerts).map(Format::Alertmanager)
        }
        Word::Chat(vendor) => {
            let refused = no_alertmanager();
            let chat = chat(table, vendor);
            refused.and(chat).map(Format::Chat)
        }
    }
}

fn given<'a>(table: &mut Table<'a>, keys: &[&'static str]) -> Vec<Field<'a>> {
    keys.iter().filter_map(|key| table.optional(key)).collect()
}

fn refuse(fields: &[Field<'_>], reason: &str) -> Read<()> {
    let errors: Vec<Reported> = fields.iter().map(|field| field.error(reason)).collect();
    errors.into_iter().next().map_or(Ok(()), Err)
}

fn chat(table: &mut Table<'_>, vendor: Vendor) -> Read<Chat> {
    let title = table.get("title", title);
    let language = table.get("language", |field| {
        field.word(&[("en", Language::En), ("zh", Language::Zh)])
    });
    let link = table.get("link", link);
    Ok(Chat {
        vendor,
        title: title?.unwrap_or_else(|| DEFAULT_TITLE.to_owned()),
        language: language?.unwrap_or(Language::En),
        link: link?,
    })
}

fn title(field: &Field<'_>) -> Read<String> {
    let text = field.nonempty_text()?;
    if text.chars().count() > LONGEST_TITLE || text.chars().any(char::is_control) {
        return Err(field.error(format!(
            "expected one line of at most {LONGEST_TITLE} characters"
        )));
    }
    Ok(text.to_owned())
}

/// Goes into the markup of every dialect: what could end it there is no part of a URL anyway.
fn link(field: &Field<'_>) -> Read<String> {
    let text = field.text()?;
    let is_plain = |c: char| c.is_ascii_graphic() && !"<>[]()|\"'`*\\".contains(c);
    let is_web = text.starts_with("http://") || text.starts_with("https://");
    if !is_web || !text.chars().all(is_plain) {
        return Err(field.error(
            "expected a URL such as https://host/path, its special characters percent-encoded",
        ));
    }
    Ok(text.to_owned())
}

fn alerts(table: &mut Table<'_>) -> Read<Alerts> {
    let expire_after = table.get("expire_after", |field| field.duration(SHORTEST));
    let labels = table.get("labels", |field| {
        Ok(all(field.entries()?.iter().map(label))?
            .into_iter()
            .collect())
    });
    Ok(Alerts {
        expire_after: expire_after?.unwrap_or(DEFAULT_EXPIRE_AFTER),
        labels: labels?.unwrap_or_default(),
    })
}

fn label(field: &Field<'_>) -> Read<(String, String)> {
    let name = field.name();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins_well = !name.starts_with(|c: char| c.is_ascii_digit());
    let named = if name.is_empty() || !begins_well || !name.bytes().all(is_word) {
        Err(field.error("a label has a name of a-z, A-Z, 0-9 and `_`, and begins with no digit"))
    } else if OWN_LABELS.contains(&name) {
        Err(field.error("this label says which alert it is: choose another name"))
    } else {
        Ok(())
    };
    let value = field.nonempty_text();
    named?;
    Ok((name.to_owned(), value?.to_owned()))
}
