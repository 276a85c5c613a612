//! Secrets and certificates from files, variables and credentials.

use super::{ACCOUNT_LAST, Folder, WEBHOOK_LAST, assert_errors};
use crate::domain::model::{AccountName, WebhookName};

fn token(folder: &Folder) -> String {
    let config = folder.config();
    let account = &config.accounts[&AccountName::from("main")];
    let token = account.security_token.as_ref().unwrap();
    token.expose().to_owned()
}

#[test]
fn a_secret_is_read_from_each_source_without_its_line_break() {
    let with = |value: &str| Folder::with(&[ACCOUNT_LAST, "security_token = ", value]);
    assert_eq!(token(&with("'abc'")), "abc");
    assert_eq!(token(&with("\"abc\\n\"")), "abc");
    let file = with("{ file = 'keys/token' }");
    for (content, expected) in [
        ("abc", "abc"),
        ("abc\n", "abc"),
        ("abc\r\n", "abc"),
        (" abc ", " abc "),
    ] {
        let variable = with("{ env = 'TOKEN' }").variable("TOKEN", content);
        assert_eq!(token(&variable), expected);
        std::fs::create_dir_all(file.path("keys")).unwrap();
        std::fs::write(file.path("keys/token"), content).unwrap();
        assert_eq!(token(&file), expected);
    }
}

/// A line break in a key once made the API refuse every signature.
#[test]
fn a_key_of_the_api_has_one_line() {
    for content in ["abc\n\n", "abc\ndef", "\tabc", "abc\r"] {
        for key in ["public_key", "private_key", "security_token"] {
            let text = format!("{ACCOUNT_LAST}security_token = 'token'\n");
            let given = text.lines().find(|line| line.starts_with(key)).unwrap();
            let text = text.replace(given, &format!("{key} = {{ env = 'KEY' }}"));
            let folder = Folder::with(&[&text]).variable("KEY", content);
            let errors = folder.errors();
            assert_eq!(errors.len(), 1, "{key}: {errors:?}");
            assert!(
                errors[0].ends_with("expected only the key"),
                "{key}: {errors:?}"
            );
        }
    }
}

#[test]
fn a_credential_is_a_file_in_the_credentials_directory() {
    let folder = Folder::with(&[ACCOUNT_LAST, "security_token = { credential = 'token' }"]).file(
        "credentials/token",
        b"abc\n",
        0o600,
    );
    assert_eq!(
        folder.errors(),
        [
            "config.toml:6:1: accounts.main.security_token: $CREDENTIALS_DIRECTORY is not set; systemd sets \
          it for a unit with LoadCredential=, elsewhere set it to the folder of the credentials"
        ]
    );
    let path = folder.path("credentials").into_os_string().into_string();
    let folder = folder.variable("CREDENTIALS_DIRECTORY", path.unwrap().leak());
    assert_eq!(token(&folder), "abc");
}

#[test]
fn a_credential_name_can_not_leave_its_directory() {
    for (name, expected) in [
        (
            "../x",
            "expected the name of a credential, without `/`; for a path, use file",
        ),
        ("..", "expected the name of a credential"),
        ("", "expected a non-empty string"),
    ] {
        let text = format!("security_token = {{ credential = '{name}' }}");
        let expected = format!("6:20: accounts.main.security_token.credential: {expected}");
        assert_errors(ACCOUNT_LAST, &[(&text, &expected)]);
    }
}

#[test]
fn a_missing_or_empty_secret_is_an_error_that_names_its_source() {
    let cases = [
        ("''", "the value is empty"),
        ("\"\\n\"", "the value is empty"),
        ("{ file = 'empty' }", "empty is empty"),
        ("{ file = 'nope' }", "can't read nope: no such file"),
        ("{ file = 'binary' }", "binary is not UTF-8 text"),
        (
            "{ env = 'NOPE' }",
            "the environment variable NOPE is not set, or empty",
        ),
        (
            "{ env = 'EMPTY' }",
            "the environment variable EMPTY is not set, or empty",
        ),
        (
            "{ env = 'BREAK' }",
            "the environment variable BREAK is empty",
        ),
        ("{}", "expected exactly one of file, env and credential"),
        (
            "{ env = 'A', file = 'b' }",
            "expected exactly one of file, env and credential",
        ),
        (
            "7",
            "expected a string, { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }, found a whole number",
        ),
    ];
    for (value, expected) in cases {
        let folder = Folder::with(&[ACCOUNT_LAST, "security_token = ", value])
            .file("empty", b"\n", 0o600)
            .file("binary", b"\xff\xfe", 0o600)
            .variable("EMPTY", "")
            .variable("BREAK", "\n");
        let expected = format!("config.toml:6:1: accounts.main.security_token: {expected}");
        assert_eq!(folder.errors(), [expected]);
    }
}

