//! API client of one account: signs requests, keeps to the request rate, and turns responses into lists or errors.

use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::ListRequest;
use super::error::{ApiError, CallOutcome, ErrorKind};
use super::response::{ListResponse, ResponseError};
use crate::clock::{CancelToken, Clock, Woken};
use crate::config::Account;
use crate::domain::model::Timestamp;
use crate::domain::schedule::{Budget, retry_after};
use crate::domain::text::sanitize;
use crate::http::{BodyLimit, HttpClient, HttpError, HttpRequest, HttpResponse};
use crate::secret::{Secret, SecretUrl};

/// Longest response, unpacked. Three times the size of 1,000 tasks with 100 URLs each.
const MAX_RESPONSE_BYTES: u64 = 64 << 20;

/// Longest part of the API's `Message` that errors show.
const MAX_MESSAGE_CHARS: usize = 200;

/// The client of one account. All targets of the account share it and its request rate.
pub struct ApiClient {
    endpoint: SecretUrl,
    public_key: Secret,
    private_key: Secret,
    security_token: Option<Secret>,
    /// What is hidden where a response repeats it.
    secrets: Vec<Secret>,
    http: HttpClient,
    budget: Mutex<Budget>,
    page_timeout: Duration,
    clock: Arc<dyn Clock>,
    stop: CancelToken,
    /// Called after each call, for metrics.
    listener: Box<dyn Fn(CallOutcome) + Send + Sync>,
}

impl fmt::Debug for ApiClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiClient({})", self.endpoint)
    }
}

/// A page, and what its HTTP headers say.
#[derive(Clone, Debug)]
pub struct ApiResponse {
    /// The list.
    pub page: ListResponse,
    /// The `Date` header: the gateway's clock.
    pub server_time: Option<Timestamp>,
}

/// The list API, as a poll calls it. [`ApiClient`] implements it; a test can drive polls over another implementation.
pub trait ListApi: Send + Sync + fmt::Debug {
    /// The gateway, safe to print.
    fn endpoint(&self) -> &SecretUrl;

    /// Requests one page. Waits first if the account's request rate is used up.
    fn list(&self, request: &ListRequest) -> Result<ApiResponse, ApiError>;

    /// Longest time for one page: the wait for the request rate, and the call.
    fn page_timeout(&self) -> Duration;

    /// Aborts running calls and fails all later ones.
    fn shut_down(&self);
}

impl ApiClient {
    /// A client whose waits and calls end when `stop` is cancelled.
    pub fn new(
        account: &Account,
        clock: Arc<dyn Clock>,
        stop: CancelToken,
    ) -> Result<Self, HttpError> {
        Ok(Self {
            endpoint: account.endpoint.clone(),
            public_key: account.public_key.clone(),
            private_key: account.private_key.clone(),
            security_token: account.security_token.clone(),
            secrets: secrets_of(account),
            http: HttpClient::new(&account.http, BodyLimit::RefuseOver(MAX_RESPONSE_BYTES))?,
            budget: Mutex::new(Budget::new(account.max_requests_per_second.per_second())),
            page_timeout: account.http.timeout.saturating_add(Duration::from_secs_f64(
                2.0 / account.max_requests_per_second.per_second(),
            )),
            clock,
            stop,
            listener: Box::new(|_| {}),
        })
    }

    /// Calls `listener` after each call.
    #[must_use]
    pub fn on_outcome(mut self, listener: impl Fn(CallOutcome) + Send + Sync + 'static) -> Self {
        self.listener = Box::new(listener);
        self
    }

    fn call(&self, request: &ListRequest) -> Result<ApiResponse, ApiError> {
        let mut parameters = request.parameters();
        parameters.set("PublicKey", self.public_key.expose());
        if let Some(token) = &self.security_token {
            parameters.set("SecurityToken", token.expose());
        }
        let body = parameters.signed_form(self.private_key.expose());
        let call = HttpRequest::Post {
            content_type: "application/x-www-form-urlencoded",
            body: body.as_bytes(),
        };
        let response = self.http.call(&self.endpoint, call, &[]);
        let mut response = response.map_err(|error| {
            ApiError::of(if self.stop.is_cancelled() {
                ErrorKind::Stopped
            } else {
                ErrorKind::Call(error)
            })
        })?;
        let body = std::mem::take(&mut response.body);
        self.parse(&response, body).map_err(|kind| ApiError {
            kind,
            request_id: response
                .header("x-ucloud-request-uuid")
                .map(|id| printable(&self.without_secrets(id.to_owned()))),
            retry_after: response
                .header("retry-after")
                .and_then(|value| retry_after(value, response.header("date"), self.clock.now())),
        })
    }

