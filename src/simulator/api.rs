//! The vendor's API: which action, whether it is allowed, and what it answers. Owns no sockets and no spelling.

use super::faults::{Effect, Reply};
use super::options::{DateHeader, Options, SpanRule};
use super::paging;
use super::parameters::{Parameters, Question};
use super::script::Script;
use super::server::Request;
use super::signature;
use super::tasks::TaskSpec;
use super::wire::{self, Refusal, Totals};
use super::world::{RequestRecord, World};
use crate::domain::model::{TaskKind, Timestamp};

/// As many URLs as the vendor takes in one submission.
const MOST_URLS: usize = 100;

/// What the stand-in can do.
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

/// Answers an API request and logs it.
pub(super) fn answer(world: &mut World, request: &Request) -> Reply {
    let mut parameters = Parameters::default();
    parameters.read(&request.query);
    parameters.read(&String::from_utf8_lossy(&request.body));
    let mut record = record_of(world, &parameters, request);
    let effects = struck(world, &record);
    record.faults = effects.len();
    let options = options_under(&world.options, &effects);
    let action = parameters.get("Action");
    let answered = refused_by(&effects).map_or_else(|| perform(world, &parameters, &options), Err);
    let body = match answered {
        Ok(body) => body,
        Err(refusal) => {
            record.ret_code = refusal.ret_code;
            refusal.body(action, &options)
        }
    };
    let mut reply = Reply::json(200, body);
    reply.headers.extend(headers(world, &options));
    for effect in &effects {
        reply.suffer(effect);
    }
    world.log(record, &reply);
    reply
}

fn record_of(world: &World, parameters: &Parameters, request: &Request) -> RequestRecord {
    let text = |name| parameters.get(name).map(str::to_owned);
    RequestRecord {
        time: world.clock.now_ms().div_euclid(1000),
        elapsed_ms: world.clock.elapsed_ms(),
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

fn struck(world: &mut World, record: &RequestRecord) -> Vec<Effect> {
    let action = record.action.as_deref().unwrap_or_default();
    let page = world.page_of(action, record.offset.unwrap_or(0));
    world.faults.strike(action, page)
}

fn options_under(options: &Options, effects: &[Effect]) -> Options {
    let mut options = options.clone();
    for effect in effects {
        if let Effect::List(shape) = effect {
            options.task_list = *shape;
        }
    }
    options
}

fn refused_by(effects: &[Effect]) -> Option<Refusal> {
    effects.iter().find_map(|effect| match effect {
        Effect::RetCode { code, message } => {
            let message = message.as_deref().unwrap_or("injected by the simulator");
            Some(Refusal::new(*code, message))
        }
        _ => None,
    })
}

fn headers(world: &World, options: &Options) -> Vec<(&'static str, String)> {
    let random = (
        fastrand::u32(..),
        fastrand::u16(..),
        fastrand::u64(..1 << 48),
    );
    let id = format!(
        "{:08x}-{:04x}-4000-8000-{:012x}",
        random.0, random.1, random.2
    );
    let now = world.clock.now_ms().div_euclid(1000);
    let date = match options.date {
        DateHeader::True => Some(now),
        DateHeader::Off => None,
        DateHeader::Skewed(seconds) => Some(now.saturating_add(seconds)),
    };
    let date = date
        .and_then(Timestamp::from_unix_seconds)
        .map(|time| ("Date", httpdate::fmt_http_date(time.into())));
    let mut headers = vec![("X-UCLOUD-REQUEST-UUID", id)];
    headers.extend(date);
    headers
}

fn perform(
    world: &mut World,
    parameters: &Parameters,
    options: &Options,
) -> Result<String, Refusal> {
    let name = parameters
        .get("Action")
        .ok_or_else(|| Refusal::new(160, "Missing Action"))?;
    let action = Action::of_name(name)
        .ok_or_else(|| Refusal::new(161, format!("Action [{name}] not found")))?;
    authenticate(world, parameters)?;
    if let Some(project) = parameters.get("ProjectId")
        && !options.projects.is_empty()
        && !options.projects.iter().any(|known| known == project)
    {
        return Err(Refusal::new(292, "Project not exist"));
    }
    match action {
        Action::List(kind) => list(world, name, kind, parameters, options),
        Action::Submit(kind) => submit(world, name, kind, parameters, options),
    }
}

fn authenticate(world: &World, parameters: &Parameters) -> Result<(), Refusal> {
    let keys = &world.keys;
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
    world: &mut World,
    action: &str,
    kind: TaskKind,
    parameters: &Parameters,
    options: &Options,
) -> Result<String, Refusal> {
    let question = Question::read(parameters)?;
    let now_ms = world.clock.now_ms();
    if let SpanRule::RefusedBeyond(seconds) = options.span {
        let (begin, end) = paging::window(&question, options, now_ms);
        if end.saturating_sub_unsigned(seconds) > begin {
            return Err(Refusal::parameter("BeginTime"));
        }
    }
    let selected = paging::selected(&world.tasks, kind, &question, options, now_ms);
    let page = paging::page(&selected, &question, options);
    let totals = Totals {
        tasks: selected.len(),
        urls: selected.iter().map(|task| task.urls.len()).sum(),
    };
    let body = wire::list_body(action, &page, totals, now_ms, options);
    let moves = options.inserts.is_some() || options.removals.is_some();
    if moves && question.task_ids.is_empty() {
        let listed: Vec<(String, i64)> = selected
            .iter()
            .map(|task| (task.id.clone(), task.created_ms))
            .collect();
        world.shift(kind, question.is_dcdn, &listed);
    }
    Ok(body)
}

fn submit(
    world: &mut World,
    action: &str,
    kind: TaskKind,
    parameters: &Parameters,
    options: &Options,
) -> Result<String, Refusal> {
    let urls = parameters.array("UrlList");
    if urls.is_empty() || urls.len() > MOST_URLS {
        return Err(Refusal::parameter("UrlList"));
    }
    let r#type = parameters.get("Type").map(str::to_owned);
    if kind == TaskKind::Refresh && r#type.is_none() {
        return Err(Refusal::parameter("Type"));
    }
    let script = Script::of_submitted(&urls, &options.submitted);
    let mut spec = TaskSpec::new(urls.iter().map(String::as_str), script).of_kind(kind);
    spec.r#type = r#type;
    spec.project_id = parameters.get("ProjectId").map(str::to_owned);
    let id = world.add(spec);
    Ok(wire::submit_body(action, &id, options))
}
