//! `query`, from its arguments to what is sent.

use clap::Parser;

use super::*;
use crate::config::{FirstRun, PollSettings};
use std::num::NonZeroU32;
use std::time::Duration;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn parse(line: &[&str]) -> Result<Arguments, clap::Error> {
    Line::try_parse_from([&["query"], line].concat()).map(|line| line.arguments)
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

fn asked(line: &[&str]) -> Result<ListRequest, &'static str> {
    request(
        &parse(line).unwrap(),
        &target(),
        Timestamp::from_unix_seconds(100_000).unwrap(),
    )
}

#[test]
fn without_filters_the_targets_list_is_asked_for_with_the_apis_defaults() {
    let expected = ListRequest {
        project_id: Some("org-of-target".to_owned()),
        ..ListRequest::of(TaskKind::Refresh)
    };
    assert_eq!(asked(&["shop"]), Ok(expected));
}

#[test]
fn every_request_parameter_is_reachable() {
    let request = asked(&[
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
    assert_eq!(asked(&["--dcdn=false"]).unwrap().is_dcdn, Some(false));
}

#[test]
fn a_begin_alone_ends_now_and_an_end_alone_is_wrong_usage() {
    let window = asked(&["--begin=10s"]).unwrap().window.unwrap();
    assert_eq!(window.begin.unix_seconds(), 99_990);
    assert_eq!(window.end.unix_seconds(), 100_000);
    assert!(parse(&["--end=1h"]).is_err());
    assert!(asked(&["--begin=1h", "--end=2h"]).is_err());
}

#[test]
fn wrong_words_are_wrong_usage() {
    for wrong in ["--begin=soon", "--limit=0", "--offset=-1", "--dcdn=maybe"] {
        assert!(parse(&[wrong]).is_err(), "{wrong}");
    }
    assert!(parse(&["--all", "--offset=1"]).is_err());
}

#[cfg(feature = "simulator")]
mod against_the_simulator {
    use super::*;
    use crate::clock::CancelToken;
    use crate::config::{Environment, load};
    use crate::simulator::{LimitRule, Script, Settings, Simulator, TaskSpec, Unit};

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
        assert_eq!(listed.total_count, Count::OfNoPage);
        let page = one_page(&client, &request).unwrap();
        assert_eq!(page.total_count, Count::OfPage(Some(9)));
        assert!(page.tasks.len() < 9);
    }
}