    fn parse(&self, response: &HttpResponse, body: Vec<u8>) -> Result<ApiResponse, ErrorKind> {
        if !response.status.is_success() {
            return Err(ErrorKind::Http(response.status.as_u16()));
        }
        let page = ListResponse::parse(body).map_err(|error| match error {
            ResponseError::Refused { code, message } => ErrorKind::Refused {
                code,
                message: printable(&self.without_secrets(message)),
            },
            other => ErrorKind::InvalidResponse(other),
        })?;
        let server_time = response
            .header("date")
            .and_then(|date| httpdate::parse_http_date(date).ok())
            .map(Timestamp::from);
        Ok(ApiResponse { page, server_time })
    }

    /// Hides secrets in a text of the gateway, which may quote the request.
    fn without_secrets(&self, mut text: String) -> String {
        for secret in &self.secrets {
            let secret = secret.expose();
            let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            text = text
                .replace(secret, "[secret]")
                .replace(&encoded, "[secret]");
        }
        // The URL encoding of a secret is not unique.
        let decoded: String = form_urlencoded::parse(text.as_bytes())
            .flat_map(|(name, value)| [name, value])
            .collect();
        let quotes = |secret: &Secret| decoded.contains(secret.expose());
        if self.secrets.iter().any(quotes) {
            return "[hidden: it quotes a secret]".to_owned();
        }
        redact_signatures(text)
    }
}

impl ListApi for ApiClient {
    fn endpoint(&self) -> &SecretUrl {
        &self.endpoint
    }

    fn list(&self, request: &ListRequest) -> Result<ApiResponse, ApiError> {
        let wait = self.budget.lock().reserve(self.clock.monotonic());
        if self.stop.sleep(wait) == Woken::Stopped {
            return Err(ApiError::of(ErrorKind::Stopped));
        }
        let began = self.clock.monotonic();
        let result = self.call(request);
        if let Some(outcome) = CallOutcome::of(&result) {
            (self.listener)(outcome);
        }
        log::debug!(
            "API request: offset={:?} limit={:?} task_ids={} took={:?} result={}",
            request.offset,
            request.limit,
            request.task_ids.len(),
            self.clock.monotonic().saturating_sub(began),
            match &result {
                Ok(response) => format!("{} tasks", response.page.tasks.len()),
                Err(error) => error.to_string(),
            }
        );
        result
    }

    fn page_timeout(&self) -> Duration {
        self.page_timeout
    }

    fn shut_down(&self) {
        self.http.shut_down();
    }
}

/// Keys, token and header values. Short header values are no secrets, and hiding them would garble texts.
fn secrets_of(account: &Account) -> Vec<Secret> {
    const SHORTEST: usize = 6;
    let headers = account.http.headers.iter().map(|(_, value)| value);
    let headers = headers.filter(|value| value.expose().len() >= SHORTEST);
    [&account.private_key, &account.public_key]
        .into_iter()
        .chain(&account.security_token)
        .chain(headers)
        .cloned()
        .collect()
}

/// Hides a text with 40 hex digits in a row: a signature can be replayed for ever.
fn redact_signatures(message: String) -> String {
    let mut run = 0;
    let is_signature = message.bytes().any(|byte| {
        run = if byte.is_ascii_hexdigit() { run + 1 } else { 0 };
        run >= 40
    });
    if is_signature {
        "[hidden: it quotes a signature]".to_owned()
    } else {
        message
    }
}

/// The first [`MAX_MESSAGE_CHARS`] characters, sanitized.
fn printable(text: &str) -> String {
    let end = text.char_indices().nth(MAX_MESSAGE_CHARS);
    let (shown, _) = text.split_at(end.map_or(text.len(), |(at, _)| at));
    sanitize(shown).into_owned()
}
