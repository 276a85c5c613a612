//! Faults: what goes wrong with API requests, and which requests it hits.

use std::fmt;
use std::io::Write;
use std::str::FromStr;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::notation::{self, NotationError, name_and_value};
use super::options::ListShape;
use super::response_writer::{HttpResponse, Sending};

const MEBIBYTE: usize = 1 << 20;

/// Something that goes wrong with API requests. Control requests are never hit.
///
/// In the notation: an effect, and any of `page=N`, `every=N`, `times=N` and `action=NAME`.
///
/// ```
/// use ucdn_simulator::{Effect, Fault};
/// let fault: Fault = "reset page=2".parse().unwrap();
/// assert_eq!(fault, Fault::on_page(2, Effect::Reset));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What goes wrong. Several faults may hit one request; their effects add up in the order of their addition.
    pub effect: Effect,
    /// Which requests it may hit.
    pub when: When,
    /// How many requests it hits. `None` if there is no limit.
    pub times: Option<u32>,
    /// The only action that it hits. `None` if it hits all.
    pub action: Option<String>,
}

impl Fault {
    /// Hits every request.
    #[must_use]
    pub fn always(effect: Effect) -> Self {
        Self {
            effect,
            when: When::Always,
            times: None,
            action: None,
        }
    }

    /// Hits this many of the next requests.
    #[must_use]
    pub fn next(times: u32, effect: Effect) -> Self {
        Self {
            times: Some(times),
            ..Self::always(effect)
        }
    }

    /// Hits each request for this page of a walk, from 1.
    #[must_use]
    pub fn on_page(page: u32, effect: Effect) -> Self {
        Self {
            when: When::Page(page),
            ..Self::always(effect)
        }
    }

    /// The same for this action only.
    #[must_use]
    pub fn for_action(mut self, action: &str) -> Self {
        self.action = Some(action.to_owned());
        self
    }
}

impl FromStr for Fault {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        let (words, tail) = split_tail(text);
        let mut fault = Self::always(Effect::Reset);
        let mut effect = None;
        let mut retry_after = None;
        for word in words.split_whitespace() {
            let (name, value) = name_and_value(word);
            let located = |error: NotationError| error.for_name(name);
            match name {
                "page" => fault.when = When::Page(notation::number(value).map_err(located)?),
                "every" => fault.when = When::Every(notation::number(value).map_err(located)?),
                "times" => fault.times = Some(notation::number(value).map_err(located)?),
                "action" => fault.action = Some(value.to_owned()),
                "retry-after" => retry_after = Some(value.to_owned()),
                _ if effect.is_some() => {
                    return Err(NotationError::new(format!(
                        "`{word}` is a second effect; add another fault for it"
                    )));
                }
                _ => effect = Some(Effect::read(name, value).map_err(located)?),
            }
        }
        fault.effect = match (effect, retry_after, tail) {
            (Some(Effect::Status { code, .. }), retry_after, None) => {
                Effect::Status { code, retry_after }
            }
            (Some(Effect::RetCode { code, .. }), None, Some(("message", text))) => {
                Effect::RetCode {
                    code,
                    message: Some(text.to_owned()),
                }
            }
            (None, None, Some(("body", text))) => Effect::Body(text.to_owned()),
            (Some(effect), None, None) => effect,
            (None, ..) => {
                return Err(NotationError::new(
                    "a fault needs an effect such as `reset` or `status=503`",
                ));
            }
            _ => {
                return Err(NotationError::new(
                    "`retry-after` belongs to `status`, `message` to `ret-code`, and `body` is an effect of its own",
                ));
            }
        };
        Ok(fault)
    }
}

