//! Logger: one line per event on stderr, as text, for journald, or as JSON.
//!
//! The level comes from the command line. `RUST_LOG` is ignored, and lines of other crates are dropped: the HTTP and TLS crates
//! log paths and queries, which contain webhook tokens and signed requests that never expire.
//!
//! Lines go through a bounded queue, so a stderr that nothing reads blocks neither polls nor deliveries nor a stop.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::panic::PanicHookInfo;
use std::sync::OnceLock;
use std::time::Duration;

use anstyle::{AnsiColor, Style as Colour};
use log::{Level, LevelFilter};
use serde::Serialize;

use crate::clock::{Clock as _, SystemClock};
use crate::config::Environment;
use crate::domain::model::Timestamp;
use crate::domain::text::{sanitize, sanitize_json};

mod queue;

use queue::LogQueue;

/// Prefix of this crate's log targets.
const OWN_TARGETS: &str = env!("CARGO_CRATE_NAME");

/// Longest message in bytes; a longer one ends in the number of bytes that were cut. Journald splits a line at 48 KiB, and the
/// text of the message could then choose the priority of the second part. JSON escapes make at most six bytes of one.
const MAX_MESSAGE_BYTES: usize = 6 * 1024;

/// Longest wait for the last lines to be written. A stop may take 2 s with everything else.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(200);

/// The queue of this process.
static QUEUE: OnceLock<LogQueue> = OnceLock::new();

/// Format of log lines: `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For journald if stderr is connected to it, else text.
    Auto,
    /// Time, level, message.
    Text,
    /// One JSON object per line: `time`, `level`, `target`, `message`.
    Json,
}

/// The format that a [`Style`] selects for this process's stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Plain,
    Coloured,
    Journal,
    Json,
}

/// Content of one line.
struct Line<'a> {
    time: Timestamp,
    level: Level,
    target: &'a str,
    message: &'a str,
}

/// Installs the logger and the panic hook of this process. A second call changes nothing.
pub fn start(level: LevelFilter, style: Style, environment: &Environment) {
    let layout = Layout::of(style, environment);
    let mut builder = own_lines(level);
    let clock = SystemClock::start();
    builder.format(move |buffer, record| {
        let message = record.args();
        let message = message
            .as_str()
            .map_or_else(|| Cow::Owned(message.to_string()), Cow::Borrowed);
        let line = Line {
            time: clock.now(),
            level: record.level(),
            target: record.target(),
            message: &message,
        };
        writeln!(buffer, "{}", render(layout, &line))
    });
    // Without a thread for the queue, lines are written at once.
    let queue = LogQueue::start(io::stderr(), move |count| dropped_line(layout, count)).ok();
    if let Some(queue) = &queue {
        builder.target(env_logger::Target::Pipe(Box::new(queue.clone())));
    }
    if builder.try_init().is_err() {
        log::debug!("the logger is already installed");
    } else if let Some(queue) = queue {
        let _ = QUEUE.set(queue);
        std::panic::set_hook(Box::new(move |panic| report_panic(layout, panic)));
    }
}

/// Writes a line to stderr after the log lines so far, without its format. Like them, the line is dropped if nothing reads stderr.
pub fn print(line: &str) {
    let line = format!("{line}\n");
    match QUEUE.get() {
        Some(queue) => queue.push(line.as_bytes()),
        // There is no better place to report that stderr can't be written.
        None => _ = io::stderr().write_all(line.as_bytes()),
    }
}

/// Waits until all lines are written, but not for long. To be called before the process ends.
pub fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(FLUSH_TIMEOUT);
    }
}

fn dropped_line(layout: Layout, count: u64) -> String {
    let line = Line {
        time: SystemClock::start().now(),
        level: Level::Warn,
        target: module_path!(),
        message: &format!("log lines were dropped because nothing read stderr: count={count}"),
    };
    render(layout, &line)
}

/// Reports a panic like the standard library does, but through the queue.
fn report_panic(layout: Layout, panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let place = panic.location().map(ToString::to_string);
    let payload = panic.payload();
    let reason = payload.downcast_ref::<&str>().copied();
    let reason = reason.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = format!(
        "thread '{}' panicked at {}: {}",
        thread.name().unwrap_or_default(),
        place.unwrap_or_default(),
        reason.unwrap_or_default()
    );
    let line = Line {
        time: SystemClock::start().now(),
        level: Level::Error,
        target: module_path!(),
        message: &message,
    };
    print(&render(layout, &line));
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        print(&format!("stack backtrace:\n{backtrace}"));
    }
    flush();
}

/// Lines of this crate up to `level`, and none of other crates.
fn own_lines(level: LevelFilter) -> env_logger::Builder {
    let mut builder = env_logger::Builder::new();
    builder
        .filter_level(LevelFilter::Off)
        .filter_module(OWN_TARGETS, level);
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

/// Whether stderr is the socket that systemd connected to the journal, and was not redirected to a file or pipe.
fn goes_to_journal(environment: &Environment) -> bool {
    let Some(named) = environment.get("JOURNAL_STREAM").and_then(|it| it.to_str()) else {
        return false;
    };
    device_and_inode_of_stderr().is_ok_and(|actual| actual == named)
}

/// Device and inode as in `$JOURNAL_STREAM`.
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

/// The line without its line break. Its only control characters are the escapes of its own colours.
fn render(layout: Layout, line: &Line<'_>) -> String {
    let level = line.level;
    match layout {
        Layout::Json => render_json(line),
        Layout::Journal => format!("<{}>{}", priority(level), message(line)),
        Layout::Plain => format!("{} {level:<5} {}", line.time, message(line)),
        Layout::Coloured => {
            let colour = colour(level);
            let message = message(line);
            format!("{} {colour}{level:<5}{colour:#} {message}", line.time)
        }
    }
}

/// Syslog priority.
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

/// The message on one line.
fn message(line: &Line<'_>) -> String {
    cut(&sanitize(line.message)).into_owned()
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

/// `text`, cut at [`MAX_MESSAGE_BYTES`].
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
    fn a_line_break_in_a_url_forges_no_line() {
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
    fn a_line_is_shorter_than_where_journald_would_cut_it() {
        let long = "\u{1}".repeat(80_000);
        for layout in [Layout::Plain, Layout::Journal, Layout::Json] {
            let line = rendered(layout, Level::Error, &long);
            assert!(line.len() < 48 * 1024, "{}", line.len());
            assert!(line.contains(" bytes more)"));
        }
    }

    #[test]
    fn lines_of_other_crates_are_dropped() {
        let is_on = |set: LevelFilter, target, level| {
            let record = log::Metadata::builder().target(target).level(level).build();
            log::Log::enabled(&own_lines(set).build(), &record)
        };
        let own = "ucdn_watch::ucdn::client";
        assert!(is_on(LevelFilter::Debug, own, Level::Debug));
        assert!(!is_on(LevelFilter::Warn, own, Level::Info));
        for target in ["ureq::run", "ureq_proto", "rustls::client", "anything"] {
            assert!(!is_on(LevelFilter::Trace, target, Level::Error), "{target}");
        }
    }

    #[test]
    fn only_the_stream_that_systemd_names_is_the_journal() {
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
