//! Echoed secrets: a server may quote the whole request in its response. Nothing of that is shown or stored.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::harness::{ConfigText, Ended, Program, Scene, task, types};

/// Part of every secret: letters that no encoding changes, and characters that encodings change.
const CANARY: &str = "canary";
const PUBLIC_KEY: &str = "canary+public/key=";
const PRIVATE_KEY: &str = "canary+private/key=";
const TOKEN: &str = "canary+token/=";
const HEADER: &str = "canary-header-value";

/// How a server quotes.
#[derive(Clone, Copy, Debug)]
enum Quoting {
    /// Verbatim.
    Whole,
    /// As a form, with lower-case escapes.
    LowerEscapes,
    /// Decoded.
    Decoded,
    /// Only the form's values, without the signature.
    KeyAlone,
    /// Verbatim, in a chat vendor's error code and message.
    Chat(&'static str, &'static str),
}

/// A server that responds with the request.
struct EchoServer {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl EchoServer {
    fn start(status: u16, quoting: Quoting) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap().to_string(),
            requests: Arc::default(),
        };
        let requests = Arc::clone(&server.requests);
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                answer(connection, status, quoting, &requests);
            }
        });
        server
    }

    /// All requests.
    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(connection: TcpStream, status: u16, quoting: Quoting, requests: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(connection);
    let Some((head, body)) = request(&mut reader) else {
        return;
    };
    requests.lock().unwrap().push(format!("{head}{body}"));
    let fields = form_urlencoded::parse(body.as_bytes());
    let quote = match quoting {
        Quoting::Whole | Quoting::Chat(..) => format!("{body} {head}"),
        Quoting::LowerEscapes => lower_escapes(&body),
        Quoting::Decoded => {
            let fields = fields.map(|(name, value)| format!("{name}: {value}"));
            fields.collect::<Vec<_>>().join(", ")
        }
        Quoting::KeyAlone => {
            let key = fields.into_iter().find(|(name, _)| name == "PublicKey");
            let key = key.map_or_else(String::new, |(_, key)| key.into_owned());
            let escaped: String = form_urlencoded::byte_serialize(key.as_bytes()).collect();
            format!("unknown key {}", lower_escapes(&escaped))
        }
    };
    let answer = match quoting {
        Quoting::Chat(code, message) => serde_json::json!({ code: 310_000, message: quote }),
        _ => serde_json::json!({ "RetCode": 171, "Action": "x", "Message": quote }),
    };
    let answer = answer.to_string();
    let in_header: String = quote.chars().filter(|it| !it.is_control()).collect();
    let answer = format!(
        "HTTP/1.1 {status} {CANARY}\r\nX-UCLOUD-REQUEST-UUID: {in_header}\r\nRetry-After: {CANARY}\r\n\
         Location: /{CANARY}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
        answer.len()
    );
    // The client may have closed the connection.
    let _ = reader.get_mut().write_all(answer.as_bytes());
}

/// `%2B` becomes `%2b`.
fn lower_escapes(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (escape, rest) = part.split_at(2.min(part.len()));
        format!("{text}%{}{rest}", escape.to_ascii_lowercase())
    })
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_ascii_lowercase();
    let length = lower.split("content-length:").nth(1);
    let length = length.map_or(Some(0), |it| it.lines().next()?.trim().parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).ok()?))
}

fn with_account_canaries(config: ConfigText) -> ConfigText {
    config
        .text("accounts.main", "public_key", PUBLIC_KEY)
        .text("accounts.main", "private_key", PRIVATE_KEY)
        .text("accounts.main", "security_token", TOKEN)
        .set("accounts.main", "headers", header())
}

fn header() -> String {
    format!("{{ x-channel = '{HEADER}' }}")
}

