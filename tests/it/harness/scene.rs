//! Set-up of one test: a simulator, a webhook receiver, a config and a state of its own.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use ucdn_simulator::{Script, Settings, Simulator, Step, TaskSpec, UrlStep};

use super::{ConfigText, Ended, Program, Receiver, eventually};

/// The target is `shop`, the webhook `ops`. The poll interval is 200 ms.
pub(crate) struct Scene {
    folder: TempDir,
    pub(crate) api: Simulator,
    pub(crate) hook: Receiver,
}

/// A refresh task of two URLs that stays `wait` until the test changes it.
pub(crate) fn task(id: &str) -> TaskSpec {
    let urls = ["a", "b"].map(|name| format!("http://example.com/{id}/{name}"));
    TaskSpec::new(urls.iter().map(String::as_str), Script::new()).with_id(id)
}

/// The types of events, in order.
pub(crate) fn types(events: &[Value]) -> Vec<&str> {
    let types = events.iter().map(|event| event["type"].as_str());
    types.map(Option::unwrap).collect()
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(|config| config)
    }

    /// With changes to the usual config.
    pub(crate) fn with(change: impl FnOnce(ConfigText) -> ConfigText) -> Self {
        Self::started(Settings::default(), change)
    }

    /// With a simulator of these settings.
    pub(crate) fn started(
        settings: Settings,
        change: impl FnOnce(ConfigText) -> ConfigText,
    ) -> Self {
        let scene = Self {
            folder: tempfile::tempdir().unwrap(),
            api: Simulator::start(settings).unwrap(),
            hook: Receiver::start(),
        };
        scene.configure(change);
        scene
    }

    /// Writes the config anew, with changes to the usual one.
    pub(crate) fn configure(&self, change: impl FnOnce(ConfigText) -> ConfigText) {
        self.write_config(&change(self.usual_config()).to_string());
    }

    /// Writes this config, valid or not.
    pub(crate) fn write_config(&self, text: &str) {
        fs::write(self.config_path(), text).unwrap();
    }

    fn usual_config(&self) -> ConfigText {
        let state = self.state_path();
        ConfigText::default()
            .text("", "state", state.to_str().unwrap())
            .text("poll", "interval", "200ms")
            .text("accounts.main", "endpoint", &self.api.endpoint())
            .text("accounts.main", "public_key", &self.api.public_key())
            .text("accounts.main", "private_key", &self.api.private_key())
            .set("accounts.main", "max_requests_per_second", 1000)
            .table("targets.shop")
            .text("webhooks.ops", "url", &self.hook.url())
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    pub(crate) fn state_path(&self) -> PathBuf {
        self.folder.path().join("state.db")
    }

    /// Starts the program with this config, these arguments and these variables.
    pub(crate) fn start(&self, arguments: &[&str], variables: &[(&str, OsString)]) -> Program {
        let config = self.config_path();
        let mut all = vec!["--config", config.to_str().unwrap()];
        all.extend_from_slice(arguments);
        Program::start(&all, variables)
    }

    /// Starts the program with this config and these arguments under strace with these options.
    pub(crate) fn start_traced(&self, options: &[&str], arguments: &[&str]) -> Program {
        let config = self.config_path();
        let all = [&["--config", config.to_str().unwrap()], arguments].concat();
        Program::start_traced(options, &all)
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.start(arguments, &[]).wait()
    }

    /// Polls each target once.
    pub(crate) fn once(&self) -> Ended {
        self.run(&["--once"])
    }

    /// Watches until it is stopped.
    pub(crate) fn watch(&self) -> Program {
        self.start(&[], &[])
    }

    /// Polls once and returns the new events at the receiver.
    pub(crate) fn news(&self) -> Vec<Value> {
        let before = self.hook.events().len();
        let ended = self.once();
        assert!(matches!(ended.code, Some(0 | 1)), "{ended}");
        self.hook.events().split_off(before)
    }

    /// The task and all its URLs get this status.
    pub(crate) fn change(&self, id: &str, status: &str) {
        let step = Step {
            status: Some(status.to_owned()),
            ..Step::default()
        };
        assert!(self.api.change_task(id, step), "there is no task {id}");
    }

    /// One URL of a task (from 0) gets this status. Nothing else changes.
    pub(crate) fn change_url(&self, id: &str, url: usize, status: &str) {
        let step = Step {
            urls: vec![UrlStep::new(url, status)],
            ..Step::default()
        };
        assert!(self.api.change_task(id, step), "there is no task {id}");
    }

    /// Waits for this many API requests from now on. All but the last have ended then.
    pub(crate) fn wait_for_polls(&self, polls: u64) {
        let goal = self.api.request_count() + polls;
        eventually("more polls", || {
            (self.api.request_count() >= goal).then_some(())
        });
    }
}

/// The only event, which must be of this type.
#[track_caller]
pub(crate) fn only(events: Vec<Value>, r#type: &str) -> Value {
    assert_eq!(types(&events), [r#type], "{events:#?}");
    events.into_iter().next().unwrap()
}

/// A creation time in the past, in unix seconds by the simulator's clock.
pub(crate) fn seconds_ago(scene: &Scene, seconds: i64) -> i64 {
    scene.api.now_seconds() - seconds
}
