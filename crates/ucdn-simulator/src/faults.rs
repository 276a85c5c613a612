//! Faults: what goes wrong, when, and what it makes of an answer. Owns the choice and the damage, not the sockets.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::options::ListShape;

const MEBIBYTE: usize = 1 << 20;

/// Something that goes wrong with API requests; control requests are spared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong. Several faults at once add up, in the order in which they were added.
    pub effect: Effect,
    /// Which requests it may strike. Default: all.
    #[serde(default)]
    pub when: When,
    /// How many times it strikes. Default: without end.
    #[serde(default)]
    pub times: Option<u32>,
    /// The only action that it strikes. Default: all.
    #[serde(default)]
    pub action: Option<String>,
}

impl Fault {
    /// Strikes every request.
    #[must_use]
    pub fn always(effect: Effect) -> Self {
        Self {
            effect,
            when: When::Always,
            times: None,
            action: None,
        }
    }

    /// Strikes the next requests, so many.
    #[must_use]
    pub fn next(times: u32, effect: Effect) -> Self {
        Self {
            times: Some(times),
            ..Self::always(effect)
        }
    }

    /// Strikes each request for this page of a walk, from 1.
    #[must_use]
    pub fn on_page(page: u32, effect: Effect) -> Self {
        Self {
            when: When::Page(page),
            ..Self::always(effect)
        }
    }
}

/// Which requests a fault may strike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// All.
    #[default]
    Always,
    /// The one for this page of a walk: 1 is a request without `Offset`, and each after it counts one more.
    Page(u32),
    /// Of those it could strike, each so many-th.
    Every(u32),
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// An HTTP status other than 200, with a page of HTML.
    Status {
        /// The status.
        code: u16,
        /// The `Retry-After` header. Default: none.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// An error of the API; nothing else is done.
    RetCode {
        /// The code.
        code: i64,
        /// `Message`. Default: a text of the stand-in.
        #[serde(default)]
        message: Option<String>,
    },
    /// The connection is reset in place of an answer.
    Reset,
    /// The connection is reset after so many bytes of the body.
    ResetAfter(usize),
    /// The connection is closed after half of the body that `Content-Length` announced.
    Truncated,
    /// So many MiB of white space stand before the answer.
    Oversized(usize),
    /// The same, packed small with gzip.
    GzipBomb(usize),
    /// A page of HTML with status 200.
    Html,
    /// No body, with status 200.
    EmptyBody,
    /// A body that begins like JSON, and isn't.
    NotJson,
    /// Exactly this body, with status 200.
    Body(String),
    /// The answer comes so many milliseconds late.
    DelayMs(u64),
    /// The body comes byte by byte, so many milliseconds apart.
    DripMs(u64),
    /// `TaskList` has this shape for once.
    List(ListShape),
}

/// An answer on its way to the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) delay_ms: u64,
    pub(crate) ending: Ending,
}

/// How the sending of an answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Whole,
    ResetBefore,
    ResetAfter(usize),
    Truncated,
    DripMs(u64),
}

impl Reply {
    pub(crate) fn json(status: u16, body: String) -> Self {
        Self {
            status,
            headers: vec![("Content-Type", "application/json".to_owned())],
            body: body.into_bytes(),
            delay_ms: 0,
            ending: Ending::Whole,
        }
    }

    /// The body, if all of it goes out as text.
    pub(crate) fn whole_body(&self) -> Option<String> {
        match self.ending {
            Ending::Whole | Ending::DripMs(_) => String::from_utf8(self.body.clone()).ok(),
            Ending::ResetBefore | Ending::ResetAfter(_) | Ending::Truncated => None,
        }
    }

    fn set_header(&mut self, name: &'static str, value: &str) {
        self.headers.retain(|(existing, _)| *existing != name);
        self.headers.push((name, value.to_owned()));
    }

    fn set_html(&mut self) {
        self.set_header("Content-Type", "text/html; charset=utf-8");
        self.body = b"<html><body><h1>Not what you asked for</h1></body></html>".to_vec();
    }