/// Splits `body=…` or `message=…` off, which take the rest of the line.
fn split_tail(text: &str) -> (&str, Option<(&str, &str)>) {
    let starts = ["body", "message"].into_iter().filter_map(|name| {
        let key = format!("{name}=");
        let start = if text.starts_with(&key) {
            Some(0)
        } else {
            text.find(&format!(" {key}")).map(|at| at + 1)
        };
        start.map(|start| (start, name))
    });
    match starts.min() {
        None => (text, None),
        Some((start, name)) => {
            let (words, tail) = text.split_at(start);
            let tail = tail.split_once('=').map_or("", |(_, tail)| tail);
            (words, Some((name, tail)))
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.when {
            When::Always => {}
            When::Page(page) => write!(f, "page={page} ")?,
            When::Every(every) => write!(f, "every={every} ")?,
        }
        if let Some(times) = self.times {
            write!(f, "times={times} ")?;
        }
        if let Some(action) = &self.action {
            write!(f, "action={action} ")?;
        }
        // Last, because `body` and `message` take the rest of the line.
        self.effect.fmt(f)
    }
}

/// Which requests a fault may hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// All.
    #[default]
    Always,
    /// Those for this page of a walk. A request without `Offset` is for page 1; each one after it counts one more.
    Page(u32),
    /// Every N-th of those that the fault could hit.
    Every(u32),
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An HTTP status, with an HTML page: `status=CODE [retry-after=TEXT]`.
    Status {
        /// The status.
        code: u16,
        /// The `Retry-After` header.
        retry_after: Option<String>,
    },
    /// An error of the API. The request has no effect: `ret-code=CODE [message=TEXT]`.
    RetCode {
        /// The code.
        code: i64,
        /// `Message`. `None` stands for a text of the simulator.
        message: Option<String>,
    },
    /// The connection is reset instead of a response. The request has its effect: `reset`.
    Reset,
    /// The connection is closed instead of a response. The request has no effect: `lost`.
    Lost,
    /// The connection is reset after this many bytes of the body: `reset-after=BYTES`.
    ResetAfter(usize),
    /// The connection is closed after half of the body that `Content-Length` announced: `truncated`.
    Truncated,
    /// This many MiB of white space precede the response: `oversized=MIB`.
    Oversized(usize),
    /// The same, compressed with gzip: `gzip-bomb=MIB`.
    GzipBomb(usize),
    /// An HTML page with status 200: `html`.
    Html,
    /// No body, with status 200: `empty-body`.
    EmptyBody,
    /// A body that begins like JSON and breaks off, with status 200: `not-json`.
    NotJson,
    /// Exactly this body, with status 200: `body=TEXT`.
    Body(String),
    /// The response comes this many milliseconds late: `delay=SPAN`.
    DelayMs(u64),
    /// The body comes one byte at a time, with this many milliseconds between two bytes: `drip=SPAN`.
    DripMs(u64),
    /// `TaskList` has this shape: `list=SHAPE`.
    List(ListShape),
}