#[track_caller]
fn assert_silent(text: &str, place: &str) {
    let at = text.to_ascii_lowercase().find(CANARY);
    let around = at.map(|at| &text[at.saturating_sub(60)..text.len().min(at + 60)]);
    assert_eq!(around, None, "a secret is in {place}");
}

/// Checks the log, the output, sent requests, and the state.
fn assert_nothing_shows(scene: &Scene, ended: &Ended, secrets: &[String], place: &str) {
    let mut texts = vec![ended.stdout.clone(), ended.stderr.clone()];
    texts.extend(scene.hook.deliveries().into_iter().map(|it| it.body));
    for entry in fs::read_dir(scene.folder()).unwrap() {
        let path = entry.unwrap().path();
        if path != scene.config_path() {
            texts.push(String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned());
        }
    }
    for text in &texts {
        assert_silent(text, place);
        for secret in secrets {
            assert!(!text.contains(secret), "{place} shows {secret}: {text}");
        }
    }
}

/// The signatures in the requests. A signature can be replayed for ever.
fn signatures(requests: &[String]) -> Vec<String> {
    let signature = |text: &String| {
        let after = text.split("Signature=").nth(1);
        after.map(|it| it.chars().take_while(char::is_ascii_hexdigit).collect())
    };
    requests.iter().filter_map(signature).collect()
}

#[test]
fn secrets_that_a_gateway_echoes_are_hidden() {
    for quoting in [
        Quoting::Whole,
        Quoting::LowerEscapes,
        Quoting::Decoded,
        Quoting::KeyAlone,
    ] {
        for status in [200, 403] {
            let gateway = EchoServer::start(status, quoting);
            let scene = Scene::with(|config| {
                with_account_canaries(config)
                    .text(
                        "accounts.main",
                        "endpoint",
                        &format!("http://{}/", gateway.address),
                    )
                    .set("poll", "fail_after", 1)
            });
            let ended = scene.run(&["--once", "--verbose"]).with_code(75);
            assert_eq!(types(&scene.hook.events()), ["watch.failing"]);
            let signatures = signatures(&gateway.requests());
            assert!(!signatures.is_empty() && signatures.iter().all(|it| it.len() == 40));
            let place = format!("{quoting:?} with {status}");
            assert_nothing_shows(&scene, &ended, &signatures, &place);
            for arguments in [&["check", "--online"][..], &["query", "--verbose"]] {
                let ended = scene.run(arguments);
                assert_ne!(ended.code, Some(0), "{ended}");
                let place = format!("{place}, {}", arguments.join(" "));
                assert_nothing_shows(&scene, &ended, &signatures, &place);
            }
        }
    }
}

#[test]
fn secrets_that_a_receiver_echoes_are_hidden() {
    for status in [200, 302, 400, 401, 410, 413, 500] {
        let receiver = EchoServer::start(status, Quoting::Whole);
        let url = format!("http://{}/canary?canary=canary", receiver.address);
        let scene = Scene::with(|config| {
            config
                .text("webhooks.ops", "url", &url)
                .text("webhooks.ops", "secret", "canary-secret")
                .set("webhooks.ops", "headers", header())
        });
        scene.api.add_task(task("t"));
        let ended = scene.run(&["--once", "--verbose"]);
        let signature = |it: &String| {
            Some(
                it.split("webhook-signature: v1,")
                    .nth(1)?
                    .lines()
                    .next()?
                    .to_owned(),
            )
        };
        let signatures: Vec<_> = receiver.requests().iter().filter_map(signature).collect();
        assert_eq!(signatures.len(), 1, "{ended}");
        assert_nothing_shows(&scene, &ended, &signatures, &format!("HTTP {status}"));
        let ended = scene.run(&["test-webhook", "--verbose"]);
        assert_nothing_shows(&scene, &ended, &[], &format!("test-webhook, HTTP {status}"));
    }
}

