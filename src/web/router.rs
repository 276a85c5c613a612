//! Routes: which handler answers which path, which requests are refused, and where handlers run.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::config::AllowedHosts;
use crate::domain::text::sanitize;
use crate::web::app_state::AppState;
use crate::web::response::{text, with_type};
use crate::web::{api, assets, page};

/// Threads for handlers that read the state: one for pages and `/api`, one for `/metrics`.
pub(super) const BLOCKING_THREADS: usize = 2;

/// From the request until its response is made, including the wait for a free thread. A PostgreSQL server that does not
/// answer is noticed only after several times ten seconds.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(30);

/// Headers of every response: a browser must not guess types, show the page in a frame, keep it, or send its address to
/// other sites.
const SECURITY_HEADERS: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (CACHE_CONTROL, "no-store"),
];

/// `Content-Security-Policy` of everything that is no page: a browser loads nothing for it.
const NOTHING_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// What handlers get.
#[derive(Clone)]
struct HandlerContext {
    app: Arc<AppState>,
    /// Held while a page or an `/api` response is made: one at a time.
    pages: Arc<Semaphore>,
    /// The same for `/metrics`, which therefore does not wait for pages.
    metrics: Arc<Semaphore>,
}

/// Makes a response from the state and the request's query string. Runs on a blocking thread.
type BlockingHandler = fn(&AppState, &str) -> Response;

pub(super) fn new(app: Arc<AppState>) -> Router {
    let context = HandlerContext {
        app,
        pages: Arc::new(Semaphore::new(1)),
        metrics: Arc::new(Semaphore::new(1)),
    };
    Router::new()
        .route("/", reads_state(page::index))
        .route("/tasks", reads_state(page::tasks))
        .route("/task", reads_state(page::task))
        .route("/api/tasks", reads_state(api::tasks))
        .route("/api/events", reads_state(api::events))
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .fallback(asset)
        .layer(middleware::from_fn_with_state(context.clone(), guard))
        .with_state(context)
}

fn reads_state(handler: BlockingHandler) -> MethodRouter<HandlerContext> {
    get(
        async move |State(context): State<HandlerContext>, RawQuery(query): RawQuery| {
            let app = context.app;
            let respond = move || handler(&app, query.as_deref().unwrap_or_default());
            run_blocking(context.pages, respond).await
        },
    )
}

async fn metrics(State(context): State<HandlerContext>) -> Response {
    let app = context.app;
    let respond = move || with_type(StatusCode::OK, CONTENT_TYPE, (app.metrics)());
    run_blocking(context.metrics, respond).await
}

/// Runs `respond` on a blocking thread as soon as `queue` has a place. Requests wait in the order in which they came; one
/// whose client has left is skipped.
async fn run_blocking(
    queue: Arc<Semaphore>,
    respond: impl FnOnce() -> Response + Send + 'static,
) -> Response {
    let run = async {
        // The semaphore is never closed.
        let place = queue.acquire_owned().await;
        // The place is free when the handler ends, not when the client leaves.
        spawn_blocking(move || {
            let response = respond();
            drop(place);
            response
        })
        .await
    };
    match timeout(HANDLER_TIMEOUT, run).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panicked)) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal error: the handler panicked; the log has the details\n",
        ),
        Err(_late) => text(
            StatusCode::SERVICE_UNAVAILABLE,
            "the state could not be read in time\n",
        ),
    }
}

/// `/healthz`: 200 while the daemon makes progress.
async fn health(State(context): State<HandlerContext>) -> Response {
    match context.app.hung_for() {
        None => text(StatusCode::OK, "ok\n"),
        Some(span) => text(
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "no progress for {} s; restart the watcher\n",
                span.as_secs()
            ),
        ),
    }
}

/// `/readyz`: 200 when the last poll of every target of this instance succeeded.
async fn readiness(State(context): State<HandlerContext>) -> Response {
    let snapshot = context.app.health.snapshot();
    if snapshot.kinds.is_empty() && snapshot.targets.is_empty() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "starting\n");
    }
    let mut not_ready = String::new();
    if let Some(fault) = snapshot.ownership_fault {
        // Writing into a string can't fail.
        let _ = writeln!(
            not_ready,
            "the state can't be reached: {}",
            sanitize(&fault)
        );
    }
    for (name, last) in snapshot.targets {
        let _ = match last {
            None => writeln!(not_ready, "{name}: not polled yet"),
            Some(last) => match last.fault {
                Some(fault) => writeln!(
                    not_ready,
                    "{name}: the last poll failed: {}",
                    sanitize(&fault)
                ),
                None => Ok(()),
            },
        };
    }
    if not_ready.is_empty() {
        return text(StatusCode::OK, "ok\n");
    }
    text(StatusCode::SERVICE_UNAVAILABLE, not_ready)
}

async fn asset(uri: Uri) -> Response {
    assets::find(uri.path()).unwrap_or_else(|| {
        text(
            StatusCode::NOT_FOUND,
            "no such page; there are /, /tasks, /api/tasks, /api/events, /metrics, /healthz and /readyz\n",
        )
    })
}

/// Refuses requests that no handler should see, and adds the headers of every response.
async fn guard(State(context): State<HandlerContext>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = match check(&request, &context.app.hosts) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.response(),
    };
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(NOTHING_POLICY));
    log::debug!(
        "HTTP request: path={path:?} status={}",
        response.status().as_u16()
    );
    response
}

