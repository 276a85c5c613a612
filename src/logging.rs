//! The log: one line an event on stderr, as text, for journald, or as JSON. Decides how a line looks, and that
//! it is one line; never what is worth saying.
//!
//! Levels come from the command line alone. `RUST_LOG` is not honoured: at `debug` and `trace` the HTTP and TLS
//! crates print paths and queries, which hold webhook tokens and signed requests that never expire. For the same
//! reason other crates are held at `warn`, however much this one says.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use anstyle::{AnsiColor, Style as Colour};
use log::{Level, LevelFilter};
use serde::Serialize;

use crate::clock::{Clock as _, SystemClock};
use crate::config::Environment;
use crate::domain::model::Timestamp;
use crate::domain::text::{sanitize, sanitize_json};

/// What this crate's own log targets begin with.
const OWN: &str = env!("CARGO_CRATE_NAME");

/// A message's longest form in bytes; the rest is counted. Far below the 48 KiB at which journald cuts a line in
/// two, also if JSON makes six bytes of each: what follows a cut would be an entry of its own, with a priority that the
/// text could choose.
const MAX_MESSAGE_BYTES: usize = 6 * 1024;

/// How lines are to look: `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As journald wants them if stderr goes there, else text.
    Auto,
    /// Time, level, message.
    Text,
    /// One JSON object a line: `time`, `level`, `target`, `message`.
    Json,
}

/// What a [`Style`] comes to on the stderr at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Plain,
    Coloured,
    Journal,
    Json,
}

/// One line to be.
struct Line<'a> {
    time: Timestamp,
    level: Level,
    target: &'a str,
    message: &'a str,
}

/// Starts the log, for the whole process. A second start changes nothing.
pub fn start(level: LevelFilter, style: Style, environment: &Environment) {
    let layout = Layout::of(style, environment);
    let clock = SystemClock::start();
    let started = leveled(level)
        .format(move |buffer, record| {
            let message = record.args();
            let line = render(
                layout,
                &Line {
                    time: clock.now(),
                    level: record.level(),
                    target: record.target(),
                    message: message
                        .as_str()
                        .map_or_else(|| Cow::Owned(message.to_string()), Cow::Borrowed)
                        .as_ref(),
                },
            );
            writeln!(buffer, "{line}")
        })
        .try_init();
    if started.is_err() {
        log::debug!("the log was started twice");
    }
}

/// This crate at `level`, every other one at `warn` at most.
fn leveled(level: LevelFilter) -> env_logger::Builder {
    let mut builder = env_logger::Builder::new();
    builder
        .filter_level(level.min(LevelFilter::Warn))
        .filter_module(OWN, level);
    builder
}

impl Layout {
    fn of(style: Style, environment: &Environment) -> Self {
        match style {
            Style::Json => Self::Json,
            Style::Auto if goes_to_journal(environment) => Self::Journal,
            Style::Auto | Style::Text if is_coloured(environment) => Self::Coloured,
            Style::Auto | Style::Text => Self::Plain,
        }
    }
}

/// Whether stderr is the very socket that systemd connected to the journal, not a file or pipe put in its place.
fn goes_to_journal(environment: &Environment) -> bool {
    let Some(named) = environment.get("JOURNAL_STREAM").and_then(|it| it.to_str()) else {
        return false;
    };
    device_and_inode_of_stderr().is_ok_and(|actual| actual == named)
}

/// In the form of `$JOURNAL_STREAM`.
fn device_and_inode_of_stderr() -> io::Result<String> {
    let stderr = std::fs::File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let metadata = stderr.metadata()?;
    Ok(format!("{}:{}", metadata.dev(), metadata.ino()))
}

fn is_coloured(environment: &Environment) -> bool {
    io::stderr().is_terminal()
        && environment.get("NO_COLOR").is_none()
        && environment.get("TERM").is_some_and(|it| it != "dumb")
}

/// The line without its end. Holds no character that ends a line or steers a terminal but its own colours.
fn render(layout: Layout, line: &Line<'_>) -> String {
    let level = line.level;
    match layout {
        Layout::Json => render_json(line),
        Layout::Journal => format!("<{}>{}", priority(level), Message(line)),
        Layout::Plain => format!("{} {level:<5} {}", line.time, Message(line)),
        Layout::Coloured => {
            let colour = colour(level);
            let message = Message(line);
            format!("{} {colour}{level:<5}{colour:#} {message}", line.time)
        }
    }
}

/// Syslog's number for a level.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

fn colour(level: Level) -> Colour {
    match level {
        Level::Error => AnsiColor::Red.on_default().bold(),
        Level::Warn => AnsiColor::Yellow.on_default(),
        Level::Info => AnsiColor::Green.on_default(),
        Level::Debug | Level::Trace => Colour::new().dimmed(),
    }
}

/// The message on one line; another crate's has its target before it.
struct Message<'a>(&'a Line<'a>);

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.target.starts_with(OWN) {
            write!(f, "{}: ", sanitize(self.0.target))?;
        }
        f.write_str(&cut(&sanitize(self.0.message)))
    }
}

