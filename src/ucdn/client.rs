//! Calls to the API of one account: signed, within its request budget, and read into pages or errors.

use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{CancelToken, Clock, Woken};
use crate::config::Account;
use crate::domain::model::{TaskKind, Timestamp};
use crate::domain::schedule::{Budget, retry_after};
use crate::domain::text::sanitize;
use crate::http::{BodyLimit, HttpClient, HttpError, HttpRequest, HttpResponse};
use crate::secret::{Secret, SecretUrl};
use crate::ucdn::ListRequest;
use crate::ucdn::error::{ApiError, CallOutcome, Fault};
use crate::ucdn::sign::Parameters;
use crate::ucdn::wire::{Page, Recall, WireError, read_expected_page};

/// The longest answer that is read, unpacked: a page of a thousand tasks with a hundred URLs each fits three times.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// The longest part of the API's `Message` that is shown.
const MAX_MESSAGE_CHARS: usize = 200;

/// An account's client. All targets of the account share it, and with it its request budget.
pub struct ApiClient {
    endpoint: SecretUrl,
    public_key: Secret,
    private_key: Secret,
    security_token: Option<Secret>,
    quotable: Vec<Secret>,
    http: HttpClient,
    budget: Mutex<Budget>,
    patience: Duration,
    clock: Arc<dyn Clock>,
    stop: CancelToken,
    /// Told of each call's end.
    listener: Box<dyn Fn(CallOutcome) + Send + Sync>,
}

impl fmt::Debug for ApiClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiClient({})", self.endpoint)
    }
}

/// A page, and what came with it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The list.
    pub page: Page,
    /// The server's clock, from the answer's `Date`.
    pub server_time: Option<Timestamp>,
}

impl ApiClient {
    /// A client that waits and calls until `stop`.
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
            quotable: quotable(account),
            http: HttpClient::new(&account.http, BodyLimit::RefuseOver(MAX_ANSWER_BYTES))?,
            budget: Mutex::new(Budget::new(account.max_requests_per_second.per_second())),
            patience: account.http.timeout.saturating_add(Duration::from_secs_f64(
                2.0 / account.max_requests_per_second.per_second(),
            )),
            clock,
            stop,
            listener: Box::new(|_| {}),
        })
    }

    /// Has each call's end told to this listener.
    #[must_use]
    pub fn told_to(mut self, listener: impl Fn(CallOutcome) + Send + Sync + 'static) -> Self {
        self.listener = Box::new(listener);
        self
    }

    /// The gateway, without what may be secret.
    #[must_use]
    pub fn endpoint(&self) -> &SecretUrl {
        &self.endpoint
    }

    /// How long one call may take, with the wait for its place in the budget.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.patience
    }

    /// Asks for one page. Waits first if the account's budget is spent.
    pub fn list(&self, request: &ListRequest) -> Result<Answer, ApiError> {
        self.list_into(request, Vec::new(), &mut Recall::default())
    }

    /// The same; the answer takes the place of these bytes: see [`HttpClient::call_into`]. Tasks that `recall` recognises
    /// are not read.
    pub fn list_into(
        &self,
        request: &ListRequest,
        memory: Vec<u8>,
        recall: &mut Recall,
    ) -> Result<Answer, ApiError> {
        let wait = self.budget.lock().reserve(self.clock.monotonic());
        if self.stop.sleep(wait) == Woken::Stopped {
            return Err(ApiError::of(Fault::Stopped));
        }
        let began = self.clock.monotonic();
        let result = self.call(request, memory, recall);
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
                Ok(answer) => format!("{} tasks", answer.page.tasks.len()),
                Err(error) => error.to_string(),
            }
        );
        result
    }

    /// Ends calls under way, for a stop.
    pub fn shut_down(&self) {
        self.http.shut_down();
    }

    fn call(
        &self,
        request: &ListRequest,
        memory: Vec<u8>,
        recall: &mut Recall,
    ) -> Result<Answer, ApiError> {
        let mut parameters = parameters_of(request);
        parameters.set("PublicKey", self.public_key.expose());
        if let Some(token) = &self.security_token {
            parameters.set("SecurityToken", token.expose());
        }
        let body = parameters.signed_form(self.private_key.expose());
        let call = HttpRequest::Post {
            content_type: "application/x-www-form-urlencoded",
            body: body.as_bytes(),
        };
        let answer = self.http.call_into(&self.endpoint, call, &[], memory);
        let mut answer = answer.map_err(|error| {
            ApiError::of(if self.stop.is_cancelled() {
                Fault::Stopped
            } else {
                Fault::Call(error)
            })
        })?;
        let body = std::mem::take(&mut answer.body);
        self.read(&answer, body, recall).map_err(|fault| ApiError {
            fault,
            request_id: answer
                .header("x-ucloud-request-uuid")
                .map(|id| printable(&self.without_secrets(id.to_owned()))),
            retry_after: answer
                .header("retry-after")
                .and_then(|value| retry_after(value, answer.header("date"), self.clock.now())),
        })
    }

    fn read(
        &self,
        answer: &HttpResponse,
        body: Vec<u8>,
        recall: &mut Recall,
    ) -> Result<Answer, Fault> {
        if !answer.status.is_success() {
            return Err(Fault::Http(answer.status.as_u16()));
        }
        let page = read_expected_page(body, recall).map_err(|error| match error {
            WireError::Refused { code, message } => Fault::Refused {
                code,
                message: printable(&self.without_secrets(message)),
            },
            other => Fault::Nonsense(other),
        })?;
        let server_time = answer
            .header("date")
            .and_then(|date| httpdate::parse_http_date(date).ok())
            .map(Timestamp::from);
        Ok(Answer { page, server_time })
    }

    /// A gateway may quote the request in its answer.
    fn without_secrets(&self, mut text: String) -> String {
        for secret in &self.quotable {
            let secret = secret.expose();
            let encoded: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            text = text
                .replace(secret, "[secret]")
                .replace(&encoded, "[secret]");
        }
        // There is more than one way to write `%2B`.
        let decoded: String = form_urlencoded::parse(text.as_bytes())
            .flat_map(|(name, value)| [name, value])
            .collect();
        let quotes = |secret: &Secret| decoded.contains(secret.expose());
        if self.quotable.iter().any(quotes) {
            return "[hidden: it quotes a secret]".to_owned();
        }
        redact_signatures(text)
    }
}

