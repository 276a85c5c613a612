//! What all pages share: the frame with header and footer, the refresh, and the icon of the browser's tab.

use maud::{DOCTYPE, Markup, html};

use super::text::{moment, outside_plain};
use crate::domain::model::Timestamp;
use crate::web::query::{QueryError, QueryParams};

/// How often the script refreshes a page, in seconds.
const SCRIPT_REFRESH: u32 = 10;

/// How often a browser without scripts reloads a page, in seconds.
const RELOAD: u32 = 60;

/// One page without its frame.
pub(super) struct HtmlPage {
    /// The window's title. A tab shows its beginning.
    pub(super) title: String,
    pub(super) refresh: Refresh,
    /// For the tab's icon. `None` if the page says nothing about health.
    pub(super) severity: Option<Severity>,
    /// The moment that the page describes.
    pub(super) now: Timestamp,
    pub(super) main: Markup,
}

/// Whether a page keeps itself up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refresh {
    On,
    Off,
}

impl Refresh {
    /// `refresh=off`, for reading in peace.
    pub(super) fn from_params(params: &QueryParams) -> Result<Self, QueryError> {
        let value: Option<String> = params.one("refresh")?;
        match value.as_deref() {
            None => Ok(Self::On),
            Some("off") => Ok(Self::Off),
            Some(_) => Err(QueryError::new("refresh", "expected off, or no value")),
        }
    }
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Ok,
    Warning,
    Error,
}

impl Severity {
    /// The class in the stylesheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// A word for readers who can't see the colour.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "Warning",
            Self::Error => "Error",
        }
    }

    fn icon(self) -> &'static str {
        match self {
            Self::Ok => "icon-ok.svg",
            Self::Warning => "icon-warning.svg",
            Self::Error => "icon-error.svg",
        }
    }
}

impl HtmlPage {
    /// The whole document. All addresses are relative, because a proxy may serve the page under any path.
    pub(super) fn render(&self) -> Markup {
        let is_on = self.refresh == Refresh::On;
        let icon = self.severity.map_or("icon.svg", Severity::icon);
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (outside_plain(&self.title)) " · ucdn-watch" }
                    link rel="stylesheet" href="style.css";
                    link rel="icon" type="image/svg+xml" href=(icon);
                    @if is_on {
                        noscript { meta http-equiv="refresh" content=(RELOAD); }
                        script src="page.js" defer data-every=(SCRIPT_REFRESH) {}
                    }
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    header {
                        p.brand { a href="./" { "ucdn-watch" } " " span.of { (env!("CARGO_PKG_VERSION")) } }
                        nav aria-label="Pages" { a href="./" { "Overview" } " " a href="tasks" { "Tasks" } }
                        p.fresh data-part="fresh" {
                            "As of " time datetime=(self.now) { (moment(self.now)) }
                            @if is_on { noscript { ", every " (RELOAD) " s; " a href="?refresh=off" { "stop" } } }
                        }
                        @if is_on { button #pause type="button" hidden aria-pressed="false" { "Pause" } }
                    }
                    main #main tabindex="-1" { (self.main) }
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
}
