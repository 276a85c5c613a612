//! Responses of an endpoint, and what they mean for the delivery.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::domain::model::Timestamp;
use crate::domain::schedule;
use crate::formats::{ErrorClass, VendorError};
use crate::http::HttpError;

/// Delay of a retry after an error that only an operator can fix. Earlier retries would not help.
const MISCONFIGURED_DELAY: Duration = Duration::from_secs(5 * 60);

/// Result of one request.
///
/// Its text is short and without secrets, for logs and the state: `HTTP 503`, or why there is no response.
#[derive(Debug)]
pub enum EndpointResponse {
    /// The receiver responded, and its status decides.
    Status {
        /// The status code.
        status: StatusCode,
        /// Value of `Retry-After`.
        retry_after: Option<String>,
        /// Value of `Date`.
        date: Option<String>,
    },
    /// The receiver responded, and its body reports an error.
    VendorError(VendorError),
    /// There is no valid HTTP response.
    NoResponse(HttpError),
}

/// What to do with the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The receiver accepted it.
    Delivered,
    /// Retry it later.
    Retry {
        /// Least delay that the receiver asks for.
        retry_after: Option<Duration>,
    },
    /// Mark it dead: the receiver would reject the same bytes again.
    Rejected,
    /// Pause the webhook until its config is reloaded: the receiver is gone.
    Gone,
}

impl EndpointResponse {
    /// Decides what the response means. `now` is for a `Retry-After` with a date.
    ///
    /// Every case without a rule is a retry: an outage passes, but a lost event does not come back.
    #[must_use]
    pub fn disposition(&self, now: Timestamp) -> Disposition {
        match self {
            Self::Status {
                status,
                retry_after,
                date,
            } => match status.as_u16() {
                200..=299 => Disposition::Delivered,
                400 | 413 | 422 => Disposition::Rejected,
                410 => Disposition::Gone,
                _ => Disposition::Retry {
                    retry_after: retry_after
                        .as_deref()
                        .and_then(|value| schedule::retry_after(value, date.as_deref(), now)),
                },
            },
            Self::VendorError(error) => match error.class() {
                ErrorClass::BadMessage => Disposition::Rejected,
                ErrorClass::RateLimited(delay) => Disposition::Retry {
                    retry_after: Some(delay),
                },
                ErrorClass::Misconfigured(_) => Disposition::Retry {
                    retry_after: Some(MISCONFIGURED_DELAY),
                },
                ErrorClass::Unknown => Disposition::Retry { retry_after: None },
            },
            Self::NoResponse(_) => Disposition::Retry { retry_after: None },
        }
    }

    /// Name of the fault for log deduplication: the same text for each response to the same fault.
    pub(super) fn fault(&self) -> String {
        match self {
            Self::VendorError(error) => error.without_quote().to_string(),
            Self::Status { .. } | Self::NoResponse(_) => self.to_string(),
        }
    }
}

impl fmt::Display for EndpointResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { status, .. } => write!(f, "HTTP {}", status.as_u16()),
            Self::VendorError(error) => error.fmt(f),
            Self::NoResponse(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 784_111_777;

    fn disposition(status: u16, retry_after: Option<&str>) -> Disposition {
        EndpointResponse::Status {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: retry_after.map(ToOwned::to_owned),
            date: None,
        }
        .disposition(Timestamp::from_unix_seconds(NOW).unwrap())
    }

    fn asked(retry_after: &str) -> Option<u64> {
        match disposition(503, Some(retry_after)) {
            Disposition::Retry { retry_after } => retry_after.map(|span| span.as_secs()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_status_has_its_documented_disposition() {
        for status in 100..1000 {
            let expected = match status {
                200..300 => Disposition::Delivered,
                400 | 413 | 422 => Disposition::Rejected,
                410 => Disposition::Gone,
                _ => Disposition::Retry { retry_after: None },
            };
            assert_eq!(disposition(status, None), expected, "{status}");
        }
    }

    #[test]
    fn a_missing_response_is_retried() {
        let response = EndpointResponse::NoResponse(HttpError::HostNotFound);
        assert_eq!(
            response.disposition(Timestamp::EPOCH),
            Disposition::Retry { retry_after: None }
        );
        assert_eq!(response.to_string(), "the host name can't be resolved");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_at_most_a_day() {
        assert_eq!(asked("120"), Some(120));
        assert_eq!(asked(" 0 "), Some(0));
        assert_eq!(asked("99999999999999999999999"), Some(86_400));
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(asked("Sat, 06 Nov 2094 08:50:37 GMT"), Some(86_400));
    }

    #[test]
    fn an_invalid_retry_after_is_ignored() {
        for nonsense in [
            "",
            "soon",
            "-5",
            "+5",
            "1.5",
            "5s",
            "0x10",
            "٣",
            "1994-11-06",
        ] {
            assert_eq!(asked(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn retry_after_matters_only_for_a_retry() {
        assert_eq!(disposition(204, Some("5")), Disposition::Delivered);
        assert_eq!(disposition(410, Some("5")), Disposition::Gone);
        assert_eq!(
            disposition(301, Some("5")),
            Disposition::Retry {
                retry_after: Some(Duration::from_secs(5))
            }
        );
    }

    proptest! {
        #[test]
        fn no_retry_after_exceeds_the_limit(value in ".*", status in 100_u16..1000) {
            if let Disposition::Retry { retry_after: Some(span) } = disposition(status, Some(&value)) {
                prop_assert!(span <= schedule::MAX_RETRY_AFTER);
            }
        }
    }
}
