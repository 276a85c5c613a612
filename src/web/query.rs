//! Query strings: parameters, the filters made from them, and the errors of a request. Names and words are those of the
//! commands' flags.

use std::fmt::Display;
use std::str::FromStr;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

use crate::domain::event_pattern::EventTypes;
use crate::domain::model::{TargetName, TaskId, TaskKind, TimeArg, Timestamp};
use crate::store::StoreError;
use crate::store::filter::{Domain, EventFilter, TaskFilter, UrlFilter};
use crate::web::app_state::AppState;
use crate::web::response::json;

/// Parameters of both filters, and further ones.
macro_rules! with_shared {
    ($($own:literal),*) => {
        &["target", "kind", "since", "until", "url", "domain", "limit", $($own),*]
    };
}

/// Parameters of `/api/tasks` and `/tasks`.
pub(super) const TASK_PARAMS: &[&str] = with_shared!["id", "status", "type", "after"];

/// Parameters of `/api/events`.
pub(super) const EVENT_PARAMS: &[&str] = with_shared!["task", "type", "after", "before"];

/// The parameters of a query string. A parameter with an empty value counts as absent, because browsers send empty fields.
#[derive(Debug)]
pub(super) struct QueryParams {
    pairs: Vec<(String, String)>,
}

/// An invalid query parameter.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{parameter}`: {reason}")]
pub(super) struct QueryError {
    parameter: String,
    reason: String,
}

impl QueryError {
    pub(super) fn new(parameter: &str, reason: impl Display) -> Self {
        Self {
            parameter: parameter.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// Why a request gets no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    /// The client's mistake.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The state can't be read now.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A bug: serialising a record failed.
    #[error("a record of the state can't be written as JSON")]
    Serialize(#[from] serde_json::Error),
}

impl RequestError {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Query(_) => StatusCode::BAD_REQUEST,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Serialize(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// `{"error": …, "parameter": …}`
#[derive(Serialize)]
struct ErrorDocument<'a> {
    error: String,
    parameter: Option<&'a str>,
}

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        let body = ErrorDocument {
            error: self.to_string(),
            parameter: match &self {
                Self::Query(error) => Some(&error.parameter),
                Self::Store(_) | Self::Serialize(_) => None,
            },
        };
        // Serialising strings can't fail.
        let body = serde_json::to_string(&body).unwrap_or_default();
        json(self.status(), &(body + "\n"))
    }
}

impl QueryParams {
    /// Parses a query string. Other names than `known` are an error.
    pub(super) fn parse(query: &str, known: &[&str]) -> Result<Self, QueryError> {
        let mut pairs = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !known.contains(&&*name) {
                let known = known.join(", ");
                let reason = format_args!("unknown parameter; valid parameters are {known}");
                return Err(QueryError::new(&name, reason));
            }
            if !value.is_empty() {
                pairs.push((name.into_owned(), value.into_owned()));
            }
        }
        Ok(Self { pairs })
    }

    /// All values of a repeatable parameter.
    pub(super) fn all<T>(&self, name: &str) -> Result<Vec<T>, QueryError>
    where
        T: FromStr<Err: Display>,
    {
        let values = self.raw(name).map(str::parse);
        values
            .map(|value| value.map_err(|error| QueryError::new(name, error)))
            .collect()
    }

    /// The value of a parameter that may appear once.
    pub(super) fn one<T>(&self, name: &str) -> Result<Option<T>, QueryError>
    where
        T: FromStr<Err: Display>,
    {
        let mut values = self.all(name)?;
        if values.len() > 1 {
            return Err(QueryError::new(name, "may be given only once"));
        }
        Ok(values.pop())
    }

    /// The value of a parameter that must appear once.
    pub(super) fn required(&self, name: &str) -> Result<String, QueryError> {
        let value = self.one(name)?;
        value.ok_or_else(|| QueryError::new(name, "is required"))
    }

    /// The values of a parameter, unparsed.
    pub(super) fn raw<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let pairs = self.pairs.iter().filter(move |(known, _)| known == name);
        pairs.map(|(_, value)| value.as_str())
    }

    /// The query string with `name` set to `value`, or without `name` if `value` is empty.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.pairs.iter().filter(|(known, _)| known != name));
        if !value.is_empty() {
            query.append_pair(name, value);
        }
        query.finish()
    }

    /// Refuses two parameters that exclude each other.
    pub(super) fn refuse_both(&self, one: &str, other: &str) -> Result<(), QueryError> {
        if self.raw(one).next().is_some() && self.raw(other).next().is_some() {
            let reason = format_args!("can't be combined with `{one}`");
            return Err(QueryError::new(other, reason));
        }
        Ok(())
    }

    /// A time, of which an age counts back from `now`.
    fn time(&self, name: &str, now: Timestamp) -> Result<Option<Timestamp>, QueryError> {
        let time: Option<TimeArg> = self.one(name)?;
        Ok(time.map(|time| time.resolve(now)))
    }

    fn url(&self) -> Result<Option<UrlFilter>, QueryError> {
        self.refuse_both("url", "domain")?;
        let domain: Option<Domain> = self.one("domain")?;
        let text: Option<String> = self.one("url")?;
        let containing = text.map(UrlFilter::Containing);
        Ok(domain.map(UrlFilter::UnderDomain).or(containing))
    }
}