fn render_json(line: &Line<'_>) -> String {
    #[derive(Serialize)]
    struct Object<'a> {
        time: Timestamp,
        level: &'a str,
        target: &'a str,
        message: &'a str,
    }
    let object = serde_json::to_string(&Object {
        time: line.time,
        level: &line.level.as_str().to_ascii_lowercase(),
        target: line.target,
        message: &cut(line.message),
    });
    sanitize_json(&object.unwrap_or_default()).into_owned()
}

/// `text`, or as much of it as a line may hold and how much that leaves out.
fn cut(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_MESSAGE_BYTES {
        return Cow::Borrowed(text);
    }
    let boundaries = text.char_indices().map(|(position, _)| position);
    let end = boundaries.take_while(|it| *it <= MAX_MESSAGE_BYTES).last();
    let (kept, rest) = text.split_at(end.unwrap_or_default());
    Cow::Owned(format!("{kept}… ({} bytes more)", rest.len()))
}

#[cfg(test)]
mod tests {
    use crate::domain::text::is_unsafe;
    use std::ffi::OsString;

    use super::*;

    fn rendered(layout: Layout, level: Level, message: &str) -> String {
        let time = Timestamp::from_unix_seconds(1_795_484_400).unwrap();
        let line = Line {
            time,
            level,
            target: "ucdn_watch::poll",
            message,
        };
        render(layout, &line)
    }

    #[test]
    fn text_has_time_level_and_message() {
        assert_eq!(
            rendered(Layout::Plain, Level::Warn, "the poll failed"),
            "2026-11-24T01:40:00Z WARN  the poll failed"
        );
    }

    #[test]
    fn the_journal_gets_a_priority_and_no_time() {
        for (level, start) in [
            (Level::Error, "<3>"),
            (Level::Warn, "<4>"),
            (Level::Info, "<6>"),
            (Level::Debug, "<7>"),
        ] {
            assert_eq!(rendered(Layout::Journal, level, "x"), format!("{start}x"));
        }
    }

    #[test]
    fn json_is_one_object_with_the_message_unchanged() {
        let hostile = "a\nb\u{1b}[2J\u{85}\u{2028}\u{202e}\u{7f}\u{e0041} \"quoted\" 刷新";
        let line = rendered(Layout::Json, Level::Error, hostile);
        assert!(!line.contains(is_unsafe), "{line}");
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        let expected = serde_json::json!({
            "time": "2026-11-24T01:40:00Z", "level": "error",
            "target": "ucdn_watch::poll", "message": hostile,
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn a_newline_in_a_url_forges_no_line() {
        let url =
            "http://example.com/\n<3>2026-11-24T00:00:00Z ERROR forged\r\u{1b}]0;t\u{7}\u{2029}";
        for layout in [Layout::Plain, Layout::Journal, Layout::Json] {
            let line = rendered(layout, Level::Info, url);
            assert!(!line.contains(is_unsafe), "{line}");
        }
    }

    #[test]
    fn colours_are_the_only_escapes_of_a_coloured_line() {
        let line = rendered(Layout::Coloured, Level::Error, "\u{1b}[0m");
        assert!(line.ends_with(" \\u{1b}[0m"), "{line:?}");
        assert!(line.contains("\u{1b}[31m"), "{line:?}");
    }

    #[test]
    fn another_crates_line_says_whose_it_is() {
        let line = Line {
            time: Timestamp::EPOCH,
            level: Level::Warn,
            target: "rustls::client",
            message: "odd",
        };
        assert_eq!(render(Layout::Journal, &line), "<4>rustls::client: odd");
    }

    #[test]
    fn a_line_is_shorter_than_where_journald_would_cut_it() {
        let long = "\u{1}".repeat(80_000);
        for layout in [Layout::Plain, Layout::Journal, Layout::Json] {
            let line = rendered(layout, Level::Error, &long);
            assert!(line.len() < 48 * 1024, "{}", line.len());
            assert!(line.contains(" bytes more)"));
        }
    }

    #[test]
    fn other_crates_never_get_below_warn() {
        let is_on = |set: LevelFilter, target, level| {
            let record = log::Metadata::builder().target(target).level(level).build();
            log::Log::enabled(&leveled(set).build(), &record)
        };
        assert!(is_on(
            LevelFilter::Debug,
            "ucdn_watch::ucdn::client",
            Level::Debug
        ));
        for target in ["ureq::run", "ureq_proto", "rustls::client", "anything"] {
            assert!(!is_on(LevelFilter::Trace, target, Level::Info));
            assert!(is_on(LevelFilter::Trace, target, Level::Warn));
            assert!(!is_on(LevelFilter::Error, target, Level::Warn));
        }
    }

    #[test]
    fn only_the_named_stream_is_the_journal() {
        let of = |value: &str| {
            let variables = [(OsString::from("JOURNAL_STREAM"), OsString::from(value))];
            Environment::from_iter(variables)
        };
        let own = device_and_inode_of_stderr().unwrap();
        assert!(goes_to_journal(&of(&own)));
        assert!(!goes_to_journal(&of("1:2")));
        assert!(!goes_to_journal(&of("nonsense")));
        assert!(!goes_to_journal(&Environment::default()));
        assert_eq!(Layout::of(Style::Auto, &of(&own)), Layout::Journal);
        assert_ne!(Layout::of(Style::Text, &of(&own)), Layout::Journal);
        assert_eq!(Layout::of(Style::Json, &of(&own)), Layout::Json);
    }
}