impl Effect {
    fn read(name: &str, value: &str) -> Result<Self, NotationError> {
        Ok(match name {
            "status" => Self::Status {
                code: notation::number(value)?,
                retry_after: None,
            },
            "ret-code" => Self::RetCode {
                code: notation::number(value)?,
                message: None,
            },
            "reset" => Self::Reset,
            "lost" => Self::Lost,
            "reset-after" => Self::ResetAfter(notation::number(value)?),
            "truncated" => Self::Truncated,
            "oversized" => Self::Oversized(notation::number(value)?),
            "gzip-bomb" => Self::GzipBomb(notation::number(value)?),
            "html" => Self::Html,
            "empty-body" => Self::EmptyBody,
            "not-json" => Self::NotJson,
            "delay" => Self::DelayMs(notation::span_ms(value)?),
            "drip" => Self::DripMs(notation::span_ms(value)?),
            "list" => Self::List(value.parse()?),
            _ => {
                return Err(NotationError::new(
                    "unknown word; valid effects are reset, lost, reset-after, truncated, oversized, gzip-bomb, html, \
                     empty-body, not-json, body, status, ret-code, delay, drip, list",
                ));
            }
        })
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status {
                code,
                retry_after: None,
            } => write!(f, "status={code}"),
            Self::Status {
                code,
                retry_after: Some(text),
            } => write!(f, "status={code} retry-after={text}"),
            Self::RetCode {
                code,
                message: None,
            } => write!(f, "ret-code={code}"),
            Self::RetCode {
                code,
                message: Some(text),
            } => write!(f, "ret-code={code} message={text}"),
            Self::Reset => f.write_str("reset"),
            Self::Lost => f.write_str("lost"),
            Self::ResetAfter(bytes) => write!(f, "reset-after={bytes}"),
            Self::Truncated => f.write_str("truncated"),
            Self::Oversized(mebibytes) => write!(f, "oversized={mebibytes}"),
            Self::GzipBomb(mebibytes) => write!(f, "gzip-bomb={mebibytes}"),
            Self::Html => f.write_str("html"),
            Self::EmptyBody => f.write_str("empty-body"),
            Self::NotJson => f.write_str("not-json"),
            Self::Body(text) => write!(f, "body={text}"),
            Self::DelayMs(span) => write!(f, "delay={}", notation::written_ms(*span)),
            Self::DripMs(span) => write!(f, "drip={}", notation::written_ms(*span)),
            Self::List(shape) => write!(f, "list={shape}"),
        }
    }
}

impl Effect {
    /// Damages a response. `ret-code` and `list` act earlier, when the body is made.
    pub(crate) fn apply(&self, response: &mut HttpResponse) {
        match self {
            Self::Status { code, retry_after } => {
                response.status = *code;
                set_html(response);
                if let Some(value) = retry_after {
                    response.set_header("Retry-After", value);
                }
            }
            Self::Reset => response.sending = Sending::Reset,
            Self::Lost => response.sending = Sending::Close,
            Self::ResetAfter(bytes) => response.sending = Sending::ResetAfter(*bytes),
            Self::Truncated => response.sending = Sending::Truncated,
            Self::Oversized(mebibytes) => {
                let mut body = vec![b' '; mebibytes.saturating_mul(MEBIBYTE)];
                body.append(&mut response.body);
                response.body = body;
            }
            Self::GzipBomb(mebibytes) => {
                response.body = gzip_bomb(*mebibytes, &response.body);
                response.set_header("Content-Encoding", "gzip");
            }
            Self::Html => set_html(response),
            Self::EmptyBody => response.body.clear(),
            Self::NotJson => response.body = br#"{"RetCode":0,"Action"#.to_vec(),
            Self::Body(body) => body.as_bytes().clone_into(&mut response.body),
            Self::DelayMs(span) => response.delay_ms = response.delay_ms.saturating_add(*span),
            Self::DripMs(pause) => response.sending = Sending::DripMs(*pause),
            Self::RetCode { .. } | Self::List(_) => {}
        }
    }
}

fn set_html(response: &mut HttpResponse) {
    response.set_header("Content-Type", "text/html; charset=utf-8");
    response.body = b"<html><body><h1>Injected by the simulator</h1></body></html>".to_vec();
}

fn gzip_bomb(mebibytes: usize, end: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let blank = vec![b' '; MEBIBYTE];
    let blanks = std::iter::repeat_n(blank.as_slice(), mebibytes);
    for part in blanks.chain([end]) {
        // Writing into memory can't fail.
        let _ = encoder.write_all(part);
    }
    encoder.finish().unwrap_or_default()
}

/// The faults in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    all: Vec<ArmedFault>,
}

