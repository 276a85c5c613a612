//! The vendor's API: authenticates a request, performs its action, and applies faults to the response.

use super::clock;
use super::faults::Effect;
use super::options::{DateHeader, ListShape, MaxWindow, Options};
use super::paging;
use super::parameters::{ListQuery, Parameters};
use super::response_writer::HttpResponse;
use super::script::Script;
use super::server::HttpRequest;
use super::signature;
use super::state::{RequestRecord, SimState};
use super::tasks::{TaskKind, TaskSpec};
use super::wire::{self, Refusal, Totals};

/// The vendor's limits of URLs per submission.
const MAX_REFRESH_URLS: usize = 100;
const MAX_PREFETCH_URLS: usize = 1000;

/// An action that the simulator knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    List(TaskKind),
    Submit(TaskKind),
}

impl Action {
    fn of_name(name: &str) -> Option<Self> {
        match name {
            "DescribeNewUcdnRefreshCacheTask" => Some(Self::List(TaskKind::Refresh)),
            "DescribeNewUcdnPrefetchCacheTask" => Some(Self::List(TaskKind::Prefetch)),
            "RefreshNewUcdnDomainCache" => Some(Self::Submit(TaskKind::Refresh)),
            "PrefetchNewUcdnDomainCache" => Some(Self::Submit(TaskKind::Prefetch)),
            _ => None,
        }
    }
}

/// Answers an API request and records it.
pub(crate) fn answer(state: &mut SimState, request: &HttpRequest) -> HttpResponse {
    let mut parameters = Parameters::default();
    parameters.read(&request.query);
    parameters.read(&String::from_utf8_lossy(&request.body));
    let mut record = record_of(state, &parameters, request);
    let effects = effects_on(state, &record);
    record.faults = effects.len();
    let options = state.options.clone();
    let action = parameters.get("Action");
    let result = match refused_by(&effects) {
        Some(refusal) => Err(refusal),
        None => perform(state, &parameters, &options, list_shape(&effects)),
    };
    let body = match result {
        Ok(body) => body,
        Err(refusal) => {
            record.ret_code = refusal.ret_code;
            refusal.body(action, &options)
        }
    };
    let mut response = HttpResponse::ok(&body).with_header("Content-Type", "application/json");
    for (name, value) in headers(state, &options) {
        response.set_header(name, &value);
    }
    for effect in &effects {
        effect.apply(&mut response);
    }
    state.log(record, &response);
    response
}

fn record_of(state: &SimState, parameters: &Parameters, request: &HttpRequest) -> RequestRecord {
    let text = |name| parameters.get(name).map(str::to_owned);
    RequestRecord {
        time: state.clock.now_seconds(),
        elapsed_ms: state.clock.elapsed_ms(),
        action: text("Action"),
        offset: number(parameters, "Offset"),
        limit: number(parameters, "Limit"),
        begin: number(parameters, "BeginTime"),
        end: number(parameters, "EndTime"),
        status: text("Status"),
        is_dcdn: number(parameters, "IsDcdn"),
        project_id: text("ProjectId"),
        task_ids: parameters.array("TaskId"),
        headers: request.headers.clone(),
        ..RequestRecord::default()
    }
}

fn number<T: std::str::FromStr>(parameters: &Parameters, name: &str) -> Option<T> {
    parameters.get(name)?.parse().ok()
}

fn effects_on(state: &mut SimState, record: &RequestRecord) -> Vec<Effect> {
    let action = record.action.as_deref().unwrap_or_default();
    let page = state.page_of(action, record.offset.unwrap_or(0));
    state.faults.trigger(action, page)
}

fn list_shape(effects: &[Effect]) -> ListShape {
    let mut shapes = effects.iter().rev().filter_map(|effect| match effect {
        Effect::List(shape) => Some(*shape),
        _ => None,
    });
    shapes.next().unwrap_or_default()
}

fn refused_by(effects: &[Effect]) -> Option<Refusal> {
    effects.iter().find_map(|effect| match effect {
        Effect::RetCode { code, message } => {
            let message = message.as_deref().unwrap_or("injected by the simulator");
            Some(Refusal::new(*code, message))
        }
        // The client never reads it: the connection is closed instead.
        Effect::Lost => Some(Refusal::new(-1, "lost")),
        _ => None,
    })
}

