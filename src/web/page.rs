//! Pages for people: rendered here, readable without a script, and with nothing in them from anywhere else. What comes
//! from outside goes through `text` alone.

use maud::{DOCTYPE, Markup, html};

use crate::domain::model::Timestamp;
use crate::store::queries::TaskRecord;
use crate::web::answer::{Answer, Code};
use crate::web::app_state::AppState;
use crate::web::filters;
use crate::web::overview::HOURS;
use crate::web::paging::{Cursor, USUAL_LIMIT, has, read};
use crate::web::parameters::{Mistake, Parameters};
use crate::web::refusal::Refusal;

mod axis;
mod bar;
mod events;
mod front;
mod list;
mod plots;
mod task;
mod tasks;
#[cfg(test)]
mod tests;
mod text;
mod verdict;
mod watcher;

/// What a browser may load for a page, and from where: what we serve ourselves, and nothing that stands in the page itself.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// How often a page is refreshed by its script, and without one.
const SCRIPT_EVERY_SECONDS: u32 = 10;
const RELOAD_EVERY_SECONDS: u32 = 60;

/// Whether a page is kept up to date while it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refresh {
    On,
    /// By request: for who reads on, without a script.
    Off,
}

/// A page but for its frame.
struct Page {
    /// For the window; what it begins with is seen in a tab.
    title: String,
    refresh: Refresh,
    /// How things are, for the icon.
    mood: Mood,
    /// When it is of.
    now: Timestamp,
    main: Markup,
}

/// How things are, in an icon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    Warning,
    Trouble,
    /// The page does not say.
    Unsaid,
}

impl Mood {
    fn icon(self) -> &'static str {
        match self {
            Self::Well => "icon-well.svg",
            Self::Warning => "icon-warning.svg",
            Self::Trouble => "icon-trouble.svg",
            Self::Unsaid => "icon.svg",
        }
    }
}

/// `/`.
pub(super) fn front(state: &AppState, query: &str) -> Answer {
    let page = || -> Result<Page, Refusal> {
        let parameters = Parameters::read(query, &["refresh"])?;
        front::page(state, refresh(&parameters)?)
    };
    answer(state, page())
}

/// `/tasks`.
pub(super) fn tasks(state: &AppState, query: &str) -> Answer {
    let page = || -> Result<Page, Refusal> {
        let parameters = Parameters::read(query, filters::OF_TASKS)?;
        let mut filter = filters::of_tasks(&parameters, state)?;
        let url = filter.url.take();
        let after: Option<Cursor> = parameters.one("after")?;
        let limit = parameters.one("limit")?.unwrap_or(USUAL_LIMIT);
        let now = state.clock.now();
        let chunk = |end: Option<&TaskRecord>, wanted| {
            let place = end.map(TaskRecord::cursor);
            let place = place.as_ref().or(after.as_ref().map(|cursor| &cursor.0));
            state.records.tasks(&filter, place, wanted)
        };
        let found = read(
            limit,
            chunk,
            |task| Ok(url.as_ref().is_none_or(|url| has(task, url))),
            |task| Ok(tasks::item(task, now).into_string()),
        )?;
        Ok(list::page(state, &parameters, &found, now))
    };
    answer(state, page())
}

/// `/task`.
pub(super) fn task(state: &AppState, query: &str) -> Answer {
    let page = || task::page(state, query);
    match page() {
        Ok(Some(page)) => answer(state, Ok(page)),
        Ok(None) => plain(
            state,
            Code::NotFound,
            "The state has no such task",
            "It was never seen, or is past its retention.",
        ),
        Err(refusal) => answer(state, Err(refusal)),
    }
}

fn refresh(parameters: &Parameters) -> Result<Refresh, Mistake> {
    let said: Option<String> = parameters.one("refresh")?;
    match said.as_deref() {
        None => Ok(Refresh::On),
        Some("off") => Ok(Refresh::Off),
        Some(_) => Err(Mistake::new("refresh", "expected off, or nothing")),
    }
}

fn answer(state: &AppState, page: Result<Page, Refusal>) -> Answer {
    match page {
        Ok(page) => html_answer(Code::Ok, &frame(&page)),
        Err(refusal) => {
            let heading = match refusal {
                Refusal::Mistake(_) => "There is a slip in the address",
                Refusal::Store(_) | Refusal::Unspeakable(_) => "The state can't be read now",
            };
            plain(state, refusal.code(), heading, &refusal.to_string())
        }
    }
}

/// A page that says why it is none. It is refreshed, too: a state that can't be read may be read again later.
fn plain(state: &AppState, code: Code, heading: &str, why: &str) -> Answer {
    let trouble = code != Code::NotFound && code != Code::BadRequest;
    let page = Page {
        title: heading.to_owned(),
        refresh: if trouble { Refresh::On } else { Refresh::Off },
        mood: if trouble { Mood::Trouble } else { Mood::Unsaid },
        now: state.clock.now(),
        main: html! {
            section.verdict.(if trouble { "trouble" } else { "warning" }) role="status" data-part="verdict" {
                h1 { (heading) }
                p { (text::outside(why)) }
            }
        },
    };
    html_answer(code, &frame(&page))
}

fn html_answer(code: Code, markup: &Markup) -> Answer {
    Answer {
        content_type: "text/html; charset=utf-8",
        policy: POLICY,
        ..Answer::text(code, markup.0.as_str())
    }
}

/// Addresses are relative: behind a proxy, the page may stand anywhere.
fn frame(page: &Page) -> Markup {
    let is_on = page.refresh == Refresh::On;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (text::outside_plain(&page.title)) " · ucdn-watch" }
                link rel="stylesheet" href="style.css";
                link rel="icon" type="image/svg+xml" href=(page.mood.icon());
                @if is_on {
                    noscript { meta http-equiv="refresh" content=(RELOAD_EVERY_SECONDS); }
                    script src="page.js" defer data-every=(SCRIPT_EVERY_SECONDS) {}
                }
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header {
                    p.brand { a href="./" { "ucdn-watch" } " " span.of { (env!("CARGO_PKG_VERSION")) } }
                    nav aria-label="Pages" { a href="./" { "Overview" } " " a href="tasks" { "Tasks" } }
                    p.fresh data-part="fresh" {
                        "As of " time datetime=(page.now) { (text::moment(page.now)) }
                        @if is_on { noscript { ", every " (RELOAD_EVERY_SECONDS) " s; " a href="?refresh=off" { "stop" } } }
                    }
                    @if is_on { button #pause type="button" hidden aria-pressed="false" { "Pause" } }
                }
                main #main tabindex="-1" { (page.main) }
                footer {
                    nav aria-label="For programs" {
                        a href="api/tasks" { "Tasks as JSON" } " "
                        a href="api/events" { "Events as JSON" } " "
                        a href="metrics" { "Metrics" } " "
                        a href="readyz" { "Readiness" }
                    }
                }
            }
        }
    }
}

const _: () = assert!(HOURS == 24, "the texts of the page say 24 hours");