#[derive(Clone, Debug)]
struct ArmedFault {
    fault: Fault,
    /// How many requests it could have hit so far.
    candidates: u32,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.all.push(ArmedFault {
            fault,
            candidates: 0,
        });
    }

    pub(crate) fn clear(&mut self) {
        self.all.clear();
    }

    /// The faults still in force. `times` is what is left of it.
    pub(crate) fn list(&self) -> impl Iterator<Item = &Fault> {
        self.all.iter().map(|armed| &armed.fault)
    }

    /// The effects that hit this request. `page` counts from 1; a request that lists nothing is on page 1.
    pub(crate) fn trigger(&mut self, action: &str, page: u32) -> Vec<Effect> {
        let effects = self
            .all
            .iter_mut()
            .filter_map(|armed| armed.trigger(action, page))
            .collect();
        self.all.retain(|armed| armed.fault.times != Some(0));
        effects
    }
}

impl ArmedFault {
    fn trigger(&mut self, action: &str, page: u32) -> Option<Effect> {
        let fault = &mut self.fault;
        if fault.action.as_deref().is_some_and(|only| only != action) {
            return None;
        }
        self.candidates = self.candidates.wrapping_add(1);
        let hits = match fault.when {
            When::Always => true,
            When::Page(only) => only == page,
            When::Every(nth) => self.candidates.checked_rem(nth) == Some(0),
        };
        if !hits {
            return None;
        }
        if let Some(times) = &mut fault.times {
            *times = times.checked_sub(1)?;
        }
        Some(fault.effect.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn hits(fault: Fault, pages: &[u32]) -> Vec<usize> {
        let mut faults = Faults::default();
        faults.add(fault);
        let hits = pages.iter().map(|page| faults.trigger("A", *page).len());
        hits.collect()
    }

    #[test]
    fn faults_hit_the_requests_that_they_are_for() {
        assert_eq!(hits(Fault::always(Effect::Reset), &[1, 2]), [1, 1]);
        assert_eq!(hits(Fault::next(2, Effect::Reset), &[1, 1, 1]), [1, 1, 0]);
        assert_eq!(
            hits(Fault::on_page(2, Effect::Reset), &[1, 2, 3, 1, 2]),
            [0, 1, 0, 0, 1]
        );
        let mut every = Fault::always(Effect::Reset);
        every.when = When::Every(3);
        assert_eq!(hits(every, &[1; 6]), [0, 0, 1, 0, 0, 1]);
        let mut other = Fault::always(Effect::Reset);
        other.action = Some("B".to_owned());
        assert_eq!(hits(other, &[1]), [0]);
    }

    #[test]
    fn a_gzip_bomb_is_small_until_it_is_decompressed() {
        let packed = gzip_bomb(4, b"{}");
        assert!(packed.len() < 100_000);
        let mut unpacked = Vec::new();
        let mut reader = flate2::read::GzDecoder::new(packed.as_slice());
        reader.read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked.len(), 4 * MEBIBYTE + 2);
    }

    #[test]
    fn faults_are_read_as_they_are_written() {
        for text in [
            "reset",
            "page=2 times=1 action=DescribeNewUcdnRefreshCacheTask lost",
            "every=3 status=503 retry-after=30",
            "ret-code=153 message=too many requests",
            "ret-code=-5",
            "times=1 body={ page=1 }",
            "reset-after=5",
            "truncated",
            "oversized=2",
            "gzip-bomb=3",
            "html",
            "empty-body",
            "not-json",
            "delay=1m30s",
            "drip=50ms",
            "list=object",
        ] {
            let fault: Fault = text.parse().unwrap();
            assert_eq!(fault.to_string(), text);
        }
        assert_eq!("reset page=2".parse(), Ok(Fault::on_page(2, Effect::Reset)));
    }

    #[test]
    fn a_fault_that_makes_no_sense_is_explained() {
        let error = |text: &str| text.parse::<Fault>().unwrap_err().to_string();
        assert!(error("").contains("needs an effect"));
        assert!(error("explode").contains("explode: unknown word; valid effects are reset, "));
        assert!(error("reset html").contains("second effect"));
        assert!(error("reset page=two").contains("page: `two`"));
        assert!(error("reset retry-after=3").contains("belongs to"));
        assert!(error("delay=5").contains("no duration"));
    }
}
