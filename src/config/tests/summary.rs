//! The summary of a config, which needs no secrets.

use crate::config::load_summary;
use crate::domain::model::{TaskKind, WebhookName};

use super::*;

#[test]
fn a_summary_needs_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let text = "\
state = 'state.db'
[accounts.main]
public_key = { env = 'NOT_SET' }
private_key = { credential = 'private_key' }
[targets.shop]
[targets.warm]
tasks = 'prefetch'
[webhooks.ops]
url = { file = 'not there' }
";
    std::fs::write(&file, text).unwrap();
    assert!(load(&file, &Environment::default()).is_err());
    let summary = load_summary(&file, &Environment::default()).unwrap();
    let kinds: Vec<_> = summary
        .targets
        .iter()
        .map(|(name, kind)| (name.as_str(), *kind))
        .collect();
    assert_eq!(
        kinds,
        [("shop", TaskKind::Refresh), ("warm", TaskKind::Prefetch)]
    );
    assert!(summary.webhooks.iter().map(WebhookName::as_str).eq(["ops"]));
    let state = folder.path().join("state.db");
    assert_eq!(summary.state, crate::config::StateLocation::File(state));
}

#[test]
fn a_wrong_config_has_no_summary() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, format!("{TARGET_LAST}task = 'refresh'\n")).unwrap();
    let of_config = load(&file, &Environment::default()).unwrap_err();
    let of_summary = load_summary(&file, &Environment::default()).unwrap_err();
    assert_eq!(of_summary.to_string(), of_config.to_string());
}
