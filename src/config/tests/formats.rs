//! `format`, and the keys that only some formats have.

use std::time::Duration;

use super::{Folder, WEBHOOK_LAST, assert_errors};
use crate::config::{Alerts, Chat, Format, Language, Vendor};
use crate::domain::model::WebhookName;

fn format(text: &str) -> Format {
    let config = Folder::with(&[WEBHOOK_LAST, text]).config();
    config.webhooks[&WebhookName::from("ops")].format.clone()
}

#[test]
fn every_format_is_accepted() {
    assert_eq!(format("format = 'json'"), Format::Json);
    assert_eq!(format("format = 'cloudevents'"), Format::CloudEvents);
    let expected = Alerts {
        expire_after: Duration::from_secs(7 * 86_400),
        labels: [].into(),
    };
    assert_eq!(
        format("format = 'alertmanager'"),
        Format::Alertmanager(expected)
    );
    for (word, vendor) in [
        ("slack", Vendor::Slack),
        ("feishu", Vendor::Feishu),
        ("dingtalk", Vendor::DingTalk),
        ("wecom", Vendor::WeCom),
    ] {
        let expected = Chat {
            vendor,
            title: "UCDN".to_owned(),
            language: Language::En,
            link: None,
        };
        assert_eq!(
            format(&format!("format = '{word}'")),
            Format::Chat(expected)
        );
    }
}

#[test]
fn keys_of_a_format_are_read() {
    let text = "format = 'feishu'\ntitle = 'CDN 告警'\nlanguage = 'zh'\nlink = 'https://status.example.com/#/ucdn'";
    let Format::Chat(chat) = format(text) else {
        panic!("no chat");
    };
    assert_eq!(
        (chat.title.as_str(), chat.language),
        ("CDN 告警", Language::Zh)
    );
    assert_eq!(
        chat.link.as_deref(),
        Some("https://status.example.com/#/ucdn")
    );
    let text = "format = 'alertmanager'\nexpire_after = '1d'\nlabels = { team = 'cdn', severity = 'page' }";
    let Format::Alertmanager(alerts) = format(text) else {
        panic!("no alerts");
    };
    assert_eq!(alerts.expire_after, Duration::from_secs(86_400));
    assert_eq!(
        (
            alerts.labels["team"].as_str(),
            alerts.labels["severity"].as_str()
        ),
        ("cdn", "page")
    );
}

#[test]
fn a_key_of_another_format_is_refused() {
    let chat = "only valid with format slack, feishu, dingtalk or wecom; remove it";
    let alertmanager = "only valid with format alertmanager; remove it";
    assert_errors(
        WEBHOOK_LAST,
        &[
            ("title = 'x'", &format!("8:1: webhooks.ops.title: {chat}")),
            (
                "language = 'zh'\nformat = 'cloudevents'",
                &format!("8:1: webhooks.ops.language: {chat}"),
            ),
            (
                "format = 'alertmanager'\nlink = 'https://x/'",
                &format!("9:1: webhooks.ops.link: {chat}"),
            ),
            (
                "format = 'slack'\nlabels = { a = 'b' }",
                &format!("9:1: webhooks.ops.labels: {alertmanager}"),
            ),
            (
                "expire_after = '1d'",
                &format!("8:1: webhooks.ops.expire_after: {alertmanager}"),
            ),
        ],
    );
}

#[test]
fn all_keys_of_other_formats_are_reported() {
    let text = "title = 'x'\nlink = 'y'\nlabels = {}\nsecret = 'z'\n";
    let errors = Folder::with(&[WEBHOOK_LAST, text]).errors();
    assert_eq!(errors.len(), 3, "{errors:#?}");
    let text = "format = 'slack'\ntitle = ''\nlanguage = 'fr'\nlink = 'ftp://x'\nsecret = 'z'\nexpire_after = 'x'";
    let errors = Folder::with(&[WEBHOOK_LAST, text]).errors();
    assert_eq!(errors.len(), 5, "{errors:#?}");
}

#[test]
fn a_wrong_value_says_what_was_expected() {
    let link = "expected a URL such as https://host/path, its special characters percent-encoded";
    let name = "invalid label name; use a-z, A-Z, 0-9 and `_`, and do not start with a digit";
    assert_errors(
        WEBHOOK_LAST,
        &[
            (
                "format = 'jason'",
                "8:1: webhooks.ops.format: expected one of \"json\", \"cloudevents\", \"alertmanager\", \"slack\", \
                 \"feishu\", \"dingtalk\", \"wecom\"; did you mean `json`?",
            ),
            (
                "format = 'slack'\ntitle = \"a\\nb\"",
                "9:1: webhooks.ops.title: expected one line of at most 60 characters",
            ),
            (
                "format = 'slack'\nlanguage = 'fr'",
                "9:1: webhooks.ops.language: expected one of \"en\", \"zh\"",
            ),
            (
                "format = 'slack'\nlink = 'https://x/)[a](b'",
                &format!("9:1: webhooks.ops.link: {link}"),
            ),
            (
                "format = 'alertmanager'\nlabels = { 1a = 'x' }",
                &format!("9:12: webhooks.ops.labels.1a: {name}"),
            ),
            (
                "format = 'alertmanager'\nlabels = { task = 'x' }",
                "9:12: webhooks.ops.labels.task: reserved label, because it identifies the alert; choose another name",
            ),
        ],
    );
}

#[test]
fn a_secret_is_accepted_only_by_formats_that_sign() {
    for word in ["slack", "wecom"] {
        let text = format!("format = '{word}'\nsecret = 'x'");
        assert_errors(
            WEBHOOK_LAST,
            &[(
                &text,
                "9:1: webhooks.ops.secret: this format does not sign requests, because its URL is the secret; remove it",
            )],
        );
    }
    for word in ["feishu", "dingtalk"] {
        format(&format!("format = '{word}'\nsecret = 'x'"));
        let text = format!("format = '{word}'\nsecret = ['x', 'y']");
        assert_errors(
            WEBHOOK_LAST,
            &[(
                &text,
                "9:1: webhooks.ops.secret: expected one secret, because this format signs with only one",
            )],
        );
    }
    format("format = 'cloudevents'\nsecret = ['x', 'y']");
    let errors = Folder::with(&[WEBHOOK_LAST, "format = 'alertmanager'\nsecret = 'x'"]).errors();
    assert!(
        errors[0].contains("Alertmanager does not verify signatures"),
        "{errors:?}"
    );
}