#[test]
fn a_file_without_an_end_is_not_read_to_it() {
    let folder = Folder::with(&[ACCOUNT_LAST, "security_token = { file = '/dev/zero' }"]);
    assert_eq!(
        folder.errors(),
        [
            "config.toml:6:1: accounts.main.security_token: can't read /dev/zero: is a device; expected a regular file"
        ]
    );
}

fn signing_keys(text: &str) -> Vec<Vec<u8>> {
    let config = Folder::with(&[WEBHOOK_LAST, text]).config();
    let webhook = &config.webhooks[&WebhookName::from("ops")];
    webhook
        .secrets
        .iter()
        .map(|secret| secret.expose().to_vec())
        .collect()
}

#[test]
fn a_signing_key_is_decoded_whsec_or_plain_text() {
    assert_eq!(signing_keys("secret = 'plain'"), [b"plain"]);
    assert_eq!(signing_keys("secret = 'whsec_AAECAw=='"), [[0, 1, 2, 3]]);
    assert_eq!(
        signing_keys("secret = ['whsec_AAECAw==', 'plain']").len(),
        2
    );
}

#[test]
fn an_invalid_signing_key_is_an_error() {
    let list = "webhooks.ops.secret: expected one secret, or a list of two while rotating";
    let base64 = "expected base64 after whsec_";
    assert_errors(
        WEBHOOK_LAST,
        &[
            (
                "secret = 'whsec_%%'",
                &format!("8:1: webhooks.ops.secret: {base64}"),
            ),
            (
                "secret = 'whsec_'",
                &format!("8:1: webhooks.ops.secret: {base64}"),
            ),
            (
                "secret = ['a', 'whsec_?']",
                &format!("8:16: webhooks.ops.secret[2]: {base64}"),
            ),
            ("secret = []", &format!("8:1: {list}")),
            ("secret = ['a', 'b', 'c']", &format!("8:1: {list}")),
            (
                "secret = ['a', '']",
                "8:16: webhooks.ops.secret[2]: the value is empty",
            ),
        ],
    );
}

#[test]
fn a_webhooks_url_may_come_from_a_variable() {
    let text = WEBHOOK_LAST.replace("'https://hooks.example.com/ucdn'", "{ env = 'URL' }");
    let folder = Folder::with(&[&text]).variable("URL", "https://h.example.com/token\n");
    let config = folder.config();
    let url = &config.webhooks[&WebhookName::from("ops")].url;
    assert_eq!(url.expose(), "https://h.example.com/token");
}

fn ca_pem() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.self_signed(&key).unwrap().pem()
}

fn ca_certificates(folder: &Folder) -> usize {
    let config = folder.config();
    let http = &config.accounts[&AccountName::from("main")].http;
    http.ca_certificates.as_ref().unwrap().iter().count()
}

#[test]
fn ca_certificates_are_read_with_or_without_a_byte_order_mark() {
    let folder = Folder::with(&[ACCOUNT_LAST, "ca_file = 'ca.pem'"]);
    let (one, other) = (ca_pem(), ca_pem());
    for (content, count) in [
        (one.clone(), 1),
        (format!("{one}{other}"), 2),
        (format!("a comment\n{one}"), 1),
        (format!("\u{feff}{one}"), 1),
        (one.replace('\n', "\r\n"), 1),
    ] {
        std::fs::write(folder.path("ca.pem"), content).unwrap();
        assert_eq!(ca_certificates(&folder), count);
    }
}

#[test]
fn a_ca_file_that_no_connection_could_use_is_an_error() {
    let folder = Folder::with(&[ACCOUNT_LAST, "ca_file = 'ca.pem'"]);
    let begin = "-----BEGIN CERTIFICATE-----\n";
    let end = "\n-----END CERTIFICATE-----\n";
    let valid = ca_pem();
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    for (content, expected) in [
        (String::new(), "contains no certificate in PEM form"),
        (key, "contains no certificate in PEM form"),
        (format!("{begin}?{end}"), "is not valid PEM: "),
        (valid.replace(end.trim(), ""), "is not valid PEM: "),
        (
            format!("{begin}{end}"),
            "is invalid: certificate 1 is not an X.509 certificate",
        ),
        (
            format!("{valid}{begin}AAECAw=={end}"),
            "is invalid: certificate 2 is not an X.509 certificate",
        ),
    ] {
        std::fs::write(folder.path("ca.pem"), content).unwrap();
        let errors = folder.errors();
        let expected = format!("config.toml:6:1: accounts.main.ca_file: ca.pem {expected}");
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with(&expected), "{errors:?}");
    }
}

/// Found by fuzzing: control characters reached the terminal.
#[test]
fn an_error_is_one_line_with_control_characters_escaped() {
    let folder = Folder::with(&[
        ACCOUNT_LAST,
        "security_token = { env = \"A\\nB\\u001b[2J\" }",
    ]);
    let expected = "config.toml:6:1: accounts.main.security_token: the environment variable A\\nB\\u{1b}[2J is not set, or empty";
    assert_eq!(folder.errors(), [expected]);
}
