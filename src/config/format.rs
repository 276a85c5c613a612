//! `format` of a webhook, and the keys that only some formats have.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::diagnostics::{ErrorEmitted, Parsed};
use super::duration::{ConfigDuration, MIN_DURATION};
use super::reader::{Field, Table, all};

const DEFAULT_TITLE: &str = "UCDN";
const DEFAULT_EXPIRE_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// In characters. The title is a part of each message's first line.
const MAX_TITLE_CHARS: usize = 60;

const CHAT_KEYS: [&str; 3] = ["title", "language", "link"];
const ALERTMANAGER_KEYS: [&str; 2] = ["expire_after", "labels"];

/// Labels that identify an alert.
const RESERVED_LABELS: [&str; 5] = ["alertname", "target", "kind", "task", "url"];

/// `format`: how events become a request body, with the keys that this format has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// The event document itself.
    Json,
    /// `CloudEvents` 1.0 around the event.
    CloudEvents,
    /// Alerts for Alertmanager.
    Alertmanager(Alerts),
    /// A chat message.
    Chat(Chat),
}

/// Keys of `format = "alertmanager"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// Time after which an unresolved alert ends by itself.
    pub expire_after: Duration,
    /// Labels added to every alert. A `severity` replaces the built-in one.
    pub labels: BTreeMap<String, String>,
}

/// Keys of the chat formats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// The chat product.
    pub vendor: Vendor,
    /// First words of each message. Some bots accept only messages with a keyword.
    pub title: String,
    /// Language of the messages.
    pub language: Language,
    /// URL that a message links to, such as a console or the status page.
    pub link: Option<String>,
}

/// A chat product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// An incoming webhook.
    Slack,
    /// A custom bot of Feishu or Lark.
    Feishu,
    /// A custom robot.
    DingTalk,
    /// A group robot.
    WeCom,
}

/// `language`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English, with times in UTC.
    En,
    /// Simplified Chinese, with times of Beijing.
    Zh,
}

/// How many signing secrets a format accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SigningSecrets {
    /// One, or two while rotating.
    Two,
    One,
    /// None. The text is the error message for a secret.
    None(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FormatWord {
    Json,
    CloudEvents,
    Alertmanager,
    Chat(Vendor),
}

/// The parsed `format` of a webhook.
pub(super) struct RawFormat {
    pub(super) format: Parsed<Format>,
    /// Known even if another key of the format is wrong.
    pub(super) secrets: SigningSecrets,
}

impl FormatWord {
    fn secrets(self) -> SigningSecrets {
        match self {
            Self::Json | Self::CloudEvents => SigningSecrets::Two,
            Self::Alertmanager => SigningSecrets::None(
                "Alertmanager does not verify signatures; remove it, and put a proxy's credentials into `headers`",
            ),
            Self::Chat(Vendor::Feishu | Vendor::DingTalk) => SigningSecrets::One,
            Self::Chat(Vendor::Slack | Vendor::WeCom) => SigningSecrets::None(
                "this format does not sign requests, because its URL is the secret; remove it",
            ),
        }
    }
}

const WORDS: [(&str, FormatWord); 7] = [
    ("json", FormatWord::Json),
    ("cloudevents", FormatWord::CloudEvents),
    ("alertmanager", FormatWord::Alertmanager),
    ("slack", FormatWord::Chat(Vendor::Slack)),
    ("feishu", FormatWord::Chat(Vendor::Feishu)),
    ("dingtalk", FormatWord::Chat(Vendor::DingTalk)),
    ("wecom", FormatWord::Chat(Vendor::WeCom)),
];

impl fmt::Display for Format {
    /// The word that the config uses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::Json => FormatWord::Json,
            Self::CloudEvents => FormatWord::CloudEvents,
            Self::Alertmanager(_) => FormatWord::Alertmanager,
            Self::Chat(chat) => FormatWord::Chat(chat.vendor),
        };
        let text = WORDS.iter().find(|(_, of)| *of == word);
        f.write_str(text.map_or("?", |(text, _)| text))
    }
}

