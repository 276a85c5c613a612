//! API errors: what a `RetCode` or HTTP status means, whether to retry, and what the operator should check.

use std::time::Duration;

use super::response::ResponseError;
use crate::http::HttpError;

/// Why a call to the API failed. Holds no key, signature or body.
#[derive(Debug, thiserror::Error)]
#[error("{kind}{}", request_id.as_ref().map_or_else(String::new, |id| format!(" (request {id})")))]
pub struct ApiError {
    /// What went wrong.
    pub kind: ErrorKind,
    /// The `X-UCLOUD-REQUEST-UUID` header. The vendor's support asks for it.
    pub request_id: Option<String>,
    /// The `Retry-After` header.
    pub retry_after: Option<Duration>,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum ErrorKind {
    /// No connection, or no complete response.
    #[error("the API can't be reached: {0}")]
    Call(HttpError),
    /// An HTTP status other than 2xx.
    #[error("the API answered HTTP {0}")]
    Http(u16),
    /// A `RetCode` other than 0.
    #[error("the API refused with RetCode {code}{}{}", colon(message), hint(advice_for_code(*code)))]
    Refused {
        /// `RetCode`.
        code: i64,
        /// `Message`, sanitized and shortened.
        message: String,
    },
    /// A body that is not the documented JSON.
    #[error("{0}")]
    InvalidResponse(ResponseError),
    /// `TotalCount` without a `TaskList`.
    #[error("the API's answer is broken: TotalCount is {total_count}, and there is no TaskList")]
    NoList {
        /// `TotalCount`.
        total_count: u64,
    },
    /// The program is stopping.
    #[error("the program stops")]
    Stopped,
}

/// How a call to the API ended, as metrics label it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// A page.
    Success,
    /// No connection, or no complete response.
    Unreachable,
    /// An HTTP status other than 2xx.
    HttpError,
    /// A `RetCode` other than 0.
    Refused,
    /// A body that is not the documented JSON.
    Unreadable,
}

impl CallOutcome {
    /// Every outcome.
    pub const ALL: [Self; 5] = [
        Self::Success,
        Self::Unreachable,
        Self::HttpError,
        Self::Refused,
        Self::Unreadable,
    ];

    /// `None` if the program is stopping and aborted the call.
    pub(super) fn of<T>(result: &Result<T, ApiError>) -> Option<Self> {
        match result.as_ref().map_err(|error| &error.kind) {
            Ok(_) => Some(Self::Success),
            Err(ErrorKind::Call(_)) => Some(Self::Unreachable),
            Err(ErrorKind::Http(_)) => Some(Self::HttpError),
            Err(ErrorKind::Refused { .. }) => Some(Self::Refused),
            Err(ErrorKind::InvalidResponse(_) | ErrorKind::NoList { .. }) => Some(Self::Unreadable),
            Err(ErrorKind::Stopped) => None,
        }
    }

    /// Such as `http_error`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Unreachable => "unreachable",
            Self::HttpError => "http_error",
            Self::Refused => "refused",
            Self::Unreadable => "unreadable",
        }
    }
}

/// When to retry a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryClass {
    /// At the next poll: the error is transient.
    Retry,
    /// Later than that: the API limits the request rate.
    SlowDown,
    /// Slowly: the error stays until the operator changes something.
    Operator,
}

impl ErrorKind {
    /// Equal for equal errors: leaves out what differs at each attempt, such as a count or a position in a text.
    #[must_use]
    pub fn dedup_key(&self) -> String {
        match self {
            Self::Refused { code, .. } => format!("RetCode {code}"),
            Self::InvalidResponse(ResponseError::NotJson { .. }) => "not JSON".to_owned(),
            Self::NoList { .. } => "no list".to_owned(),
            other => other.to_string(),
        }
    }
}

impl ApiError {
    /// An error without request id and `Retry-After`.
    #[must_use]
    pub fn of(kind: ErrorKind) -> Self {
        Self {
            kind,
            request_id: None,
            retry_after: None,
        }
    }