/// All that an answer could quote: keys, token, and headers' values, unless these are too short to be a secret.
fn quotable(account: &Account) -> Vec<Secret> {
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

/// Hides every run of 40 hex digits: a signature that is seen can be replayed for ever.
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

/// The parameters of a list request, without keys and signature.
fn parameters_of(request: &ListRequest) -> Parameters {
    let mut parameters = Parameters::default();
    parameters.set(
        "Action",
        match request.kind {
            TaskKind::Refresh => "DescribeNewUcdnRefreshCacheTask",
            TaskKind::Prefetch => "DescribeNewUcdnPrefetchCacheTask",
        },
    );
    for (n, id) in request.task_ids.iter().enumerate() {
        parameters.set(&format!("TaskId.{n}"), id.as_str());
    }
    let number = |n: u64| n.to_string();
    let optional = [
        ("ProjectId", request.project_id.clone()),
        (
            "BeginTime",
            request.window.map(|w| w.begin.unix_seconds().to_string()),
        ),
        (
            "EndTime",
            request.window.map(|w| w.end.unix_seconds().to_string()),
        ),
        ("Status", request.status.clone()),
        ("Offset", request.offset.map(number)),
        ("Limit", request.limit.map(number)),
        ("IsDcdn", request.is_dcdn.map(|dcdn| dcdn.to_string())),
    ];
    for (key, value) in optional {
        parameters.set(key, value.as_deref().unwrap_or_default());
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::model::Window;

    #[test]
    fn every_parameter_of_the_vendors_page_is_sent_under_its_name() {
        let request = ListRequest {
            kind: TaskKind::Refresh,
            project_id: Some("org-1".to_owned()),
            task_ids: vec!["a".into(), "b".into()],
            window: Timestamp::from_unix_seconds(2)
                .zip(Timestamp::from_unix_seconds(6))
                .map(|(begin, end)| Window { begin, end }),
            status: Some("failure".to_owned()),
            offset: Some(3),
            limit: Some(9),
            is_dcdn: Some(true),
        };
        let form = parameters_of(&request).signed_form("k");
        let (sent, signature) = form.split_once("&Signature=").unwrap();
        assert_eq!(
            sent,
            "Action=DescribeNewUcdnRefreshCacheTask&BeginTime=2&EndTime=6&IsDcdn=true&Limit=9&Offset=3\
             &ProjectId=org-1&Status=failure&TaskId.0=a&TaskId.1=b"
        );
        assert_eq!(signature.len(), 40);
    }

    #[test]
    fn what_is_absent_or_empty_is_not_sent() {
        let mut request = ListRequest::of(TaskKind::Prefetch);
        request.project_id = Some(String::new());
        let form = parameters_of(&request).signed_form("k");
        assert!(
            form.starts_with("Action=DescribeNewUcdnPrefetchCacheTask&Signature="),
            "{form}"
        );
    }
}