impl RawFormat {
    /// Parses `format`, and the keys that belong to some formats, from a webhook's table.
    pub(super) fn parse(table: &mut Table<'_>) -> Self {
        let word = table.get("format", |field| field.word(&WORDS));
        let word = word.map(|word| word.unwrap_or(FormatWord::Json));
        let secrets = word.as_ref().map(|word| word.secrets());
        Self {
            secrets: secrets.unwrap_or(SigningSecrets::Two),
            format: keys(table, word),
        }
    }
}

fn keys(table: &mut Table<'_>, word: Parsed<FormatWord>) -> Parsed<Format> {
    let chat_keys = given(table, &CHAT_KEYS);
    let alertmanager_keys = given(table, &ALERTMANAGER_KEYS);
    let refuse_chat_keys = || {
        let reason = "only valid with format slack, feishu, dingtalk or wecom; remove it";
        refuse(&chat_keys, reason)
    };
    let refuse_alertmanager_keys = || {
        refuse(
            &alertmanager_keys,
            "only valid with format alertmanager; remove it",
        )
    };
    match word? {
        FormatWord::Json => {
            all([refuse_chat_keys(), refuse_alertmanager_keys()]).map(|_| Format::Json)
        }
        FormatWord::CloudEvents => {
            all([refuse_chat_keys(), refuse_alertmanager_keys()]).map(|_| Format::CloudEvents)
        }
        FormatWord::Alertmanager => {
            let refused = refuse_chat_keys();
            let alerts = alerts(table);
            refused.and(alerts).map(Format::Alertmanager)
        }
        FormatWord::Chat(vendor) => {
            let refused = refuse_alertmanager_keys();
            let chat = chat(table, vendor);
            refused.and(chat).map(Format::Chat)
        }
    }
}

fn given<'a>(table: &mut Table<'a>, keys: &[&'static str]) -> Vec<Field<'a>> {
    keys.iter().filter_map(|key| table.optional(key)).collect()
}

fn refuse(fields: &[Field<'_>], reason: &str) -> Parsed<()> {
    let errors: Vec<ErrorEmitted> = fields.iter().map(|field| field.error(reason)).collect();
    errors.into_iter().next().map_or(Ok(()), Err)
}

fn chat(table: &mut Table<'_>, vendor: Vendor) -> Parsed<Chat> {
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

fn title(field: &Field<'_>) -> Parsed<String> {
    let text = field.nonempty_text()?;
    if text.chars().count() > MAX_TITLE_CHARS || text.chars().any(char::is_control) {
        return Err(field.error(format!(
            "expected one line of at most {MAX_TITLE_CHARS} characters"
        )));
    }
    Ok(text.to_owned())
}

/// The link is put into every vendor's markup. Characters that could end it there are not allowed in a URL anyway.
fn link(field: &Field<'_>) -> Parsed<String> {
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

fn alerts(table: &mut Table<'_>) -> Parsed<Alerts> {
    let expire_after = table.get("expire_after", |field| field.duration(MIN_DURATION));
    let labels = table.get("labels", |field| {
        Ok(all(field.entries()?.iter().map(label))?
            .into_iter()
            .collect())
    });
    Ok(Alerts {
        expire_after: expire_after?
            .as_ref()
            .map_or(DEFAULT_EXPIRE_AFTER, ConfigDuration::get),
        labels: labels?.unwrap_or_default(),
    })
}

fn label(field: &Field<'_>) -> Parsed<(String, String)> {
    let name = field.name();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts_valid = !name.starts_with(|c: char| c.is_ascii_digit());
    let named = if name.is_empty() || !starts_valid || !name.bytes().all(is_word) {
        Err(field
            .error("invalid label name; use a-z, A-Z, 0-9 and `_`, and do not start with a digit"))
    } else if RESERVED_LABELS.contains(&name) {
        Err(field.error("reserved label, because it identifies the alert; choose another name"))
    } else {
        Ok(())
    };
    let value = field.nonempty_text();
    named?;
    Ok((name.to_owned(), value?.to_owned()))
}
