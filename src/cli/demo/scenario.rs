//! Scenario of `demo`: its tasks and what becomes of them.

use std::time::Duration;

use ucdn_simulator::{Script, Simulator, Step, TaskSpec, UrlStep};

use crate::clock::{CancelToken, Woken};

/// The task that the API forgets while it is in flight.
const FORGOTTEN: &str = "old-campaign";
const FORGOTTEN_AFTER: Duration = Duration::from_secs(17);

/// Adds all tasks. Those with a later creation time appear at that time.
pub(super) fn begin(simulator: &Simulator) {
    let now = simulator.now_seconds();
    let add = |id: &str, created: i64, files: &[&str], script: Script| {
        let urls: Vec<String> = files
            .iter()
            .map(|file| format!("https://shop.example.com/{file}"))
            .collect();
        let spec = TaskSpec::new(urls.iter().map(String::as_str), script);
        simulator.add_task(spec.with_id(id).created_at(now + created));
    };
    let quick = || wait(1).process(seconds(2)).success();
    add("logo", -20, &["logo.svg"], quick());
    add("front-page", 0, &["index.html", "app.css"], quick());
    add(
        "checkout",
        0,
        &["cart.js", "pay.js", "pay.css"],
        wait(2).process(seconds(3)).failure(&[1]),
    );
    add(
        "price-list",
        2,
        &["prices.json"],
        wait(1).process(seconds(3)).success(),
    );
    add("trailer", 3, &["trailer.m3u8"], wait(1).becomes("process"));
    add("news", 6, &["news/1", "news/2"], quick());
    add("photos", 8, &["a.jpg", "b.jpg", "c.jpg"], one_by_one());
    add(
        FORGOTTEN,
        10,
        &["campaign.html"],
        wait(2).becomes("process"),
    );
    add(
        "catalogue",
        12,
        &["catalogue.pdf"],
        wait(1).becomes("unknow").wait(seconds(3)).success(),
    );
    add(
        "terms",
        15,
        &["terms.html", "privacy.html"],
        wait(1).process(seconds(3)).failure(&[]),
    );
    add("app", 18, &["app.js", "app.wasm"], quick());
    add("search-index", 20, &["search.idx"], quick());
}

/// Waits for the end of the demo and removes [`FORGOTTEN`] on the way.
pub(super) fn follow(simulator: &Simulator, stop: &CancelToken, span: Duration) {
    if stop.sleep(span.min(FORGOTTEN_AFTER)) == Woken::Stopped {
        return;
    }
    let rest = span.saturating_sub(FORGOTTEN_AFTER);
    if !rest.is_zero() {
        simulator.remove_task(FORGOTTEN);
        stop.sleep(rest);
    }
}

/// One URL fails while the task is in process, and later the task fails.
fn one_by_one() -> Script {
    let step = |url, status, after| Step {
        after_ms: after,
        urls: vec![UrlStep::new(url, status)],
        ..Step::default()
    };
    wait(1)
        .becomes("process")
        .then(step(0, "success", 1500))
        .then(step(1, "failure", 1500))
        .wait(seconds(2))
        .failure(&[1])
}

fn wait(span: u64) -> Script {
    Script::new().wait(seconds(span))
}

fn seconds(span: u64) -> Duration {
    Duration::from_secs(span)
}