/// Why a request is refused before it reaches a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestRefusal {
    /// The `Host` header is missing, repeated or unreadable.
    NoHost,
    /// The `Host` header names another host. A page elsewhere may have made that name resolve to this machine.
    OtherHost,
    /// Neither GET nor HEAD.
    Method,
    /// The request names no path, such as `*` or an absolute URL.
    NoPath,
}

impl RequestRefusal {
    fn response(self) -> Response {
        let (status, reason) = match self {
            Self::NoHost => (
                StatusCode::BAD_REQUEST,
                "the request needs exactly one readable Host header\n",
            ),
            Self::OtherHost => (
                StatusCode::MISDIRECTED_REQUEST,
                "this host name is not accepted; use an address, or add the name to `hosts` of [http]\n",
            ),
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "read-only: only GET and HEAD are allowed\n",
            ),
            Self::NoPath => (
                StatusCode::BAD_REQUEST,
                "the request needs a path that begins with /\n",
            ),
        };
        let mut response = text(status, reason);
        if self == Self::Method {
            let methods = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, methods);
        }
        response
    }
}

fn check(request: &Request, hosts: &AllowedHosts) -> Result<(), RequestRefusal> {
    // HTTP/1.0 has no such header, and no browser speaks it.
    let is_optional = request.version() == Version::HTTP_10;
    let host = host(request.headers(), is_optional).ok_or(RequestRefusal::NoHost)?;
    if !is_allowed(host, hosts) {
        return Err(RequestRefusal::OtherHost);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(RequestRefusal::Method);
    }
    let uri = request.uri();
    if uri.authority().is_some() || !uri.path().starts_with('/') {
        return Err(RequestRefusal::NoPath);
    }
    Ok(())
}

/// The value of the only `Host` header.
fn host(headers: &HeaderMap, is_optional: bool) -> Option<&str> {
    let mut values = headers.get_all(HOST).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        (None, None) if is_optional => Some("localhost"),
        _ => None,
    }
}

/// Whether a `Host` value, with or without its port, may be served.
fn is_allowed(host: &str, allowed: &AllowedHosts) -> bool {
    let AllowedHosts::Named(names) = allowed else {
        return true;
    };
    if let Some(v6) = host.strip_prefix('[') {
        let address = v6.split_once(']').map_or("", |(address, _)| address);
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    let name = name.to_ascii_lowercase();
    name.parse::<IpAddr>().is_ok()
        || name == "localhost"
        || name.ends_with(".localhost")
        || names.contains(&name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::body::Body;

    use super::*;

    fn own() -> AllowedHosts {
        AllowedHosts::Named(BTreeSet::from(["ucdn.example.com".to_owned()]))
    }

    fn request(method: &str, target: &str, hosts: &[&str]) -> Request {
        let request = http::Request::builder().method(method).uri(target);
        let request = hosts
            .iter()
            .fold(request, |request, host| request.header(HOST, *host));
        request.body(Body::empty()).unwrap()
    }

    #[test]
    fn only_host_names_of_this_machine_are_served() {
        for (host, expected) in [
            ("localhost", Ok(())),
            ("LOCALHOST:9655", Ok(())),
            ("ucdn.localhost", Ok(())),
            ("127.0.0.1:9655", Ok(())),
            ("10.1.2.3", Ok(())),
            ("[::1]:9655", Ok(())),
            ("UCDN.example.com:80", Ok(())),
            ("evil.example.com", Err(RequestRefusal::OtherHost)),
            ("127.0.0.1.evil.example.com", Err(RequestRefusal::OtherHost)),
            ("localhost.evil.example.com", Err(RequestRefusal::OtherHost)),
            ("notlocalhost", Err(RequestRefusal::OtherHost)),
            ("[evil]", Err(RequestRefusal::OtherHost)),
            ("", Err(RequestRefusal::OtherHost)),
        ] {
            let request = request("GET", "/", &[host]);
            assert_eq!(check(&request, &own()), expected, "{host}");
            assert_eq!(check(&request, &AllowedHosts::Any), Ok(()), "{host}");
        }
    }

    #[test]
    fn other_methods_repeated_hosts_and_requests_without_a_path_are_refused() {
        for (method, target, hosts, expected) in [
            ("HEAD", "/", &["localhost"][..], Ok(())),
            ("POST", "/", &["localhost"], Err(RequestRefusal::Method)),
            ("get", "/", &["localhost"], Err(RequestRefusal::Method)),
            ("GET", "/", &[], Err(RequestRefusal::NoHost)),
            (
                "GET",
                "/",
                &["localhost", "localhost"],
                Err(RequestRefusal::NoHost),
            ),
            (
                "GET",
                "http://localhost/",
                &["localhost"],
                Err(RequestRefusal::NoPath),
            ),
            ("GET", "*", &["localhost"], Err(RequestRefusal::NoPath)),
            (
                "POST",
                "/",
                &["evil.example.com"],
                Err(RequestRefusal::OtherHost),
            ),
        ] {
            let request = request(method, target, hosts);
            assert_eq!(
                check(&request, &own()),
                expected,
                "{method} {target} {hosts:?}"
            );
        }
        let mut old = request("GET", "/", &[]);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(check(&old, &own()), Ok(()));
    }
}
