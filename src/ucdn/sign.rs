//! Signing: the vendor's hash over a request's parameters. Pure.

use std::collections::BTreeMap;

use sha1::{Digest, Sha1};

use crate::model::TaskKind;
use crate::secret::Secret;
use crate::ucdn::ListRequest;

/// A request's parameters, each value made into a text once: what is signed is what is sent.
///
/// A `BTreeMap` of `String`s is in the order of bytes that the vendor signs in (`TaskId.10` before `TaskId.2`).
#[derive(Clone, Default)]
pub struct Parameters {
    by_key: BTreeMap<String, String>,
}

impl Parameters {
    /// The parameters of a list request, without keys and signature.
    #[must_use]
    pub fn of_list(request: &ListRequest) -> Self {
        let mut parameters = Self::default();
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

    /// Sets a parameter. An empty value is an absent one: neither signed nor sent.
    pub fn set(&mut self, key: &str, value: &str) {
        if value.is_empty() {
            self.by_key.remove(key);
        } else {
            self.by_key.insert(key.to_owned(), value.to_owned());
        }
    }

    /// The lower-case hex SHA-1 over keys and values in the order of the keys' bytes, then the private key.
    #[must_use]
    pub fn signature(&self, private_key: &Secret) -> String {
        // Piece by piece: no buffer ever holds the private key beside the rest.
        let mut hash = Sha1::new();
        for (key, value) in &self.by_key {
            hash.update(key);
            hash.update(value);
        }
        hash.update(private_key.expose());
        hex::encode(hash.finalize())
    }

    /// The body of the request, signature included.
    #[must_use]
    pub fn signed_form(&self, private_key: &Secret) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(&self.by_key);
        form.append_pair("Signature", &self.signature(private_key));
        form.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Timestamp, Window};

    const PUBLIC: &str = "ucloudsomeone@example.com1296235120854146120";
    const PRIVATE: &str = "46f09bb9fab4f12dfc160dae12273d5332b5debe";

    fn signature(private: &str, pairs: &[(&str, &str)]) -> String {
        let mut parameters = Parameters::default();
        for (key, value) in pairs {
            parameters.set(key, value);
        }
        parameters.signature(&Secret::new(private.to_owned()))
    }

    #[test]
    fn the_vendors_example_is_signed_as_published() {
        let pairs = [
            ("Action", "DescribeUHostInstance"),
            ("Region", "cn-bj2"),
            ("Limit", "10"),
            ("PublicKey", PUBLIC),
        ];
        assert_eq!(
            signature(PRIVATE, &pairs),
            "cba5cf5ec4d4233d206b1b54951e3787350a642f"
        );
        let white_label = [
            ("Action", "DescribeUHostInstance"),
            ("Region", "cn-bj2"),
            ("Limit", "10"),
            ("PublicKey", "someone@example.com1296235120854146120"),
        ];
        assert_eq!(
            signature(PRIVATE, &white_label),
            "4201919d267504385deb93af19e0197870fed36b"
        );
    }

    #[test]
    fn array_indices_are_signed_in_the_order_of_bytes() {
        let mut pairs = vec![
            ("Action".to_owned(), "AllocateBackendBatch".to_owned()),
            ("PublicKey".to_owned(), PUBLIC.to_owned()),
        ];
        for n in 0..12 {
            pairs.push((
                format!("Backends.{n}"),
                ["foo", "bar", "42"][n % 3].to_owned(),
            ));
        }
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            signature(PRIVATE, &pairs),
            "6bc32642779f8cb0bb3d3f128b1c0688abf9a1a3"
        );
    }

    #[test]
    fn capitals_sort_before_small_letters() {
        let pairs = [("foo", "bar"), ("PublicKey", "my_public_key")];
        assert_eq!(
            signature("my_private_key", &pairs),
            "d4411ab30953fb0bbcb1e7313081f05e4e91a394"
        );
    }

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
        let form = Parameters::of_list(&request).signed_form(&Secret::new("k".to_owned()));
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
        let form = Parameters::of_list(&request).signed_form(&Secret::new("k".to_owned()));
        assert!(
            form.starts_with("Action=DescribeNewUcdnPrefetchCacheTask&Signature="),
            "{form}"
        );
    }

    proptest! {
        #[test]
        fn what_is_sent_decodes_to_what_was_signed(
            pairs in prop::collection::btree_map("[A-Za-z.0-9]{1,12}", "\\PC{1,20}", 0..12),
        ) {
            prop_assume!(!pairs.contains_key("Signature"));
            let mut parameters = Parameters::default();
            for (key, value) in &pairs {
                parameters.set(key, value);
            }
            let key = Secret::new("k+/=".to_owned());
            let form = parameters.signed_form(&key);
            let decoded: BTreeMap<String, String> =
                form_urlencoded::parse(form.as_bytes()).into_owned().collect();
            let mut joined: String = pairs.iter().flat_map(|(k, v)| [k.as_str(), v]).collect();
            joined.push_str("k+/=");
            prop_assert_eq!(&decoded["Signature"], &hex::encode(Sha1::digest(joined)));
            for (key, value) in &pairs {
                prop_assert_eq!(&decoded[key], value);
            }
            prop_assert_eq!(decoded.len(), pairs.len() + 1);
        }
    }
}
