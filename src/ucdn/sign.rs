//! Request signature: SHA-1 over the sorted parameters and the private key.

use std::collections::BTreeMap;

use sha1::{Digest, Sha1};

/// The parameters of a request. Each value becomes a string once, so the signed and the sent text are the same.
///
/// The vendor signs in the byte order of keys (`TaskId.10` before `TaskId.2`), which is the order of a `BTreeMap`.
#[derive(Clone, Default)]
pub struct Parameters {
    by_key: BTreeMap<String, String>,
}

impl Parameters {
    /// Sets a parameter. An empty value removes it.
    pub fn set(&mut self, key: &str, value: &str) {
        if value.is_empty() {
            self.by_key.remove(key);
        } else {
            self.by_key.insert(key.to_owned(), value.to_owned());
        }
    }

    /// The lower-case hex SHA-1 over keys and values, sorted by key, and the private key.
    #[must_use]
    pub fn signature(&self, private_key: &str) -> String {
        // Hashed piece by piece, so that no buffer holds the private key.
        let mut hash = Sha1::new();
        for (key, value) in &self.by_key {
            hash.update(key);
            hash.update(value);
        }
        hash.update(private_key);
        hex::encode(hash.finalize())
    }

    /// The body of the request, signature included.
    #[must_use]
    pub fn signed_form(&self, private_key: &str) -> String {
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

    const PUBLIC: &str = "ucloudsomeone@example.com1296235120854146120";
    const PRIVATE: &str = "46f09bb9fab4f12dfc160dae12273d5332b5debe";

    fn signature(private: &str, pairs: &[(&str, &str)]) -> String {
        let mut parameters = Parameters::default();
        for (key, value) in pairs {
            parameters.set(key, value);
        }
        parameters.signature(private)
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
            let form = parameters.signed_form("k+/=");
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