#[test]
fn secrets_that_a_chat_error_echoes_are_hidden() {
    let (feishu, others) = (
        Quoting::Chat("code", "msg"),
        Quoting::Chat("errcode", "errmsg"),
    );
    for (format, quoting, status) in [
        ("feishu", feishu, 200),
        ("dingtalk", others, 200),
        ("wecom", others, 200),
        ("slack", Quoting::Whole, 200),
        ("slack", Quoting::Whole, 400),
    ] {
        let chat = EchoServer::start(status, quoting);
        let url = format!("http://{}/canary?access_token=canary", chat.address);
        let scene = Scene::with(|config| {
            let config = config
                .text("webhooks.ops", "format", format)
                .text("webhooks.ops", "url", &url)
                .set("webhooks.ops", "headers", header());
            match format {
                "feishu" | "dingtalk" => config.text("webhooks.ops", "secret", "canary-secret"),
                _ => config,
            }
        });
        scene.api.add_task(task("t"));
        let ended = scene.run(&["--once", "--verbose"]).with_code(75);
        let requests = chat.requests();
        assert_eq!(requests.len(), 1, "{ended}");
        assert!(requests[0].contains("canary"), "{}", requests[0]);
        let signs = ["&sign=", "\"sign\":\""].map(|before| requests[0].split(before).nth(1));
        let signs = signs.into_iter().flatten();
        let end = |it: char| !it.is_ascii_alphanumeric() && !"+/=%".contains(it);
        let signs: Vec<_> = signs
            .map(|it| it.split(end).next().unwrap().to_owned())
            .collect();
        assert_eq!(
            signs.len(),
            usize::from(matches!(format, "feishu" | "dingtalk"))
        );
        assert_nothing_shows(&scene, &ended, &signs, format);
        for arguments in [
            &["deliveries", "--json"][..],
            &["test-webhook", "--verbose"],
        ] {
            let ended = scene.run(arguments);
            let place = format!("{format}, {}", arguments.join(" "));
            assert_nothing_shows(&scene, &ended, &[], &place);
        }
    }
}

#[test]
fn only_the_proxy_learns_the_proxy_password() {
    let proxy = EchoServer::start(407, Quoting::Whole);
    let url = format!("http://canary-user:canary-password@{}", proxy.address);
    let scene = Scene::with(|config| {
        config
            .text("accounts.main", "proxy", &url)
            .text("webhooks.ops", "proxy", &url)
            .set("poll", "fail_after", 1)
    });
    let ended = scene.run(&["--once", "--verbose"]).with_code(75);
    assert_nothing_shows(&scene, &ended, &[], "a run");
    for arguments in [
        &["check"][..],
        &["check", "--online"],
        &["query"],
        &["test-webhook"],
    ] {
        let ended = scene.run(arguments);
        assert_nothing_shows(&scene, &ended, &[], &arguments.join(" "));
    }
}

#[test]
fn the_process_list_shows_no_secret() {
    let scene = Scene::new();
    let key = scene.api.private_key();
    scene.configure(|config| config.set("accounts.main", "private_key", "{ env = 'THE_KEY' }"));
    let variables = [("THE_KEY", OsString::from(&key))];
    let mut watcher: Program = scene.start(&[], &variables);
    scene.wait_for_polls(2);
    let look = |name: &str| fs::read(format!("/proc/{}/{name}", watcher.id())).unwrap();
    assert_eq!(look("environ"), format!("THE_KEY={key}\0").into_bytes());
    let line = String::from_utf8(look("cmdline")).unwrap();
    let config = scene.config_path();
    assert_eq!(
        line.split('\0').skip(1).collect::<Vec<_>>(),
        ["--config", config.to_str().unwrap(), ""]
    );
    for thread in fs::read_dir(format!("/proc/{}/task", watcher.id())).unwrap() {
        let name = fs::read_to_string(thread.unwrap().path().join("comm")).unwrap_or_default();
        assert!(!name.contains(&key), "a thread's name");
    }
    watcher.stop().0.with_code(0);
}