fn headers(state: &SimState, options: &Options) -> Vec<(&'static str, String)> {
    let random = (
        fastrand::u32(..),
        fastrand::u16(..),
        fastrand::u64(..1 << 48),
    );
    let id = format!(
        "{:08x}-{:04x}-4000-8000-{:012x}",
        random.0, random.1, random.2
    );
    let now = state.clock.now_seconds();
    let date = match options.date {
        DateHeader::True => Some(now),
        DateHeader::Off => None,
        DateHeader::Skewed(seconds) => Some(now.saturating_add(seconds)),
    };
    let date = date.map(|seconds| {
        let time = clock::system_time(seconds);
        ("Date", httpdate::fmt_http_date(time))
    });
    let mut headers = vec![("X-UCLOUD-REQUEST-UUID", id)];
    headers.extend(date);
    headers
}

fn perform(
    state: &mut SimState,
    parameters: &Parameters,
    options: &Options,
    shape: ListShape,
) -> Result<String, Refusal> {
    let name = parameters
        .get("Action")
        .ok_or_else(|| Refusal::new(160, "Missing Action"))?;
    let action = Action::of_name(name)
        .ok_or_else(|| Refusal::new(161, format!("Action [{name}] not found")))?;
    authenticate(state, parameters)?;
    if let Some(project) = parameters.get("ProjectId")
        && !options.projects.includes(project)
    {
        return Err(Refusal::new(292, "Project not exist"));
    }
    match action {
        Action::List(kind) => list(state, (name, kind), parameters, options, shape),
        Action::Submit(kind) => submit(state, name, kind, parameters, options),
    }
}

fn authenticate(state: &SimState, parameters: &Parameters) -> Result<(), Refusal> {
    let keys = &state.keys;
    let signature = parameters
        .get("Signature")
        .ok_or_else(|| Refusal::new(170, "Missing Signature"))?;
    if parameters.get("PublicKey") != Some(&keys.public) {
        return Err(Refusal::new(172, "User not exist"));
    }
    if let Some(token) = parameters.get("SecurityToken")
        && keys.security_token.as_deref() != Some(token)
    {
        return Err(Refusal::new(174, "Security token not exist"));
    }
    if signature == signature::expected(parameters.pairs(), &keys.private) {
        Ok(())
    } else {
        Err(Refusal::new(171, "Signature VerifyAC Error"))
    }
}

fn list(
    state: &mut SimState,
    (action, kind): (&str, TaskKind),
    parameters: &Parameters,
    options: &Options,
    shape: ListShape,
) -> Result<String, Refusal> {
    let query = ListQuery::read(parameters)?;
    let now_ms = state.clock.now_ms();
    if let MaxWindow::Refuse(seconds) = options.max_window {
        let (begin, end) = paging::window(&query, options, now_ms);
        if end.saturating_sub_unsigned(seconds) > begin {
            return Err(Refusal::parameter("BeginTime"));
        }
    }
    let selected = paging::selected(&state.tasks, kind, &query, options, now_ms);
    let page = paging::page(&selected, &query, options);
    let totals = Totals {
        tasks: selected.len(),
        urls: selected.iter().map(|task| task.urls.len()).sum(),
    };
    let body = wire::list_body(action, &page, totals, shape, now_ms, options);
    let shifts = options.inserts.count + options.removals.count > 0;
    if shifts && query.task_ids.is_empty() {
        let listed: Vec<(String, i64)> = selected
            .iter()
            .map(|task| (task.id.clone(), task.created_ms))
            .collect();
        state.shift(kind, query.is_dcdn, &listed);
    }
    Ok(body)
}

fn submit(
    state: &mut SimState,
    action: &str,
    kind: TaskKind,
    parameters: &Parameters,
    options: &Options,
) -> Result<String, Refusal> {
    let urls = parameters.array("UrlList");
    let max_urls = match kind {
        TaskKind::Refresh => MAX_REFRESH_URLS,
        TaskKind::Prefetch => MAX_PREFETCH_URLS,
    };
    if urls.is_empty() || urls.len() > max_urls {
        return Err(Refusal::parameter("UrlList"));
    }
    let r#type = parameters.get("Type").map(str::to_owned);
    if kind == TaskKind::Refresh && r#type.is_none() {
        return Err(Refusal::parameter("Type"));
    }
    let script = Script::of_submitted(&urls, &options.submitted);
    let mut spec = TaskSpec::new(urls.iter().map(String::as_str), script);
    spec.kind = kind;
    spec.is_dcdn = parameters.get("IsDcdn") == Some("true");
    spec.r#type = r#type;
    spec.project_id = parameters.get("ProjectId").map(str::to_owned);
    let id = state.submit(spec);
    Ok(wire::submit_body(action, &id, options))
}
