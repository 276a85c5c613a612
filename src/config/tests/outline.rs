//! What is known of a config without its secrets.

use crate::config::outline;
use crate::domain::model::{TaskKind, WebhookName};

use super::*;

#[test]
fn an_outline_needs_no_secret_to_be_there() {
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
    let outline = outline(&file, &Environment::default()).unwrap();
    let kinds: Vec<_> = outline
        .targets
        .iter()
        .map(|(name, kind)| (name.as_str(), *kind))
        .collect();
    assert_eq!(
        kinds,
        [("shop", TaskKind::Refresh), ("warm", TaskKind::Prefetch)]
    );
    assert!(outline.webhooks.iter().map(WebhookName::as_str).eq(["ops"]));
    let state = folder.path().join("state.db");
    assert_eq!(outline.state, crate::config::StateLocation::File(state));
}

#[test]
fn an_outline_of_a_wrong_config_is_refused_as_the_config_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    std::fs::write(&file, format!("{TARGET_LAST}task = 'refresh'\n")).unwrap();
    let of_config = load(&file, &Environment::default()).unwrap_err();
    let of_outline = outline(&file, &Environment::default()).unwrap_err();
    assert_eq!(of_outline.to_string(), of_config.to_string());
}
