//! `ucdn-watch test-webhook`: sends a `test` event to webhooks and prints status and latency. Touches no state.

use std::collections::BTreeMap;

use super::context::CommandContext;
use super::exit::{Exit, Failure};
use super::stdio::print;
use crate::clock::{Clock, SystemClock};
use crate::config::Webhook;
use crate::deliver::{Disposition, Endpoint as _, EndpointResponse, HttpEndpoint};
use crate::domain::event::EventDraft;
use crate::domain::model::WebhookName;
use crate::formats::OutgoingEvent;

/// The arguments of `test-webhook`.
#[derive(Debug, clap::Args)]
pub(super) struct TestWebhookArgs {
    /// Name of the webhook in the config [default: all webhooks]
    name: Option<String>,
}

pub(super) fn run(arguments: &TestWebhookArgs, context: &CommandContext) -> Result<Exit, Failure> {
    let config = context.load_config()?;
    let chosen = choose(&config.webhooks, arguments.name.as_deref())?;
    let clock = SystemClock::start();
    let mut exit = Exit::Success;
    for (name, webhook) in chosen {
        let (line, reached) = send(name, webhook, &clock);
        if reached == Reached::No {
            exit = Exit::Unreachable;
        }
        print(&(line + "\n"))?;
    }
    Ok(exit)
}

/// Whether the receiver took the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    Yes,
    No,
}

fn choose<'a>(
    webhooks: &'a BTreeMap<WebhookName, Webhook>,
    name: Option<&str>,
) -> Result<Vec<(&'a WebhookName, &'a Webhook)>, Failure> {
    let chosen: Vec<_> = webhooks
        .iter()
        .filter(|(known, _)| name.is_none_or(|name| known.as_str() == name))
        .collect();
    if chosen.is_empty() {
        return Err(Failure::usage(no_such_webhook(webhooks, name)));
    }
    Ok(chosen)
}

fn no_such_webhook(webhooks: &BTreeMap<WebhookName, Webhook>, name: Option<&str>) -> String {
    let known: Vec<&str> = webhooks.keys().map(WebhookName::as_str).collect();
    match name {
        Some(name) if !known.is_empty() => format!(
            "the config has no webhook {name:?}; it has: {}",
            known.join(", ")
        ),
        _ => "the config has no webhooks; add a [webhooks.NAME] table with a `url`".to_owned(),
    }
}

/// Sends the event. Returns one line about the answer.
fn send(name: &WebhookName, webhook: &Webhook, clock: &dyn Clock) -> (String, Reached) {
    let begun = clock.monotonic();
    let response = match HttpEndpoint::new(webhook) {
        Ok(endpoint) => post(&endpoint, clock),
        Err(error) => EndpointResponse::NoResponse(error),
    };
    let latency = clock.monotonic().saturating_sub(begun).as_millis();
    let reached = match response.disposition(clock.now()) {
        Disposition::Delivered => Reached::Yes,
        Disposition::Retry { .. } | Disposition::Rejected | Disposition::Gone => Reached::No,
    };
    let took = match response {
        EndpointResponse::VendorError(_) => format!("; it took {latency} ms"),
        EndpointResponse::Status { .. } | EndpointResponse::NoResponse(_) => {
            format!(" in {latency} ms")
        }
    };
    (format!("{name}: {response}{took}"), reached)
}

fn post(endpoint: &HttpEndpoint, clock: &dyn Clock) -> EndpointResponse {
    let id = format!("evt_test_{:032x}", fastrand::u128(..));
    let now = clock.now();
    let document = EventDraft::test(now).document(&id, 0);
    let event = OutgoingEvent {
        id: &id,
        document: &document,
    };
    endpoint.send(&[event], now)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::config::{Format, HttpSettings, TargetFilter};
    use crate::domain::event_pattern::EventPattern;
    use crate::secret::{Secret, SecretBytes, SecretUrl};

    fn webhook(url: String) -> Webhook {
        Webhook {
            url: SecretUrl::parse(Secret::new(url)).unwrap(),
            on: vec![EventPattern::new("*")],
            targets: TargetFilter::All,
            format: Format::Json,
            secrets: vec![SecretBytes::new(b"a key".to_vec())],
            give_up_after: Duration::from_secs(60),
            http: HttpSettings {
                timeout: Duration::from_secs(10),
                headers: Vec::new(),
                proxy: None,
                ca_certificates: None,
            },
        }
    }

    /// Answers one request with this status. Returns the request's head in lower case and its body.
    fn receiver(status: u16) -> (String, thread::JoinHandle<(String, String)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/t0ken", listener.local_addr().unwrap());
        let thread = thread::spawn(move || {
            let mut connection = listener.accept().unwrap().0;
            let mut reader = BufReader::new(connection.try_clone().unwrap());
            let (mut head, mut length) = (String::new(), 0);
            while reader.read_line(&mut head).unwrap() > 2 {}
            let head = head.to_ascii_lowercase();
            for line in head.lines() {
                if let Some(value) = line.strip_prefix("content-length: ") {
                    length = value.parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            write!(
                connection,
                "HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n"
            )
            .unwrap();
            (head, String::from_utf8(body).unwrap())
        });
        (url, thread)
    }

    #[test]
    fn a_signed_test_event_goes_out_and_the_status_comes_back() {
        let (url, thread) = receiver(204);
        let name = WebhookName::from("ops");
        let (line, reached) = send(&name, &webhook(url), &SystemClock::start());
        assert!(line.starts_with("ops: HTTP 204 in "), "{line}");
        assert_eq!(reached, Reached::Yes);
        let (head, body) = thread.join().unwrap();
        assert!(head.contains("webhook-signature: v1,"));
        assert!(head.contains("webhook-id: evt_test_"));
        let event: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(event["type"], "test");
        assert_eq!(event["target"], "test");
        assert_eq!(event["sequence"], 0);
        assert!(head.contains(event["id"].as_str().unwrap()));
    }

    #[test]
    fn a_refusal_or_a_dead_address_is_not_reached() {
        let (url, thread) = receiver(403);
        let name = WebhookName::from("ops");
        let clock = SystemClock::start();
        let (line, reached) = send(&name, &webhook(url.clone()), &clock);
        assert!(line.starts_with("ops: HTTP 403 in "), "{line}");
        assert_eq!(reached, Reached::No);
        thread.join().unwrap();
        // Its listener is closed by now.
        let (line, reached) = send(&name, &webhook(url), &clock);
        assert_eq!(reached, Reached::No);
        assert!(!line.contains("t0ken"), "{line}");
    }

    #[test]
    fn an_unknown_name_is_wrong_usage_and_the_known_names_are_listed() {
        let webhook = || webhook("http://localhost/".to_owned());
        let webhooks = ["chat", "ops"].map(|name| (WebhookName::from(name), webhook()));
        let webhooks = BTreeMap::from(webhooks);
        let failure = choose(&webhooks, Some("opps")).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(
            failure.error.to_string(),
            r#"the config has no webhook "opps"; it has: chat, ops"#
        );
        assert_eq!(choose(&webhooks, None).unwrap().len(), 2);
        assert_eq!(choose(&webhooks, Some("ops")).unwrap().len(), 1);
        assert!(choose(&BTreeMap::new(), None).is_err());
    }
}
