//! From a request's parameters to the filters of the state: those of the commands, under the same names.

use crate::domain::event_pattern::EventTypes;
use crate::domain::model::{TargetName, TaskId, TaskKind, TimeArg, Timestamp};
use crate::store::filter::{Domain, EventFilter, TaskFilter, UrlFilter};
use crate::web::app_state::AppState;
use crate::web::parameters::{Mistake, Parameters};
use crate::web::refusal::Refusal;

/// The parameters of both filters.
macro_rules! with_shared {
    ($($own:literal),*) => {
        &["target", "kind", "since", "until", "url", "domain", "limit", $($own),*]
    };
}

/// The parameters of `/api/tasks`.
pub(super) const OF_TASKS: &[&str] = with_shared!["id", "status", "type", "after"];

/// The parameters of `/api/events`.
pub(super) const OF_EVENTS: &[&str] = with_shared!["task", "type", "after", "before"];

/// Which tasks a request asks for.
pub(super) fn of_tasks(parameters: &Parameters, state: &AppState) -> Result<TaskFilter, Refusal> {
    let now = state.clock.now();
    Ok(TaskFilter {
        targets: targets(parameters, state)?,
        id: parameters.one::<String>("id")?.map(TaskId),
        conditions: parameters.all("status")?,
        r#type: parameters.one("type")?,
        since: moment(parameters, "since", now)?,
        until: moment(parameters, "until", now)?,
        url: url(parameters)?,
    })
}

/// Which events a request asks for.
pub(super) fn of_events(parameters: &Parameters, state: &AppState) -> Result<EventFilter, Refusal> {
    let now = state.clock.now();
    let types: Vec<EventTypes> = parameters.all("type")?;
    Ok(EventFilter {
        targets: targets(parameters, state)?,
        types: EventTypes::union(&types),
        task: parameters.one::<String>("task")?.map(TaskId),
        since: moment(parameters, "since", now)?,
        until: moment(parameters, "until", now)?,
        url: url(parameters)?,
    })
}

fn moment(
    parameters: &Parameters,
    name: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>, Mistake> {
    let moment: Option<TimeArg> = parameters.one(name)?;
    Ok(moment.map(|moment| moment.seen_from(now)))
}

fn url(parameters: &Parameters) -> Result<Option<UrlFilter>, Mistake> {
    parameters.refuse_both("url", "domain")?;
    let domain: Option<Domain> = parameters.one("domain")?;
    let text: Option<String> = parameters.one("url")?;
    Ok(domain
        .map(UrlFilter::UnderDomain)
        .or_else(|| text.map(UrlFilter::Containing)))
}

/// The targets that are meant; empty: all.
fn targets(parameters: &Parameters, state: &AppState) -> Result<Vec<TargetName>, Refusal> {
    let named: Vec<String> = parameters.all("target")?;
    let named: Vec<TargetName> = named.into_iter().map(TargetName).collect();
    let kinds = state.health.snapshot().kinds;
    for name in &named {
        if !kinds.contains_key(name) && !has_tasks(name, state)? {
            let known: Vec<&str> = kinds.keys().map(TargetName::as_str).collect();
            let known = known.join(", ");
            let why = format_args!("no such target; the config has: {known}");
            return Err(Mistake::new("target", why).into());
        }
    }
    let kind: Option<String> = parameters.one("kind")?;
    let Some(kind) = kind else { return Ok(named) };
    let kind = match kind.as_str() {
        "refresh" => TaskKind::Refresh,
        "prefetch" => TaskKind::Prefetch,
        _ => return Err(Mistake::new("kind", "expected refresh or prefetch").into()),
    };
    let of_kind = kinds.into_iter().filter(|(_, of)| *of == kind);
    let chosen: Vec<TargetName> = of_kind
        .map(|(name, _)| name)
        .filter(|name| named.is_empty() || named.contains(name))
        .collect();
    if chosen.is_empty() {
        let why = format_args!("the config has no such target with {kind} tasks");
        return Err(Mistake::new("kind", why).into());
    }
    Ok(chosen)
}

/// Whether the state knows tasks of a target that the config no longer names.
fn has_tasks(name: &TargetName, state: &AppState) -> Result<bool, Refusal> {
    let filter = TaskFilter {
        targets: vec![name.clone()],
        ..TaskFilter::default()
    };
    Ok(!state.records.tasks(&filter, None, 1)?.is_empty())
}
