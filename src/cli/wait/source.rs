//! Whose list is asked: a target of the config, or an account whose keys are in the environment.

use crate::cli::api::choose_target;
use crate::cli::listing::usage;
use crate::cli::{Context, Exit, Failure};
use crate::config::{Account, KeyVariables, is_unencrypted};
use crate::domain::model::TaskKind;
use crate::ucdn::ListRequest;

/// Entries a page, where no config says otherwise.
const PAGE_SIZE: u32 = 200;

/// Where tasks are looked for.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct SourceArguments {
    /// Whose tasks, as the config names it; not needed while there is one target
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// The gateway, for keys from the environment [default: `https://api.sigcalcloud.com/`]
    #[arg(long, value_name = "URL", conflicts_with = "target")]
    endpoint: Option<String>,
    /// The variable that holds the public key [default: `UCDN_PUBLIC_KEY`]
    #[arg(long, value_name = "VARIABLE", conflicts_with = "target")]
    public_key_env: Option<String>,
    /// The variable that holds the private key [default: `UCDN_PRIVATE_KEY`]
    #[arg(long, value_name = "VARIABLE", conflicts_with = "target")]
    private_key_env: Option<String>,
    /// The variable that holds the token of temporary credentials [default: `UCDN_SECURITY_TOKEN`]
    #[arg(long, value_name = "VARIABLE", conflicts_with = "target")]
    security_token_env: Option<String>,
    /// Ask within this project [default: the target's]
    #[arg(long, value_name = "ID")]
    project_id: Option<String>,
    /// Prefetch tasks [default: as the target, else refresh tasks]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    prefetch: Option<bool>,
    /// Tasks of whole-site acceleration [default: as the target]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    dcdn: Option<bool>,
}

/// What to ask, and with which keys.
pub(super) struct Source {
    pub(super) account: Account,
    /// The list, without ids, window and page.
    pub(super) list: ListRequest,
    pub(super) page_size: u32,
}

impl SourceArguments {
    pub(super) fn find(&self, context: &Context) -> Result<Source, Failure> {
        let mut source = if self.is_environment_meant(context)? {
            self.of_environment(context)?
        } else {
            self.of_config(context)?
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

    /// Whoever names a config or a target means it; then come variables that are named or set.
    fn is_environment_meant(&self, context: &Context) -> Result<bool, Failure> {
        let named = [
            &self.endpoint,
            &self.public_key_env,
            &self.private_key_env,
            &self.security_token_env,
        ];
        let is_named = named.into_iter().any(Option::is_some);
        if is_named && context.arguments.config.is_some() {
            return Err(usage(
                "with a config its accounts are used: leave out --config, or --endpoint and the variables of the keys",
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

    fn of_environment(&self, context: &Context) -> Result<Source, Failure> {
        let account = self
            .variables()
            .account(&context.environment, self.endpoint.as_deref())
            .map_err(|error| Failure {
                exit: Exit::Config,
                error: error.into(),
            })?;
        if is_unencrypted(&account) {
            log::warn!("plain http: what the API answers can be read and changed on the way");
        }
        Ok(Source {
            account,
            list: ListRequest::of(TaskKind::Refresh),
            page_size: PAGE_SIZE,
        })
    }

    fn of_config(&self, context: &Context) -> Result<Source, Failure> {
        let path = context.config_path();
        if self.target.is_none() && !context.is_config_named() && !path.exists() {
            return Err(Failure {
                exit: Exit::Config,
                error: format!(
                    "no keys: set UCDN_PUBLIC_KEY and UCDN_PRIVATE_KEY, or name a config with --config (there is no {})",
                    path.display()
                )
                .into(),
            });
        }
        let config = context.load_config()?;
        let (name, target) = choose_target(&config, self.target.as_deref())?;
        let account = config.accounts.get(&target.account).cloned();
        Ok(Source {
            account: account.ok_or_else(|| crate::cli::api::AskError::NoAccount.of_target(name))?,
            list: ListRequest {
                project_id: target.project_id.clone(),
                is_dcdn: target.is_dcdn,
                ..ListRequest::of(target.tasks)
            },
            page_size: target.poll.page_size.get(),
        })
    }
}
