//! Credentials and list of `wait`: those of a config's target, or an account with keys from the environment.

use crate::cli::api::{ApiCallError, choose_target};
use crate::cli::context::CommandContext;
use crate::cli::exit::{Exit, Failure};
use crate::config::{Account, KeyVariables, is_unencrypted};
use crate::domain::model::TaskKind;
use crate::ucdn::ListRequest;

/// Entries per page without a config.
const PAGE_SIZE: u32 = 200;

/// Options that choose account and list.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct CredentialArgs {
    /// Name of the target in the config; optional with a single target
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// API endpoint, with keys from the environment [default: `https://api.sigcalcloud.com/`]
    #[arg(long, value_name = "URL", conflicts_with = "target")]
    endpoint: Option<String>,
    /// Variable with the public key [default: `UCDN_PUBLIC_KEY`]
    #[arg(long, value_name = "VARIABLE", conflicts_with = "target")]
    public_key_env: Option<String>,
    /// Variable with the private key [default: `UCDN_PRIVATE_KEY`]
    #[arg(long, value_name = "VARIABLE", conflicts_with = "target")]
    private_key_env: Option<String>,
    /// Variable with the token of temporary credentials [default: `UCDN_SECURITY_TOKEN`]
    #[arg(long, value_name = "VARIABLE", conflicts_with = "target")]
    security_token_env: Option<String>,
    /// Project id [default: the target's]
    #[arg(long, value_name = "ID")]
    project_id: Option<String>,
    /// Prefetch tasks [default: as the target, else refresh]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    prefetch: Option<bool>,
    /// Whole-site acceleration tasks [default: as the target]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    dcdn: Option<bool>,
}

/// The list to read and the account to read it with.
pub(super) struct ListSource {
    pub(super) account: Account,
    /// The request without ids, window and page.
    pub(super) list: ListRequest,
    pub(super) page_size: u32,
}

impl CredentialArgs {
    pub(super) fn resolve(&self, context: &CommandContext) -> Result<ListSource, Failure> {
        let mut source = if self.uses_environment(context)? {
            self.list_of_environment(context)?
        } else {
            self.list_of_target(context)?
        };
        source.list.project_id = self.project_id.clone().or(source.list.project_id);
        source.list.is_dcdn = self.dcdn.or(source.list.is_dcdn);
        source.list.kind = match self.prefetch {
            Some(true) => TaskKind::Prefetch,
            Some(false) => TaskKind::Refresh,
            None => source.list.kind,
        };
        Ok(source)
    }

    /// A named config or target comes first, then variables that are named or set, then the default config.
    fn uses_environment(&self, context: &CommandContext) -> Result<bool, Failure> {
        let named = [
            &self.endpoint,
            &self.public_key_env,
            &self.private_key_env,
            &self.security_token_env,
        ];
        let is_named = named.into_iter().any(Option::is_some);
        if is_named && context.arguments.config.is_some() {
            return Err(Failure::usage(
                "--config can't be combined with --endpoint or options that name key variables; leave one of them out",
            ));
        }
        let is_config_named = self.target.is_some() || context.is_config_named();
        Ok(is_named || (!is_config_named && self.variables().are_set(&context.environment)))
    }

    fn variables(&self) -> KeyVariables {
        let or = |named: &Option<String>, default: &str| {
            named.clone().unwrap_or_else(|| default.to_owned())
        };
        KeyVariables {
            public_key: or(&self.public_key_env, "UCDN_PUBLIC_KEY"),
            private_key: or(&self.private_key_env, "UCDN_PRIVATE_KEY"),
            security_token: or(&self.security_token_env, "UCDN_SECURITY_TOKEN"),
        }
    }

    fn list_of_environment(&self, context: &CommandContext) -> Result<ListSource, Failure> {
        let account = self
            .variables()
            .account(&context.environment, self.endpoint.as_deref())
            .map_err(|error| Failure::new(Exit::Config, error))?;
        if is_unencrypted(&account) {
            log::warn!(
                "the endpoint uses plain http: others on the network can read and change the answers; use https"
            );
        }
        Ok(ListSource {
            account,
            list: ListRequest::of(TaskKind::Refresh),
            page_size: PAGE_SIZE,
        })
    }

    fn list_of_target(&self, context: &CommandContext) -> Result<ListSource, Failure> {
        let path = context.config_path();
        if self.target.is_none() && !context.is_config_named() && !path.exists() {
            return Err(Failure::new(
                Exit::Config,
                format!(
                    "no keys: set UCDN_PUBLIC_KEY and UCDN_PRIVATE_KEY, or name a config with --config ({} does not exist)",
                    path.display()
                ),
            ));
        }
        let config = context.load_config()?;
        let (name, target) = choose_target(&config, self.target.as_deref())?;
        let account = config.accounts.get(&target.account).cloned();
        Ok(ListSource {
            account: account.ok_or_else(|| ApiCallError::NoAccount.of_target(name))?,
            list: ListRequest {
                project_id: target.project_id.clone(),
                is_dcdn: target.is_dcdn,
                ..ListRequest::of(target.tasks)
            },
            page_size: target.poll.page_size.get(),
        })
    }
}
