//! A receiver's answer: any bytes, sent over a real connection. Whatever they are, the call ends with a verdict; only what
//! says yes is taken for yes, only what the contract names is given up; and a log line about it is one line.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use ucdn_watch::config::{Chat, Format, HttpSettings, Language, TargetFilter, Vendor, Webhook};
use ucdn_watch::deliver::{Disposition, Endpoint as _, EndpointResponse, HttpEndpoint};
use ucdn_watch::domain::model::Timestamp;
use ucdn_watch::domain::schedule::{MAX_RETRY_AFTER, retry_after};
use ucdn_watch::formats::OutgoingEvent;
use ucdn_watch::secret::{Secret, SecretUrl};

const DOCUMENT: &str = r#"{"version":1,"id":"evt_1","sequence":1,"type":"test","time":"2026-11-23T21:16:30Z","target":"shop","summary":"a test","changes":[],"changes_omitted":0}"#;

/// The first byte chooses the format, the rest is the answer.
pub(crate) fn check(input: &[u8]) {
    check_retry_after(input);
    let Some((&format, answer)) = input.split_first() else {
        return;
    };
    let format = match format % 5 {
        0 => Format::Json,
        1 => chat(Vendor::Slack),
        2 => chat(Vendor::Feishu),
        3 => chat(Vendor::DingTalk),
        _ => chat(Vendor::WeCom),
    };
    check_answer(format, answer);
}

fn chat(vendor: Vendor) -> Format {
    Format::Chat(Chat {
        vendor,
        title: "ucdn-watch".to_owned(),
        language: Language::En,
        link: None,
    })
}

/// A line with the wait, and perhaps one with the `Date` beside it.
fn check_retry_after(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (value, date) = match text.split_once('\n') {
        Some((value, date)) => (value, Some(date)),
        None => (&*text, None),
    };
    let now = Timestamp::from_unix_seconds(784_111_777).unwrap();
    let wait = retry_after(value, date, now);
    assert!(wait.is_none_or(|wait| wait <= MAX_RETRY_AFTER), "{wait:?}");
    if let Ok(seconds) = value.trim().parse::<u32>()
        && !value.trim().starts_with('+')
    {
        let asked = Duration::from_secs(seconds.into());
        assert_eq!(wait, Some(asked.min(MAX_RETRY_AFTER)));
    }
}

fn check_answer(format: Format, bytes: &[u8]) {
    let chat = match &format {
        Format::Chat(chat) => Some(chat.vendor),
        _ => None,
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let endpoint = HttpEndpoint::new(&webhook(&url, format)).unwrap();
    let now = Timestamp::from_unix_seconds(784_111_777).unwrap();
    let event = OutgoingEvent {
        id: "evt_1",
        document: DOCUMENT,
    };
    let response = thread::scope(|scope| {
        scope.spawn(|| answer_one(&listener, bytes));
        endpoint.send(&[event], now)
    });
    let said = response.to_string();
    assert!(
        !said.contains(|c: char| c.is_control()) && said.chars().count() < 300,
        "{said:?}"
    );
    match response.disposition(now) {
        Disposition::Delivered => assert!(says_yes(&response, chat, bytes), "{response:?}"),
        Disposition::Retry { retry_after } => {
            assert!(retry_after.is_none_or(|it| it <= MAX_RETRY_AFTER));
        }
        Disposition::Rejected => assert!(
            matches!(&response, EndpointResponse::VendorError(_))
                || matches!(
                    &response,
                    EndpointResponse::Status { status, .. } if matches!(status.as_u16(), 400 | 413 | 422)
                ),
            "{response:?}"
        ),
        Disposition::Gone => assert!(
            matches!(&response, EndpointResponse::Status { status, .. } if status.as_u16() == 410)
        ),
    }
}

/// 2xx; and where a vendor's code has a place in the body, it is that of success, by whatever name.
fn says_yes(response: &EndpointResponse, chat: Option<Vendor>, bytes: &[u8]) -> bool {
    if !matches!(response, EndpointResponse::Status { status, .. } if status.is_success()) {
        return false;
    }
    let body_at = bytes.windows(4).position(|it| it == b"\r\n\r\n");
    let body = body_at.map(|at| &bytes[at + 4..]);
    // Bodies in chunks or packed are not looked into here.
    let Some(Ok(body)) = body.map(serde_json::from_slice::<Value>) else {
        return true;
    };
    match chat {
        None | Some(Vendor::Slack) => true,
        Some(Vendor::Feishu) => body["code"] == 0 || body["StatusCode"] == 0,
        Some(Vendor::DingTalk | Vendor::WeCom) => body["errcode"] == 0,
    }
}

fn webhook(url: &str, format: Format) -> Webhook {
    Webhook {
        url: SecretUrl::parse(Secret::new(url.to_owned())).unwrap(),
        on: Vec::new(),
        targets: TargetFilter::All,
        format,
        secrets: Vec::new(),
        give_up_after: Duration::from_secs(60),
        http: HttpSettings {
            timeout: Duration::from_secs(5),
            headers: Vec::new(),
            proxy: None,
            ca_certificates: None,
        },
    }
}

/// Reads one request, answers and hangs up.
fn answer_one(listener: &TcpListener, bytes: &[u8]) {
    let Ok((mut connection, _)) = listener.accept() else {
        return;
    };
    read_request(&mut connection);
    // A client that has read enough closes first.
    let _ = connection.write_all(bytes);
    let _ = connection.shutdown(Shutdown::Both);
}

fn read_request(connection: &mut TcpStream) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    // Every format's body is one JSON object.
    while !request.ends_with(b"}") {
        match connection.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(length) => request.extend_from_slice(&buffer[..length]),
        }
    }
}