    /// Classifies the error for the caller's retries.
    #[must_use]
    pub fn retry_class(&self) -> RetryClass {
        match &self.kind {
            ErrorKind::Refused { code: 153, .. } | ErrorKind::Http(429) => RetryClass::SlowDown,
            ErrorKind::Refused {
                code: 110 | 130 | 150,
                ..
            } => RetryClass::Retry,
            ErrorKind::Refused { code, .. } if *code >= 2000 => RetryClass::Retry,
            ErrorKind::Refused { .. } | ErrorKind::Http(401 | 403 | 404) => RetryClass::Operator,
            _ => RetryClass::Retry,
        }
    }

    /// What the operator should check. `None` if no setting helps.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self.kind {
            ErrorKind::Refused { code, .. } => advice_for_code(code),
            ErrorKind::Http(401 | 403 | 404) => Some("check the account's `endpoint` and `proxy`"),
            _ => None,
        }
    }
}

fn advice_for_code(code: i64) -> Option<&'static str> {
    Some(match code {
        110 => "the gateway waited 60 s for its back end; it will be tried again",
        130 | 150 => "the vendor's gateway is in trouble; it will be tried again",
        153 => "too many requests: lower the account's `max_requests_per_second`",
        160 | 161 => "the endpoint does not know this API: check the account's `endpoint`",
        170 | 171 => {
            "check the account's `private_key`, and that the `endpoint` is the one these keys belong to; the clock plays \
             no part"
        }
        172 => "check the account's `public_key`, and that the `endpoint` is the one it belongs to",
        173 | 175..=179 => "check the account's keys",
        174 => "check the account's `security_token`: it may have expired",
        292 => "check the target's `project_id`",
        293 => "this account may not use the zone: check its permissions",
        294 => "the account refuses this machine's address: check its list of allowed addresses",
        295 => "the account's security lock is on: unlock it in the console",
        299 => {
            "the account may not list refresh tasks: check its permissions; sub-accounts must give `project_id`"
        }
        230 => "the API refuses a parameter: check `project_id`, `page_size` and `lookback`",
        290 | 291 | 296..=298 => "check the account's permissions and the target's `project_id`",
        _ => return None,
    })
}

fn colon(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(" ({message})")
    }
}

fn hint(advice: Option<&str>) -> String {
    advice.map_or_else(String::new, |advice| format!("; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: i64) -> ApiError {
        ApiError::of(ErrorKind::Refused {
            code,
            message: String::new(),
        })
    }

    #[test]
    fn transient_codes_are_retried_and_others_wait_for_the_operator() {
        for code in [110, 130, 150, 2000, 44_000, 99_999] {
            assert_eq!(refused(code).retry_class(), RetryClass::Retry, "{code}");
        }
        for code in [
            160, 161, 170, 171, 172, 174, 230, 292, 293, 294, 295, 299, 1999, -1,
        ] {
            assert_eq!(refused(code).retry_class(), RetryClass::Operator, "{code}");
        }
        assert_eq!(refused(153).retry_class(), RetryClass::SlowDown);
        for (status, remedy) in [
            (401, RetryClass::Operator),
            (403, RetryClass::Operator),
            (404, RetryClass::Operator),
            (408, RetryClass::Retry),
            (429, RetryClass::SlowDown),
            (502, RetryClass::Retry),
        ] {
            assert_eq!(
                ApiError::of(ErrorKind::Http(status)).retry_class(),
                remedy,
                "{status}"
            );
        }
    }

    #[test]
    fn every_code_that_an_operator_can_fix_says_what_to_check() {
        for code in [160, 161, 170, 171, 172, 174, 230, 292, 293, 294, 295, 299] {
            assert!(refused(code).advice().is_some(), "{code}");
        }
        assert!(refused(171).to_string().contains("private_key"));
    }
}