    /// Does what the effect says, unless it belongs into the answer's making.
    pub(crate) fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::Status { code, retry_after } => {
                self.status = *code;
                self.set_html();
                if let Some(value) = retry_after {
                    self.set_header("Retry-After", value);
                }
            }
            Effect::Reset => self.ending = Ending::ResetBefore,
            Effect::ResetAfter(bytes) => self.ending = Ending::ResetAfter(*bytes),
            Effect::Truncated => self.ending = Ending::Truncated,
            Effect::Oversized(mebibytes) => {
                let mut body = vec![b' '; mebibytes.saturating_mul(MEBIBYTE)];
                body.append(&mut self.body);
                self.body = body;
            }
            Effect::GzipBomb(mebibytes) => {
                self.body = bomb(*mebibytes, &self.body);
                self.set_header("Content-Encoding", "gzip");
            }
            Effect::Html => self.set_html(),
            Effect::EmptyBody => self.body.clear(),
            Effect::NotJson => self.body = br#"{"RetCode":0,"Action"#.to_vec(),
            Effect::Body(body) => body.as_bytes().clone_into(&mut self.body),
            Effect::DelayMs(span) => self.delay_ms = self.delay_ms.saturating_add(*span),
            Effect::DripMs(pause) => self.ending = Ending::DripMs(*pause),
            Effect::RetCode { .. } | Effect::List(_) => {}
        }
    }
}

fn bomb(mebibytes: usize, end: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    let blank = vec![b' '; MEBIBYTE];
    let blanks = std::iter::repeat_n(blank.as_slice(), mebibytes);
    for part in blanks.chain([end]) {
        // Writing into memory can't fail.
        let _ = packer.write_all(part);
    }
    packer.finish().unwrap_or_default()
}

/// The faults in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    all: Vec<Armed>,
}

#[derive(Clone, Debug)]
struct Armed {
    fault: Fault,
    /// Requests that it could have struck so far.
    met: u32,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.all.push(Armed { fault, met: 0 });
    }

    pub(crate) fn clear(&mut self) {
        self.all.clear();
    }

    /// Those still in force, with the times they have left.
    pub(crate) fn list(&self) -> Vec<Fault> {
        self.all.iter().map(|armed| armed.fault.clone()).collect()
    }

    /// What strikes this request. `page` counts from 1; requests that are for no list are on page 1.
    pub(crate) fn trigger(&mut self, action: &str, page: u32) -> Vec<Effect> {
        let struck = self
            .all
            .iter_mut()
            .filter_map(|armed| armed.trigger(action, page))
            .collect();
        self.all.retain(|armed| armed.fault.times != Some(0));
        struck
    }
}

impl Armed {
    fn trigger(&mut self, action: &str, page: u32) -> Option<Effect> {
        let fault = &mut self.fault;
        if fault.action.as_deref().is_some_and(|only| only != action) {
            return None;
        }
        self.met = self.met.wrapping_add(1);
        let strikes = match fault.when {
            When::Always => true,
            When::Page(only) => only == page,
            When::Every(nth) => self.met.checked_rem(nth) == Some(0),
        };
        if !strikes {
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

    fn struck(fault: Fault, pages: &[u32]) -> Vec<usize> {
        let mut faults = Faults::default();
        faults.add(fault);
        let strikes = pages.iter().map(|page| faults.trigger("A", *page).len());
        strikes.collect()
    }

    #[test]
    fn faults_strike_when_they_are_meant_to() {
        assert_eq!(struck(Fault::always(Effect::Reset), &[1, 2]), [1, 1]);
        assert_eq!(struck(Fault::next(2, Effect::Reset), &[1, 1, 1]), [1, 1, 0]);
        assert_eq!(
            struck(Fault::on_page(2, Effect::Reset), &[1, 2, 3, 1, 2]),
            [0, 1, 0, 0, 1]
        );
        let mut every = Fault::always(Effect::Reset);
        every.when = When::Every(3);
        assert_eq!(struck(every, &[1; 6]), [0, 0, 1, 0, 0, 1]);
        let mut other = Fault::always(Effect::Reset);
        other.action = Some("B".to_owned());
        assert_eq!(struck(other, &[1]), [0]);
    }

    #[test]
    fn a_bomb_is_small_until_it_is_unpacked() {
        let packed = bomb(4, b"{}");
        assert!(packed.len() < 100_000);
        let mut unpacked = Vec::new();
        let mut reader = flate2::read::GzDecoder::new(packed.as_slice());
        reader.read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked.len(), 4 * MEBIBYTE + 2);
    }
}
