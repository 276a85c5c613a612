//! Chat formats through the real program: messages, signatures, sizes, rate limits, and errors in the response's body.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use ucdn_simulator::{Delivery, HttpResponse};

use crate::harness::{ConfigText, Receiver, Scene, task};

/// Each chat format, and its response of success.
const CHATS: [(&str, &str); 4] = [
    ("slack", "ok"),
    ("feishu", r#"{"code":0,"msg":"success","data":{}}"#),
    ("dingtalk", r#"{"errcode":0,"errmsg":"ok"}"#),
    ("wecom", r#"{"errcode":0,"errmsg":"ok"}"#),
];

/// A scene whose webhook has this chat format.
fn scene(chat: &str, change: impl FnOnce(ConfigText) -> ConfigText) -> Scene {
    let scene = Scene::with(|config| change(config.text("webhooks.ops", "format", chat)));
    let success = CHATS.iter().find(|(word, _)| *word == chat).unwrap().1;
    scene.hook.answer_always(HttpResponse::ok(success));
    scene
}

fn body(delivery: &Delivery) -> Value {
    serde_json::from_str(&delivery.body).unwrap()
}

fn hmac(key: &[u8], message: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    STANDARD.encode(mac.finalize().into_bytes())
}

#[test]
fn two_hundred_failures_are_one_message_in_each_chat() {
    let hooks = CHATS.map(|(word, yes)| {
        let hook = Receiver::start();
        hook.answer_always(HttpResponse::ok(yes));
        (word, hook)
    });
    let scene = Scene::with(|config| {
        let config = config
            .without("webhooks.ops")
            .text("poll", "first_run", "all");
        hooks.iter().fold(config, |config, (word, hook)| {
            let table = format!("webhooks.{word}");
            config
                .text(&table, "url", &hook.url())
                .text(&table, "format", word)
                .text(&table, "language", "zh")
                .set(&table, "on", "['task.failure']")
        })
    });
    for n in 0..200 {
        let id = format!("task-{n:03}");
        scene.api.add_task(task(&id));
        scene.change(&id, "failure");
    }
    scene.once().with_code(1);
    for (word, hook) in &hooks {
        let deliveries = hook.deliveries();
        assert_eq!(deliveries.len(), 1, "{word}");
        let message = &deliveries[0].body;
        assert!(message.contains("200 个任务失败"), "{word}: {message}");
        assert!(
            message.contains("http://example.com/task-199/a"),
            "{word}: {message}"
        );
        assert!(message.contains("……另有 "), "{word}: {message}");
        let bytes = match *word {
            "wecom" => body(&deliveries[0])["markdown"]["content"]
                .as_str()
                .unwrap()
                .len(),
            _ => message.len(),
        };
        let most = if *word == "wecom" { 4_096 } else { 20_000 };
        assert!(bytes <= most, "{word}: {bytes}");
        assert_eq!(
            deliveries[0].header("webhook-id"),
            "",
            "many events have no one id"
        );
    }
}

#[test]
fn feishu_is_signed_in_the_body() {
    let scene = scene("feishu", |config| {
        config.text("webhooks.ops", "secret", "s3cret")
    });
    scene.api.add_task(task("t"));
    scene.once().with_code(0);
    let message = body(&scene.hook.deliveries()[0]);
    let timestamp = message["timestamp"].as_str().unwrap();
    let key = format!("{timestamp}\ns3cret");
    assert_eq!(message["sign"], hmac(key.as_bytes(), b""));
    assert_eq!(message["msg_type"], "interactive");
}

#[test]
fn dingtalk_is_signed_in_the_query() {
    let scene = scene("dingtalk", |config| {
        let url = "http://127.0.0.1:1/robot/send?access_token=t0ken";
        config
            .text("webhooks.ops", "secret", "SECs3cret")
            .text("webhooks.ops", "url", url)
    });
    let url = format!("{}?access_token=t0ken", scene.hook.url());
    scene.configure(|config| {
        config
            .text("webhooks.ops", "format", "dingtalk")
            .text("webhooks.ops", "secret", "SECs3cret")
            .text("webhooks.ops", "url", &url)
    });
    scene.api.add_task(task("t"));
    let ended = scene.run(&["--once", "-v"]).with_code(0);
    let path = scene.hook.deliveries()[0].path.clone();
    let query = path.strip_prefix("/hook?").unwrap();
    let mut pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let sign = pairs.pop().unwrap();
    let timestamp = pairs.pop().unwrap();
    assert_eq!(pairs, [("access_token".to_owned(), "t0ken".to_owned())]);
    assert_eq!(timestamp.0, "timestamp");
    assert_eq!(timestamp.1.len(), "1795498000000".len(), "in milliseconds");
    let message = format!("{}\nSECs3cret", timestamp.1);
    let expected = hmac(b"SECs3cret", message.as_bytes());
    assert_eq!(sign, ("sign".to_owned(), expected.clone()));
    for secret in ["t0ken", "SECs3cret", &expected] {
        assert!(!ended.stderr.contains(secret), "{ended}");
    }
}

#[test]
fn unsigned_chats_get_no_signature() {
    for (word, _) in CHATS {
        let scene = scene(word, |config| config);
        scene.api.add_task(task("t"));
        scene.once().with_code(0);
        let delivery = &scene.hook.deliveries()[0];
        assert_eq!(delivery.path, "/hook", "{word}");
        assert!(!delivery.body.contains("\"sign\""), "{word}");
    }
}

#[test]
fn events_during_a_rate_limit_go_out_in_one_message() {
    let scene = scene("slack", |config| config);
    for id in ["a", "b", "c"] {
        scene.api.add_task(task(id));
    }
    let watcher = scene.watch();
    scene.hook.wait_for_deliveries(1);
    for id in ["a", "b", "c"] {
        scene.change(id, "failure");
    }
    let messages = scene.hook.wait_for_deliveries(2);
    let gap = messages[1].at.saturating_sub(messages[0].at);
    assert!(gap >= Duration::from_millis(1_050), "{gap:?}");
    let last = messages.last().unwrap();
    assert!(
        last.body.contains("tasks failed") || messages.len() > 2,
        "{}",
        last.body
    );
    assert!(
        !watcher.log().contains("delivery failed"),
        "a rate limit is no fault"
    );
}

#[test]
fn once_waits_for_the_rate_limit_and_delivers_everything() {
    let scene = scene("slack", |config| {
        config
            .text("poll", "first_run", "all")
            .set("poll", "page_size", 300)
    });
    for n in 0..201 {
        scene.api.add_task(task(&format!("task-{n:03}")));
    }
    scene.once().with_code(0);
    let messages = scene.hook.deliveries();
    assert_eq!(messages.len(), 2);
    let gap = messages[1].at.saturating_sub(messages[0].at);
    assert!(gap >= Duration::from_millis(1_050), "{gap:?}");
}

#[test]
fn an_error_in_the_body_of_a_200_is_a_failed_attempt() {
    for (chat, body, error) in [
        (
            "feishu",
            r#"{"code":19024,"msg":"Key Words Not Found"}"#,
            "code 19024 (Key Words Not Found): refused; the bot requires a keyword",
        ),
        (
            "dingtalk",
            r#"{"errcode":130101,"errmsg":"send too fast"}"#,
            "code 130101 (send too fast): too many messages",
        ),
        (
            "wecom",
            r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#,
            "code 93000 (invalid webhook url): refused; check the key",
        ),
        (
            "slack",
            "<html>moved</html>",
            "the response's body is not understood: <html>moved</html>",
        ),
        ("wecom", "", "the response's body is not understood"),
    ] {
        let scene = scene(chat, |config| config);
        scene.hook.answer_always(HttpResponse::ok(body));
        scene.api.add_task(task("t"));
        let ended = scene.once().with_code(75);
        assert!(ended.stderr.contains(error), "{chat}: {ended}");
        let tested = scene.run(&["test-webhook"]).with_code(69);
        assert!(tested.stdout.contains(error), "{chat}: {tested}");
    }
}

#[test]
fn a_message_that_the_vendor_refuses_is_dead_at_once() {
    let scene = scene("wecom", |config| config);
    scene
        .hook
        .answer_always(HttpResponse::ok(r#"{"errcode":40058,"errmsg":"invalid"}"#));
    scene.api.add_task(task("t"));
    let ended = scene.once().with_code(75);
    assert!(ended.stderr.contains("delivery is dead"), "{ended}");
    assert!(
        ended
            .stderr
            .contains("code 40058 (invalid): the message is refused"),
        "{ended}"
    );
}

#[test]
fn a_test_message_reaches_each_chat() {
    for (word, _) in CHATS {
        let scene = scene(word, |config| config.text("webhooks.ops", "title", "告警"));
        let ended = scene.run(&["test-webhook"]).with_code(0);
        assert!(ended.stdout.starts_with("ops: HTTP 200 in "), "{ended}");
        let delivery = &scene.hook.deliveries()[0];
        assert!(
            delivery.body.contains("告警: test message"),
            "{}",
            delivery.body
        );
    }
}

#[test]
fn a_cloudevent_is_signed_like_an_event() {
    let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let scene = Scene::with(|config| {
        config
            .text("webhooks.ops", "format", "cloudevents")
            .text("webhooks.ops", "secret", key)
    });
    scene.api.add_task(task("t"));
    scene.once().with_code(0);
    let delivery = &scene.hook.deliveries()[0];
    assert!(
        delivery
            .header("content-type")
            .starts_with("application/cloudevents+json")
    );
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, delivery.header(name).parse().unwrap());
    }
    let key = standardwebhooks::Webhook::new(key).unwrap();
    key.verify(delivery.body.as_bytes(), &headers).unwrap();
    let envelope = body(delivery);
    assert_eq!(envelope["specversion"], "1.0");
    assert_eq!(envelope["id"], envelope["data"]["id"]);
    assert_eq!(envelope["subject"], "t");
    assert_eq!(envelope["type"], "ucdn-watch.task.wait");
}
