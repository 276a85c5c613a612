//! Computes the signature of a request as the vendor describes it. It shares no code with the client's signing, so that
//! each tests the other.

use sha1::{Digest, Sha1};

/// The expected signature of these parameters. `Signature` itself is ignored.
pub(crate) fn expected<'a>(
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
    private_key: &str,
) -> String {
    let mut signed: Vec<(&str, &str)> = parameters
        .into_iter()
        .filter(|(key, _)| *key != "Signature")
        .collect();
    signed.sort_by(|one, other| one.0.as_bytes().cmp(other.0.as_bytes()));
    let mut text = String::new();
    for (key, value) in signed {
        text.push_str(key);
        text.push_str(value);
    }
    text.push_str(private_key);
    hex::encode(Sha1::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC_KEY: &str = "ucloudsomeone@example.com1296235120854146120";
    const PRIVATE_KEY: &str = "46f09bb9fab4f12dfc160dae12273d5332b5debe";

    #[test]
    fn the_published_example_verifies() {
        let parameters = [
            ("Action", "DescribeUHostInstance"),
            ("Signature", "is not part of it"),
            ("Region", "cn-bj2"),
            ("PublicKey", PUBLIC_KEY),
            ("Limit", "10"),
        ];
        assert_eq!(
            expected(parameters, PRIVATE_KEY),
            "cba5cf5ec4d4233d206b1b54951e3787350a642f"
        );
    }

    #[test]
    fn the_white_label_copy_of_the_example_verifies() {
        let parameters = [
            ("Action", "DescribeUHostInstance"),
            ("Region", "cn-bj2"),
            ("PublicKey", "someone@example.com1296235120854146120"),
            ("Limit", "10"),
        ];
        assert_eq!(
            expected(parameters, PRIVATE_KEY),
            "4201919d267504385deb93af19e0197870fed36b"
        );
    }

    #[test]
    fn array_members_are_ordered_by_bytes_and_not_by_number() {
        let names: Vec<String> = (0..12).map(|index| format!("Backends.{index}")).collect();
        let mut parameters = vec![
            ("Action", "AllocateBackendBatch"),
            ("PublicKey", PUBLIC_KEY),
        ];
        let values = ["foo", "bar", "42"].into_iter().cycle();
        parameters.extend(names.iter().map(String::as_str).zip(values));
        assert_eq!(
            expected(parameters, PRIVATE_KEY),
            "6bc32642779f8cb0bb3d3f128b1c0688abf9a1a3"
        );
    }

    #[test]
    fn capital_letters_sort_before_small_ones() {
        let parameters = [("foo", "bar"), ("PublicKey", "my_public_key")];
        assert_eq!(
            expected(parameters, "my_private_key"),
            "d4411ab30953fb0bbcb1e7313081f05e4e91a394"
        );
    }
}
