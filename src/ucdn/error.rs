//! What an error of the API means, and what the operator should look at.

use std::time::Duration;

use crate::http::HttpError;
use crate::ucdn::wire::WireError;

/// Why a call to the API brought no page. Says nothing of keys, signatures or bodies.
#[derive(Debug, thiserror::Error)]
#[error("{fault}{}", request_id.as_ref().map_or_else(String::new, |id| format!(" (request {id})")))]
pub struct ApiError {
    /// What went wrong.
    pub fault: Fault,
    /// The answer's `X-UCLOUD-REQUEST-UUID`: what the vendor's support asks for.
    pub request_id: Option<String>,
    /// How long the server asked to be left alone (`Retry-After`).
    pub retry_after: Option<Duration>,
}

/// What went wrong with a call.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No whole answer came.
    #[error("the API can't be reached: {0}")]
    Call(HttpError),
    /// An answer came with an HTTP status other than 2xx.
    #[error("the API answered HTTP {0}")]
    Http(u16),
    /// The API said no.
    #[error("the API refused with RetCode {code}{}{}", colon(message), hint(advice_for_code(*code)))]
    Refused {
        /// `RetCode`.
        code: i64,
        /// `Message`, made safe to print and cut.
        message: String,
    },
    /// An answer came that makes no sense.
    #[error("{0}")]
    Nonsense(WireError),
    /// A list of nothing with a count of something.
    #[error("the API's answer is broken: TotalCount is {total_count}, and there is no TaskList")]
    NoList {
        /// `TotalCount`.
        total_count: u64,
    },
    /// The program stops.
    #[error("the program stops")]
    Stopped,
}

/// How a call to the API ended, in a word: for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// A page came.
    Success,
    /// No whole answer came.
    Unreachable,
    /// An HTTP status other than 2xx.
    HttpError,
    /// A `RetCode` other than 0.
    Refused,
    /// What came makes no sense.
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

    /// None: the program stops, and nothing is known of the call.
    pub(super) fn of<T>(result: &Result<T, ApiError>) -> Option<Self> {
        match result.as_ref().map_err(|error| &error.fault) {
            Ok(_) => Some(Self::Success),
            Err(Fault::Call(_)) => Some(Self::Unreachable),
            Err(Fault::Http(_)) => Some(Self::HttpError),
            Err(Fault::Refused { .. }) => Some(Self::Refused),
            Err(Fault::Nonsense(_) | Fault::NoList { .. }) => Some(Self::Unreadable),
            Err(Fault::Stopped) => None,
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

/// What a failed call asks of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// It may pass: try again at the next time due.
    Retry,
    /// Too many requests: try again later than that.
    SlowDown,
    /// It won't pass by itself: say so, and keep trying slowly.
    Operator,
}

impl Fault {
    /// The same words for the same fault, whatever differs each time: a message, a count, where a text is cut.
    #[must_use]
    pub fn sameness(&self) -> String {
        match self {
            Self::Refused { code, .. } => format!("RetCode {code}"),
            Self::Nonsense(WireError::NotJson { .. }) => "not JSON".to_owned(),
            Self::NoList { .. } => "no list".to_owned(),
            other => other.to_string(),
        }
    }
}

impl ApiError {
    /// An error of which only the fault is known.
    #[must_use]
    pub fn of(fault: Fault) -> Self {
        Self {
            fault,
            request_id: None,
            retry_after: None,
        }
    }

    /// The one place that decides what a failed call asks for.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match &self.fault {
            Fault::Refused { code: 153, .. } | Fault::Http(429) => Remedy::SlowDown,
            Fault::Refused {
                code: 110 | 130 | 150,
                ..
            } => Remedy::Retry,
            Fault::Refused { code, .. } if *code >= 2000 => Remedy::Retry,
            Fault::Refused { .. } | Fault::Http(401 | 403 | 404) => Remedy::Operator,
            _ => Remedy::Retry,
        }
    }

    /// What the operator should look at, if anything.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self.fault {
            Fault::Refused { code, .. } => advice_for_code(code),
            Fault::Http(401 | 403 | 404) => Some("check the account's `endpoint` and `proxy`"),
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
        ApiError::of(Fault::Refused {
            code,
            message: String::new(),
        })
    }

    #[test]
    fn transient_codes_are_retried_and_the_others_are_for_the_operator() {
        for code in [110, 130, 150, 2000, 44_000, 99_999] {
            assert_eq!(refused(code).remedy(), Remedy::Retry, "{code}");
        }
        for code in [
            160, 161, 170, 171, 172, 174, 230, 292, 293, 294, 295, 299, 1999, -1,
        ] {
            assert_eq!(refused(code).remedy(), Remedy::Operator, "{code}");
        }
        assert_eq!(refused(153).remedy(), Remedy::SlowDown);
        for (status, remedy) in [
            (401, Remedy::Operator),
            (403, Remedy::Operator),
            (404, Remedy::Operator),
            (408, Remedy::Retry),
            (429, Remedy::SlowDown),
            (502, Remedy::Retry),
        ] {
            assert_eq!(
                ApiError::of(Fault::Http(status)).remedy(),
                remedy,
                "{status}"
            );
        }
    }

    #[test]
    fn every_published_code_of_the_operators_says_what_to_look_at() {
        for code in [160, 161, 170, 171, 172, 174, 230, 292, 293, 294, 295, 299] {
            assert!(refused(code).advice().is_some(), "{code}");
        }
        assert!(refused(171).to_string().contains("private_key"));
    }
}
