//! Signatures: HMAC-SHA256 in base64, and the `webhook-signature` header of Standard Webhooks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::domain::model::Timestamp;
use crate::secret::SecretBytes;

/// HMAC-SHA256 over the joined `parts`, in base64. Takes parts so that no buffer holds key or content.
pub(super) fn hmac_base64(key: &[u8], parts: &[&[u8]]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        unreachable!("HMAC takes keys of any length");
    };
    for part in parts {
        mac.update(part);
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

/// Value of `webhook-signature`: one `v1` signature per secret, in the given order. `None` without secrets.
///
/// `time` is the attempt's time, sent as `webhook-timestamp`. `event_id` must not contain dots: the specification joins
/// the three parts with them.
pub(super) fn webhook_signature(
    secrets: &[SecretBytes],
    event_id: &str,
    time: Timestamp,
    body: &[u8],
) -> Option<String> {
    let signatures: Vec<String> = secrets
        .iter()
        .map(|secret| one_signature(secret, event_id, time, body))
        .collect();
    (!signatures.is_empty()).then(|| signatures.join(" "))
}

fn one_signature(secret: &SecretBytes, event_id: &str, time: Timestamp, body: &[u8]) -> String {
    let seconds = time.unix_seconds().to_string();
    let parts = [event_id.as_bytes(), b".", seconds.as_bytes(), b".", body];
    format!("v1,{}", hmac_base64(secret.expose(), &parts))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds).unwrap()
    }

    #[test]
    fn the_example_of_the_specification_is_reproduced() {
        let key = STANDARD.decode("C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        let signed = webhook_signature(
            &[SecretBytes::new(key)],
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            at(1_649_367_553),
            br#"{"email":"test@example.com","username":"test_user"}"#,
        );
        assert_eq!(
            signed.as_deref(),
            Some("v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=")
        );
    }

    #[test]
    fn no_secret_makes_no_signature() {
        assert_eq!(webhook_signature(&[], "evt_1", at(1), b"{}"), None);
    }

    #[test]
    fn each_secret_signs_in_the_order_given() {
        let secrets = [b"new".to_vec(), b"old".to_vec()].map(SecretBytes::new);
        let [new, old] = &secrets;
        let both = webhook_signature(&secrets, "evt_1", at(7), b"{}").unwrap();
        let one = |secret: &SecretBytes| one_signature(secret, "evt_1", at(7), b"{}");
        assert_eq!(both, format!("{} {}", one(new), one(old)));
    }

    proptest! {
        #[test]
        fn the_official_library_signs_the_same(
            key in proptest::collection::vec(any::<u8>(), 0..200),
            id in "[a-z0-9_]{1,40}",
            seconds in 0..253_402_300_799_i64,
            body in ".*",
        ) {
            let oracle = standardwebhooks::Webhook::from_bytes(key.clone()).unwrap();
            let ours = webhook_signature(&[SecretBytes::new(key)], &id, at(seconds), body.as_bytes());
            prop_assert_eq!(ours.unwrap(), oracle.sign(&id, seconds, body.as_bytes()).unwrap());
        }
    }
}