/// The tasks that a request selects.
pub(super) fn task_filter(
    params: &QueryParams,
    app: &AppState,
) -> Result<TaskFilter, RequestError> {
    let now = app.clock.now();
    Ok(TaskFilter {
        targets: targets(params, app)?,
        id: params.one::<String>("id")?.map(TaskId),
        conditions: params.all("status")?,
        r#type: params.one("type")?,
        since: params.time("since", now)?,
        until: params.time("until", now)?,
        url: params.url()?,
    })
}

/// The events that a request selects.
pub(super) fn event_filter(
    params: &QueryParams,
    app: &AppState,
) -> Result<EventFilter, RequestError> {
    let now = app.clock.now();
    let types: Vec<EventTypes> = params.all("type")?;
    Ok(EventFilter {
        targets: targets(params, app)?,
        types: EventTypes::union(&types),
        task: params.one::<String>("task")?.map(TaskId),
        since: params.time("since", now)?,
        until: params.time("until", now)?,
        url: params.url()?,
    })
}

/// The targets that `target` and `kind` select. Empty if that is all.
fn targets(params: &QueryParams, app: &AppState) -> Result<Vec<TargetName>, RequestError> {
    let named: Vec<String> = params.all("target")?;
    let named: Vec<TargetName> = named.into_iter().map(TargetName).collect();
    let kinds = app.health.snapshot().kinds;
    for name in &named {
        if !kinds.contains_key(name) && !has_tasks(name, app)? {
            let known: Vec<&str> = kinds.keys().map(TargetName::as_str).collect();
            let known = known.join(", ");
            let reason = format_args!("unknown target; the config has {known}");
            return Err(QueryError::new("target", reason).into());
        }
    }
    let kind: Option<String> = params.one("kind")?;
    let Some(kind) = kind else { return Ok(named) };
    let kind = match kind.as_str() {
        "refresh" => TaskKind::Refresh,
        "prefetch" => TaskKind::Prefetch,
        _ => return Err(QueryError::new("kind", "expected refresh or prefetch").into()),
    };
    let of_kind = kinds.into_iter().filter(|(_, of)| *of == kind);
    let chosen: Vec<TargetName> = of_kind
        .map(|(name, _)| name)
        .filter(|name| named.is_empty() || named.contains(name))
        .collect();
    if chosen.is_empty() {
        let reason = format_args!("the config has no such target with {kind} tasks");
        return Err(QueryError::new("kind", reason).into());
    }
    Ok(chosen)
}

/// Whether the state knows tasks of a target that the config no longer names.
fn has_tasks(name: &TargetName, app: &AppState) -> Result<bool, RequestError> {
    let filter = TaskFilter {
        targets: vec![name.clone()],
        ..TaskFilter::default()
    };
    Ok(!app.records.tasks(&filter, None, 1)?.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 2] = ["target", "limit"];

    fn parse(query: &str) -> Result<QueryParams, QueryError> {
        QueryParams::parse(query, &KNOWN)
    }

    #[test]
    fn values_are_decoded_and_empty_values_are_absent() {
        let params = parse("target=a%26b&target=%E5%9B%BE+x&limit=").unwrap();
        let targets: Vec<String> = params.all("target").unwrap();
        assert_eq!(targets, ["a&b", "图 x"]);
        assert_eq!(params.one::<u8>("limit").unwrap(), None);
    }

    #[test]
    fn errors_name_the_parameter() {
        let text = |error: QueryError| error.to_string();
        assert_eq!(
            text(parse("targets=a").unwrap_err()),
            "`targets`: unknown parameter; valid parameters are target, limit"
        );
        let params = parse("limit=1&limit=2").unwrap();
        assert_eq!(
            text(params.one::<u8>("limit").unwrap_err()),
            "`limit`: may be given only once"
        );
        let params = parse("limit=many&target=x").unwrap();
        assert_eq!(
            text(params.one::<u8>("limit").unwrap_err()),
            "`limit`: invalid digit found in string"
        );
        assert_eq!(
            text(params.refuse_both("limit", "target").unwrap_err()),
            "`target`: can't be combined with `limit`"
        );
    }
}
