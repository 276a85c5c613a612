//! `ucdn-watch check`: validates the config and prints a summary. `--online` also sends one request per target.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::api::{ApiCallError, client};
use super::context::CommandContext;
use super::exit::{Exit, Failure};
use super::stdio::{note, print};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Target, TargetFilter, Webhook};
use crate::domain::event_pattern::EventPattern;
use crate::domain::model::{AccountName, TargetName, Window};
use crate::ucdn::ListRequest;
use crate::ucdn::client::{ApiClient, ListApi};

/// Window of the request. Short, so that the API has little to search.
const ONLINE_LOOKBACK: Duration = Duration::from_secs(60 * 60);

/// The arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// Also send one request to the API per target
    #[arg(long)]
    online: bool,
}

pub(super) fn run(arguments: &CheckArgs, context: &CommandContext) -> Result<Exit, Failure> {
    let file = context.config_path();
    let loaded = context.read_config(&file)?;
    for warning in &loaded.warnings {
        note(&format!("warning: {warning}"));
    }
    print(&summary(&file, &loaded.config))?;
    if arguments.online {
        return call_each_target(&loaded.config);
    }
    Ok(Exit::Success)
}

/// Sends one request per target. Only the API can tell whether keys, endpoint and project are right.
fn call_each_target(config: &Config) -> Result<Exit, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let mut clients = BTreeMap::new();
    let mut exit = Exit::Success;
    for (name, target) in &config.targets {
        let line = match call(config, target, &clock, &mut clients) {
            Ok(answered) => format!("target {name}: ok ({answered})\n"),
            Err(error) => {
                exit = Exit::Unreachable;
                format!("target {name}: {error}\n")
            }
        };
        print(&line)?;
    }
    Ok(exit)
}

/// A summary of the API's answer. Targets of one account share a client and its request budget.
fn call<'a>(
    config: &'a Config,
    target: &'a Target,
    clock: &Arc<dyn Clock>,
    clients: &mut BTreeMap<&'a AccountName, ApiClient>,
) -> Result<String, ApiCallError> {
    if !clients.contains_key(&target.account) {
        let made = client(config, target, Arc::clone(clock))?;
        clients.insert(&target.account, made);
    }
    let client = clients
        .get(&target.account)
        .ok_or(ApiCallError::NoAccount)?;
    let now = clock.now();
    let request = ListRequest {
        project_id: target.project_id.clone(),
        is_dcdn: target.is_dcdn,
        window: Some(Window {
            begin: now.saturating_sub(ONLINE_LOOKBACK),
            end: now,
        }),
        limit: Some(1),
        ..ListRequest::of(target.tasks)
    };
    let begun = clock.monotonic();
    let page = client.list(&request)?.page;
    let took = clock.monotonic().saturating_sub(begun).as_millis();
    Ok(match page.total_count {
        Some(count) => format!("answered in {took} ms; TotalCount of the last hour: {count}"),
        None => format!("answered in {took} ms"),
    })
}

fn summary(file: &Path, config: &Config) -> String {
    let mut text = format!("{}: valid\n", file.display());
    // Writing into a string can't fail.
    let _ = summarize(&mut text, config);
    text
}

fn summarize(text: &mut String, config: &Config) -> std::fmt::Result {
    writeln!(text, "state: {}", config.state)?;
    for (name, target) in &config.targets {
        let interval = &target.poll.interval;
        write!(text, "target {name}: {} tasks", target.tasks)?;
        write!(text, " of account {}", target.account)?;
        if let Some(account) = config.accounts.get(&target.account) {
            write!(text, " at {}", account.endpoint)?;
        }
        writeln!(text, ", every {interval}")?;
    }
    for (name, webhook) in &config.webhooks {
        writeln!(text, "webhook {name}: {}", receiver(webhook))?;
    }
    if let Some(listen) = &config.http {
        writeln!(text, "http: listens on {}", listen.address)?;
    }
    if let Some(path) = &config.textfile {
        writeln!(text, "metrics: {}", path.display())?;
    }
    if let Some(heartbeat) = &config.heartbeat {
        writeln!(text, "heartbeat: {}", heartbeat.url)?;
    }
    if config.webhooks.is_empty() {
        writeln!(text, "no webhooks: events only go to the log")?;
    }
    Ok(())
}

