//! An account without a config file: keys from environment variables, defaults for everything else.

use super::accounts::{DEFAULT_ENDPOINT, DEFAULT_TIMEOUT};
use super::environment::Environment;
use super::secrets::is_loopback;
use super::settings::{Account, HttpSettings, RequestRate};
use crate::secret::{InvalidUrl, Secret, SecretUrl};

/// Names of the environment variables that hold an account's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyVariables {
    /// `PublicKey`.
    pub public_key: String,
    /// The key that signs requests.
    pub private_key: String,
    /// `SecurityToken` of temporary credentials. The variable may be unset.
    pub security_token: String,
}

/// Why the environment variables do not make an account. Contains no values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvAccountError {
    /// A key is missing.
    #[error("the environment variable {variable} is not set, or empty")]
    NotSet {
        /// Its name.
        variable: String,
    },
    /// The value can't be a key.
    #[error("the environment variable {variable} is not UTF-8 text")]
    NotText {
        /// Its name.
        variable: String,
    },
    /// The endpoint is not a URL.
    #[error("the endpoint: {0}")]
    Endpoint(InvalidUrl),
}

impl KeyVariables {
    /// Whether both keys' variables are set.
    #[must_use]
    pub fn are_set(&self, environment: &Environment) -> bool {
        [&self.public_key, &self.private_key]
            .into_iter()
            .all(|variable| environment.get(variable).is_some())
    }

    /// The account at `endpoint`, or at the default endpoint.
    pub fn account(
        &self,
        environment: &Environment,
        endpoint: Option<&str>,
    ) -> Result<Account, EnvAccountError> {
        let endpoint = Secret::new(endpoint.unwrap_or(DEFAULT_ENDPOINT).to_owned());
        Ok(Account {
            endpoint: SecretUrl::parse(endpoint).map_err(EnvAccountError::Endpoint)?,
            public_key: key(environment, &self.public_key)?,
            private_key: key(environment, &self.private_key)?,
            security_token: match key(environment, &self.security_token) {
                Err(EnvAccountError::NotSet { .. }) => None,
                token => Some(token?),
            },
            max_requests_per_second: RequestRate::DEFAULT,
            http: HttpSettings {
                timeout: DEFAULT_TIMEOUT,
                headers: Vec::new(),
                proxy: None,
                ca_certificates: None,
            },
        })
    }
}

/// Whether requests to this account's endpoint leave the machine unencrypted.
#[must_use]
pub fn is_unencrypted(account: &Account) -> bool {
    account.endpoint.is_plain_http() && !is_loopback(account.endpoint.host())
}

/// Drops the line break at the end, which a variable set from a file may have.
fn key(environment: &Environment, variable: &str) -> Result<Secret, EnvAccountError> {
    let not_set = || EnvAccountError::NotSet {
        variable: variable.to_owned(),
    };
    let value = environment.get(variable).ok_or_else(not_set)?;
    let text = value.to_str().ok_or_else(|| EnvAccountError::NotText {
        variable: variable.to_owned(),
    })?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(not_set());
    }
    Ok(Secret::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> KeyVariables {
        KeyVariables {
            public_key: "PUBLIC".to_owned(),
            private_key: "PRIVATE".to_owned(),
            security_token: "TOKEN".to_owned(),
        }
    }

    fn environment(set: &[(&str, &str)]) -> Environment {
        set.iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    }

    #[test]
    fn two_variables_make_an_account() {
        let environment = environment(&[("PUBLIC", "a"), ("PRIVATE", "b\r\n")]);
        assert!(variables().are_set(&environment));
        let account = variables().account(&environment, None).unwrap();
        assert_eq!(account.endpoint.host(), "api.sigcalcloud.com");
        assert_eq!(
            (account.public_key.expose(), account.private_key.expose()),
            ("a", "b")
        );
        assert_eq!(account.security_token, None);
        assert!(!is_unencrypted(&account));
    }

    #[test]
    fn a_token_is_used_if_its_variable_is_set() {
        let environment = environment(&[("PUBLIC", "a"), ("PRIVATE", "b"), ("TOKEN", "c")]);
        let account = variables()
            .account(&environment, Some("http://api.example.com"))
            .unwrap();
        assert_eq!(account.security_token.unwrap().expose(), "c");
        assert!(account.endpoint.is_plain_http());
    }

    #[test]
    fn an_error_names_the_variable_and_shows_no_value() {
        let missing = environment(&[("PUBLIC", "s3cret"), ("PRIVATE", "\n")]);
        assert!(!variables().are_set(&environment(&[("PUBLIC", "s3cret")])));
        let error = variables().account(&missing, None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the environment variable PRIVATE is not set, or empty"
        );
        let both = environment(&[("PUBLIC", "a"), ("PRIVATE", "b")]);
        let error = variables().account(&both, Some("s3cret")).unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
