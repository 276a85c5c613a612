//! Names of targets, webhooks and accounts, and task ids.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a `[targets.NAME]` table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TargetName(pub String);

/// The name of a `[webhooks.NAME]` table. The outbox stores deliveries under it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookName(pub String);

/// The name of an `[accounts.NAME]` table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName(pub String);

/// The API's task id, unchanged. Unique within one target.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(pub String);

macro_rules! text_newtype {
    ($($name:ident),*) => {$(
        impl $name {
            /// The name or id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    )*};
}
text_newtype!(TargetName, WebhookName, AccountName, TaskId);