fn receiver(webhook: &Webhook) -> String {
    let targets = match &webhook.targets {
        TargetFilter::All => "all targets".to_owned(),
        TargetFilter::Only(names) if names.is_empty() => "no target".to_owned(),
        TargetFilter::Only(names) => {
            let names: Vec<&str> = names.iter().map(TargetName::as_str).collect();
            names.join(", ")
        }
    };
    let signed = if webhook.secrets.is_empty() {
        "unsigned"
    } else {
        "signed"
    };
    let on: Vec<String> = webhook.on.iter().map(EventPattern::to_string).collect();
    format!(
        "{} to {}, {signed}; {} of {targets}",
        webhook.format,
        webhook.url,
        on.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::cli::context::{GlobalArgs, LogFormat};
    use crate::config::{Environment, load};

    fn context(config: PathBuf) -> CommandContext {
        CommandContext {
            arguments: GlobalArgs {
                config: Some(config),
                verbose: false,
                quiet: false,
                log_format: LogFormat::Auto,
            },
            environment: Environment::default(),
        }
    }

    #[test]
    fn an_invalid_config_has_its_own_exit_code() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "nope = 1\n").unwrap();
        let failure = run(&CheckArgs { online: false }, &context(file)).unwrap_err();
        assert_eq!(failure.exit, Exit::Config);
        assert!(
            failure
                .error
                .to_string()
                .contains("config.toml:1:1: nope: unknown key")
        );
    }

    #[test]
    fn the_summary_lists_targets_and_webhooks() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let text = "\
state = '/var/lib/ucdn-watch/state.db'
[accounts.main]
public_key = 'a'
private_key = 'b'
[targets.shop]
[webhooks.ops]
url = 'https://hooks.example.com/token'
secret = 'c'
targets = ['shop']
[webhooks.night]
url = 'https://hooks.example.com/token'
format = 'feishu'
on = ['task.failure', 'watch.*']
";
        std::fs::write(&file, text).unwrap();
        let config = load(&file, &Environment::default()).unwrap().config;
        assert_eq!(
            summary(Path::new("config.toml"), &config),
            "config.toml: valid\n\
             state: /var/lib/ucdn-watch/state.db\n\
             target shop: refresh tasks of account main at https://api.sigcalcloud.com/…, every 60s\n\
             webhook night: feishu to https://hooks.example.com/…, unsigned; task.failure, watch.* of all targets\n\
             webhook ops: json to https://hooks.example.com/…, signed; * of shop\n"
        );
    }

    #[cfg(feature = "simulator")]
    #[test]
    fn with_online_a_refused_target_ends_with_unreachable() {
        use ucdn_simulator::{Settings, Simulator};

        let simulator = Simulator::start(Settings::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let check = |public_key: &str| {
            let text = format!(
                "state = '/tmp/state.db'\n[accounts.main]\nendpoint = '{}'\npublic_key = '{public_key}'\n\
                 private_key = '{}'\n[targets.blog]\n[targets.shop]\n",
                simulator.endpoint(),
                simulator.private_key()
            );
            std::fs::write(&file, text).unwrap();
            simulator.forget_requests();
            run(&CheckArgs { online: true }, &context(file.clone())).unwrap()
        };
        assert_eq!(check(&simulator.public_key()), Exit::Success);
        let requests = simulator.requests();
        assert_eq!(requests.len(), 2);
        assert!(requests.iter().all(|request| request.limit == Some(1)));
        assert_eq!(check("nobody"), Exit::Unreachable);
        assert_eq!(simulator.request_count(), 2);
    }
}
