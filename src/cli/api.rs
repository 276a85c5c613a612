//! Shared by commands that call the API: choosing the target, making its client, explaining a failed call.

use std::fmt;
use std::sync::Arc;

use super::exit::{Exit, Failure};
use crate::clock::{CancelToken, Clock};
use crate::config::{Config, Target};
use crate::domain::model::TargetName;
use crate::http::HttpError;
use crate::ucdn::client::ApiClient;
use crate::ucdn::error::{ApiError, ErrorKind};
use crate::ucdn::walk::WalkError;

/// Why a target's task list could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiCallError {
    /// The client can't be built.
    #[error("the account's settings can't be used: {0}")]
    Client(HttpError),
    /// The config names no such account.
    #[error("its account is not in the config")]
    NoAccount,
    /// The API was not reached, refused the request, or sent an invalid answer.
    #[error("{error}{}", Hint(error))]
    Api {
        /// Which of these, and why.
        error: ApiError,
    },
    /// The pages have no end.
    #[error("{0}")]
    Walk(#[from] WalkError),
}

impl From<ApiError> for ApiCallError {
    fn from(error: ApiError) -> Self {
        Self::Api { error }
    }
}

/// What to check, if the error's own text does not say it.
struct Hint<'a>(&'a ApiError);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = match self.0.kind {
            ErrorKind::Call(_) => {
                Some("check the account's `endpoint`, `proxy` and `timeout`, and this network")
            }
            ErrorKind::InvalidResponse(_) | ErrorKind::NoList { .. } => {
                Some("check that the account's `endpoint` is the API's")
            }
            ErrorKind::Http(_) => self.0.advice(),
            // Its text ends in a hint.
            ErrorKind::Refused { .. } | ErrorKind::Stopped => None,
        };
        hint.map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl ApiCallError {
    /// The failure of a command that needs this target.
    pub(super) fn of_target(self, target: &TargetName) -> Failure {
        Failure::new(Exit::Unreachable, format!("target {target}: {self}"))
    }
}

/// The client of a target's account. Never cancelled: signals end the process.
pub(super) fn client(
    config: &Config,
    target: &Target,
    clock: Arc<dyn Clock>,
) -> Result<ApiClient, ApiCallError> {
    let account = config
        .accounts
        .get(&target.account)
        .ok_or(ApiCallError::NoAccount)?;
    ApiClient::new(account, clock, CancelToken::default()).map_err(ApiCallError::Client)
}

/// The target with this name, or the only target if no name is given.
pub(super) fn choose_target<'a>(
    config: &'a Config,
    name: Option<&str>,
) -> Result<(&'a TargetName, &'a Target), Failure> {
    let mut chosen = config
        .targets
        .iter()
        .filter(|(known, _)| name.is_none_or(|name| known.as_str() == name));
    match (chosen.next(), chosen.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(Failure::usage(which_target(config, name))),
    }
}

fn which_target(config: &Config, name: Option<&str>) -> String {
    let known: Vec<&str> = config.targets.keys().map(TargetName::as_str).collect();
    let known = known.join(", ");
    match name {
        Some(name) => format!("the config has no target {name:?}; it has: {known}"),
        None => format!("name a target; the config has: {known}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, load};

    fn config(targets: &[&str]) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        let mut text = "\
state = '/tmp/state.db'
[accounts.main]
public_key = 'a'
private_key = 'b'
"
        .to_owned();
        for target in targets {
            text.extend(["[targets.", target, "]\n"]);
        }
        std::fs::write(&file, text).unwrap();
        load(&file, &Environment::default()).unwrap().config
    }

    #[test]
    fn a_target_need_not_be_named_while_there_is_one() {
        let one = config(&["shop"]);
        assert_eq!(choose_target(&one, None).unwrap().0.as_str(), "shop");
        let two = config(&["shop", "blog"]);
        let failure = choose_target(&two, None).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.error.to_string().ends_with("blog, shop"));
        assert_eq!(
            choose_target(&two, Some("shop")).unwrap().0.as_str(),
            "shop"
        );
    }

    #[test]
    fn an_unknown_target_is_wrong_usage_and_the_known_targets_are_listed() {
        let failure = choose_target(&config(&["shop"]), Some("shoop")).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(
            failure.error.to_string(),
            r#"the config has no target "shoop"; it has: shop"#
        );
    }

    #[test]
    fn each_failed_call_says_what_to_check() {
        let refused = ErrorKind::Refused {
            code: 171,
            message: "Signature VerifyAC Error".to_owned(),
        };
        for (fault, hint) in [
            (refused, "private_key"),
            (ErrorKind::Http(404), "`endpoint`"),
            (ErrorKind::NoList { total_count: 3 }, "`endpoint`"),
        ] {
            let text = ApiCallError::from(ApiError::of(fault)).to_string();
            assert_eq!(text.matches(hint).count(), 1, "{text}");
        }
    }
}
