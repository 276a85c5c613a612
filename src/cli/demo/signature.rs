//! Verifies Standard Webhooks signatures, written from the specification. It shares no code with the signing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::domain::model::Timestamp;

/// Largest difference between a request's timestamp and now. An older request may be a replay.
const TOLERANCE_SECONDS: u64 = 5 * 60;

/// The signed parts of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Signed<'a> {
    /// `webhook-id`.
    pub(super) id: &'a str,
    /// `webhook-timestamp`.
    pub(super) timestamp: &'a str,
    /// `webhook-signature`: one or several, separated by spaces.
    pub(super) signature: &'a str,
    /// The raw body.
    pub(super) body: &'a [u8],
}

impl Signed<'_> {
    /// Whether one of the signatures was made with this key, within the tolerance.
    pub(super) fn is_by(&self, key: &[u8], now: Timestamp) -> bool {
        let age = self
            .timestamp
            .parse()
            .map(|seconds| now.unix_seconds().abs_diff(seconds));
        let is_fresh = age.is_ok_and(|age| age <= TOLERANCE_SECONDS);
        let mut signatures = self
            .signature
            .split(' ')
            .filter_map(|signature| signature.strip_prefix("v1,"));
        is_fresh && signatures.any(|signature| self.verify(key, signature))
    }

    fn verify(&self, key: &[u8], signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else {
            return false;
        };
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
            return false;
        };
        for part in [self.id.as_bytes(), b".", self.timestamp.as_bytes(), b"."] {
            mac.update(part);
        }
        mac.update(self.body);
        mac.verify_slice(&signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: Signed<'_> = Signed {
        id: "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        timestamp: "1649367553",
        signature: "v1,b2xk v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        body: br#"{"email":"test@example.com","username":"test_user"}"#,
    };

    fn is_genuine(signed: Signed<'_>, seconds: i64) -> bool {
        let key = STANDARD.decode("C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        signed.is_by(&key, Timestamp::from_unix_seconds(seconds).unwrap())
    }

    #[test]
    fn the_example_of_the_specification_is_genuine() {
        assert!(is_genuine(EXAMPLE, 1_649_367_553));
        assert!(is_genuine(EXAMPLE, 1_649_367_553 + 300));
    }

    #[test]
    fn old_changed_and_malformed_requests_are_not_genuine() {
        let now = 1_649_367_553;
        assert!(!is_genuine(EXAMPLE, now + 301));
        let changed = [
            Signed {
                id: "msg_2",
                ..EXAMPLE
            },
            Signed {
                timestamp: "1649367554",
                ..EXAMPLE
            },
            Signed {
                timestamp: "soon",
                ..EXAMPLE
            },
            Signed {
                signature: "",
                ..EXAMPLE
            },
            Signed {
                signature: "v1,???",
                ..EXAMPLE
            },
            Signed {
                body: b"{}",
                ..EXAMPLE
            },
        ];
        for signed in changed {
            assert!(!is_genuine(signed, now), "{signed:?}");
        }
    }
}
