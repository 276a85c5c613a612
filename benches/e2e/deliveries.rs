//! Benchmark: latency from the API's answer to the webhook request, and events delivered per second.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::fixtures::ListQuery;
use crate::list_server::{ListServer, ListSize};
use crate::measured::Running;
use crate::receiver::{Arrival, Receiver};
use crate::report::{Measurement, Report};
use crate::sockets::Server;
use crate::statistics::{Sample, milliseconds, whole};
use crate::tempdir::{BenchDir, Config};

/// Changes per round of the latency benchmark.
const CHANGES: usize = 60;
/// Events per webhook in the throughput benchmark.
const EVENTS: usize = 5_000;

/// Status word of each answer, with the time just before the answer was written.
type Sent = Arc<Mutex<HashMap<String, Instant>>>;

/// Time from the answer that shows a change to the first byte of its webhook request.
pub(crate) fn latency(rounds: usize, report: &mut Report) -> io::Result<()> {
    let sent = Sent::default();
    let api = changing_task(Arc::clone(&sent))?;
    let receiver = Receiver::start()?;
    let dir = BenchDir::new(&Config {
        api: &api.url(),
        poll: "interval = '100ms'\nactive_interval = '100ms'",
        webhooks: vec![receiver.url()],
    })?;
    let watcher = Running::start(&mut dir.watch())?;
    let mut spans = Vec::new();
    // The first request pays for one-time set-up.
    while spans.len() <= CHANGES * rounds {
        spans.extend(span(&receiver.next()?, &sent).map(|it| it.as_secs_f64()));
    }
    spans.remove(0);
    watcher.stop()?;
    let spans = Sample::of(spans);
    let mut add = |what: &str, figure, bound| {
        report.add(Measurement {
            benchmark: "latency",
            what: what.to_owned(),
            figure,
            bound,
        });
    };
    add(
        "API's answer to the POST's first byte",
        spans.shown(milliseconds),
        "",
    );
    add(
        "the same, 99th percentile",
        milliseconds(spans.percentile(99.0)),
        "≤ 20 ms",
    );
    Ok(())
}

/// An API with one task, whose status changes whenever the list is read from its start.
fn changing_task(sent: Sent) -> io::Result<Server> {
    let created = std::time::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
        .as_secs();
    Server::start(move |request, body| {
        if ListQuery::read(&request.body).offset > 0 {
            // The end of the list. A walk asks for it until it knows what `TotalCount` counts.
            body.extend(br#"{"RetCode":0,"Action":"x","TotalCount":1,"TaskList":[]}"#);
            return;
        }
        let mut sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
        let word = format!("step-{}", sent.len());
        let task = format!(
            r#"{{"CreateTime":{created},"Status":"{word}","TaskId":"t","UrlLists":[{{"Url":"http://img.example.com/a.jpg","Status":"{word}"}}]}}"#
        );
        let answer = format!(r#"{{"RetCode":0,"Action":"x","TotalCount":1,"TaskList":[{task}]}}"#);
        body.extend(answer.into_bytes());
        sent.insert(word, Instant::now());
    })
}

/// `None` for an event without a task, such as `watch.recovered`.
fn span(arrival: &Arrival, sent: &Sent) -> Option<Duration> {
    let event: serde_json::Value = serde_json::from_slice(&arrival.body).unwrap();
    let word = event["task"]["status"].as_str()?;
    let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
    Some(arrival.begun.duration_since(sent[word]))
}

/// Events per second to a receiver that answers at once, with one webhook and with ten.
pub(crate) fn deliveries(rounds: usize, report: &mut Report) -> io::Result<()> {
    for webhooks in [1, 10] {
        let mut rates = Vec::new();
        let mut connections = 0;
        for _ in 0..rounds {
            let receiver = Receiver::start()?;
            rates.push(rate(&receiver, webhooks)?);
            connections = connections.max(receiver.connections());
        }
        report.add(Measurement {
            benchmark: "deliveries",
            what: format!(
                "events a second to {webhooks} webhook(s), over {connections} connection(s)"
            ),
            figure: Sample::of(rates).shown(whole),
            bound: "",
        });
    }
    Ok(())
}

/// Events per second from the first request to the last.
fn rate(receiver: &Receiver, webhooks: usize) -> io::Result<f64> {
    let server = ListServer::start(ListSize {
        tasks: EVENTS,
        urls: 1,
    })?;
    let dir = BenchDir::new(&Config {
        api: &server.url,
        poll: "page_size = 1000\nfirst_run = 'all'",
        webhooks: vec![receiver.url(); webhooks],
    })?;
    let watcher = Running::start(&mut dir.watch())?;
    let begun = receiver.next()?.begun;
    let rest = EVENTS * webhooks - 1;
    for _ in 1..rest {
        receiver.next()?;
    }
    let ended = receiver.next()?.begun;
    watcher.stop()?;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
    Ok(rest as f64 / ended.duration_since(begun).as_secs_f64())
}
