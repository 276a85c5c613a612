//! What the commands that ask the API themselves share: which target, whose client, and how a failure is told.

use std::fmt;
use std::sync::Arc;

use super::{Exit, Failure};
use crate::clock::{CancelToken, Clock};
use crate::config::{Config, Target};
use crate::domain::model::TargetName;
use crate::http::HttpError;
use crate::ucdn::client::ApiClient;
use crate::ucdn::error::{ApiError, ErrorKind};
use crate::ucdn::walk::WalkError;

/// Why a target's list could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// The client can't be made.
    #[error("the account's settings can't be used: {0}")]
    Client(HttpError),
    /// The config names no such account.
    #[error("its account is not in the config")]
    NoAccount,
    /// The API was not reached, said no, or made no sense.
    #[error("{error}{}", Advice(error))]
    Api {
        /// Which of these.
        error: ApiError,
    },
    /// The pages don't come to an end.
    #[error("{0}")]
    Walk(#[from] WalkError),
}

impl From<ApiError> for AskError {
    fn from(error: ApiError) -> Self {
        Self::Api { error }
    }
}

/// What to look at, where the error's own text does not say it.
struct Advice<'a>(&'a ApiError);

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advice = match self.0.kind {
            ErrorKind::Call(_) => {
                Some("check the account's `endpoint`, `proxy` and `timeout`, and this network")
            }
            ErrorKind::InvalidResponse(_) | ErrorKind::NoList { .. } => {
                Some("check that the account's `endpoint` is the API's")
            }
            ErrorKind::Http(_) => self.0.advice(),
            // Its text ends in the advice.
            ErrorKind::Refused { .. } | ErrorKind::Stopped => None,
        };
        advice.map_or(Ok(()), |advice| write!(f, "; {advice}"))
    }
}

impl AskError {
    /// How a command ends that could not do without this target.
    pub(super) fn of_target(self, target: &TargetName) -> Failure {
        Failure {
            exit: Exit::Unreachable,
            error: format!("target {target}: {self}").into(),
        }
    }
}

/// The client of a target's account. A request under way is not cut short: the process is.
pub(super) fn client(
    config: &Config,
    target: &Target,
    clock: Arc<dyn Clock>,
) -> Result<ApiClient, AskError> {
    let account = config
        .accounts
        .get(&target.account)
        .ok_or(AskError::NoAccount)?;
    ApiClient::new(account, clock, CancelToken::default()).map_err(AskError::Client)
}

/// The target of this name; without one, the only target there is.
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
        _ => Err(Failure {
            exit: Exit::Usage,
            error: which_target(config, name).into(),
        }),
    }
}

fn which_target(config: &Config, name: Option<&str>) -> String {
    let known: Vec<&str> = config.targets.keys().map(TargetName::as_str).collect();
    let known = known.join(", ");
    match name {
        Some(name) => format!("the config has no target {name:?}; it has: {known}"),
        None => format!("which target? The config has: {known}"),
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
    fn an_unknown_target_is_wrong_usage_and_the_known_ones_are_said() {
        let failure = choose_target(&config(&["shop"]), Some("shoop")).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(
            failure.error.to_string(),
            r#"the config has no target "shoop"; it has: shop"#
        );
    }

    #[test]
    fn every_failure_of_a_call_says_what_to_look_at() {
        let refused = ErrorKind::Refused {
            code: 171,
            message: "Signature VerifyAC Error".to_owned(),
        };
        for (fault, advice) in [
            (refused, "private_key"),
            (ErrorKind::Http(404), "`endpoint`"),
            (ErrorKind::NoList { total_count: 3 }, "`endpoint`"),
        ] {
            let said = AskError::from(ApiError::of(fault)).to_string();
            assert_eq!(said.matches(advice).count(), 1, "{said}");
        }
    }
}
