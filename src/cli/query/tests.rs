//! Tests of `query`: arguments to request, and pages to one list.

use clap::Parser;

use super::*;
use crate::config::{FirstRun, PollSettings};
use crate::domain::model::Status;
use std::num::NonZeroU32;
use std::time::Duration;

#[derive(Debug, Parser)]
struct QueryLine {
    #[command(flatten)]
    arguments: QueryArgs,
}

fn parse(line: &[&str]) -> Result<QueryArgs, clap::Error> {
    QueryLine::try_parse_from([&["query"], line].concat()).map(|line| line.arguments)
}

fn target() -> Target {
    Target {
        account: "main".into(),
        project_id: Some("org-of-target".to_owned()),
        is_dcdn: None,
        tasks: TaskKind::Refresh,
        poll: PollSettings {
            interval: Duration::from_secs(60).into(),
            active_interval: Duration::from_secs(15).into(),
            lookback: Duration::from_secs(3600).into(),
            page_size: NonZeroU32::MIN,
            stall_after: Duration::from_secs(600).into(),
            fail_after: NonZeroU32::MIN,
            first_run: FirstRun::Baseline,
        },
    }
}

fn request_of(line: &[&str]) -> Result<ListRequest, &'static str> {
    request(
        &parse(line).unwrap(),
        &target(),
        Timestamp::from_unix_seconds(100_000).unwrap(),
    )
}

#[test]
fn without_filters_the_request_has_the_targets_settings_and_the_apis_defaults() {
    let expected = ListRequest {
        project_id: Some("org-of-target".to_owned()),
        ..ListRequest::of(TaskKind::Refresh)
    };
    assert_eq!(request_of(&["shop"]), Ok(expected));
}

#[test]
fn every_request_parameter_is_reachable() {
    let request = request_of(&[
        "--status=failure",
        "--task-id=a",
        "--task-id=b",
        "--begin=2h",
        "--end=99999",
        "--offset=3",
        "--limit=9",
        "--dcdn",
        "--project-id=org-1",
        "--prefetch",
    ]);
    let at = |seconds| Timestamp::from_unix_seconds(seconds).unwrap();
    let expected = ListRequest {
        kind: TaskKind::Prefetch,
        project_id: Some("org-1".to_owned()),
        task_ids: vec!["a".into(), "b".into()],
        window: Some(Window {
            begin: at(92_800),
            end: at(99_999),
        }),
        status: Some("failure".to_owned()),
        offset: Some(3),
        limit: Some(9),
        is_dcdn: Some(true),
    };
    assert_eq!(request, Ok(expected));
    assert_eq!(request_of(&["--dcdn=false"]).unwrap().is_dcdn, Some(false));
}

#[test]
fn a_begin_alone_ends_now_and_an_end_alone_is_wrong_usage() {
    let window = request_of(&["--begin=10s"]).unwrap().window.unwrap();
    assert_eq!(window.begin.unix_seconds(), 99_990);
    assert_eq!(window.end.unix_seconds(), 100_000);
    assert!(parse(&["--end=1h"]).is_err());
    assert!(request_of(&["--begin=1h", "--end=2h"]).is_err());
}

#[test]
fn wrong_words_are_wrong_usage() {
    for wrong in ["--begin=soon", "--limit=0", "--offset=-1", "--dcdn=maybe"] {
        assert!(parse(&[wrong]).is_err(), "{wrong}");
    }
    assert!(parse(&["--all", "--offset=1"]).is_err());
}

fn task(id: &str, status: &Status, urls: &[&str]) -> Task {
    Task {
        id: id.into(),
        r#type: None,
        status: Some(status.clone()),
        created: None,
        urls: urls
            .iter()
            .map(|url| Url {
                url: (*url).to_owned(),
                status: Some(status.clone()),
                progress: None,
                finished: None,
            })
            .collect(),
    }
}

#[test]
fn a_task_on_several_pages_is_listed_once_as_the_last_page_shows_it() {
    let mut merged = MergedTasks::default();
    merged.merge(vec![
        task("a", &Status::Success, &["u"]),
        task("b", &Status::Process, &["v", "w"]),
    ]);
    merged.merge(vec![
        task("b", &Status::Failure, &["w", "x"]),
        task("c", &Status::Wait, &[]),
    ]);
    let tasks = merged.into_tasks();
    let ids: Vec<&str> = tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(tasks[1].status, Some(Status::Failure));
    let urls: Vec<(&str, &str)> = tasks[1]
        .urls
        .iter()
        .map(|url| (url.url.as_str(), url.status.as_ref().unwrap().as_str()))
        .collect();
    assert_eq!(urls, [("v", "process"), ("w", "failure"), ("x", "failure")]);
}

#[test]
fn tasks_without_an_id_are_kept_apart_unless_they_are_equal() {
    let mut merged = MergedTasks::default();
    merged.merge(vec![task("", &Status::Wait, &["u"])]);
    merged.merge(vec![
        task("", &Status::Wait, &["u"]),
        task("", &Status::Wait, &["v"]),
    ]);
    assert_eq!(merged.into_tasks().len(), 2);
}

#[cfg(feature = "simulator")]
mod against_the_simulator {
    use super::*;
    use crate::clock::CancelToken;
    use crate::config::{Environment, load};
    use ucdn_simulator::{LimitRule, Script, Settings, Simulator, TaskSpec, Unit};

    fn client_of(simulator: &Simulator) -> ApiClient {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let text = format!(
            "state = '/tmp/state.db'\n[accounts.main]\nendpoint = '{}'\npublic_key = '{}'\nprivate_key = '{}'\n\
             max_requests_per_second = 1000\n[targets.shop]\n",
            simulator.endpoint(),
            simulator.public_key(),
            simulator.private_key()
        );
        std::fs::write(&file, text).unwrap();
        let config = load(&file, &Environment::default()).unwrap().config;
        let account = config.accounts.values().next().unwrap();
        ApiClient::new(
            account,
            Arc::new(SystemClock::start()),
            CancelToken::default(),
        )
        .unwrap()
    }

    #[test]
    fn all_reads_every_page_and_gives_each_task_once() {
        let mut settings = Settings::default();
        settings.options.unit = Unit::Urls;
        settings.options.limit = LimitRule::Clamped(4);
        let simulator = Simulator::start(settings).unwrap();
        for number in 0..9 {
            let urls = ["a", "b", "c"].map(|name| format!("http://example.com/{number}/{name}"));
            let script = Script::new().success();
            simulator.add_task(TaskSpec::new(urls.iter().map(String::as_str), script));
        }
        let client = client_of(&simulator);
        let request = ListRequest::of(TaskKind::Refresh);
        let listed = walk(&client, &request, 100).unwrap();
        assert_eq!(listed.tasks.len(), 9);
        assert!(listed.tasks.iter().all(|task| task.urls.len() == 3));
        assert_eq!(listed.total_count, TotalCount::NotApplicable);
        let page = one_page(&client, &request).unwrap();
        assert_eq!(page.total_count, TotalCount::OfPage(Some(9)));
        assert!(page.tasks.len() < 9);
    }
}
