//! Why a request gets no page, and the JSON that says so.

use serde::Serialize;

use crate::store::StoreError;
use crate::web::answer::{Answer, Code};
use crate::web::parameters::Mistake;

/// Why, by whose fault it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The request's.
    #[error(transparent)]
    Mistake(#[from] Mistake),
    /// The state's, for now.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Ours: a record can't be told.
    #[error("a record of the state can't be told as JSON")]
    Unspeakable(#[from] serde_json::Error),
}

#[derive(Serialize)]
struct Document<'a> {
    error: String,
    parameter: Option<&'a str>,
}

impl Refusal {
    pub(super) fn code(&self) -> Code {
        match self {
            Self::Mistake(_) => Code::BadRequest,
            Self::Store(_) => Code::Unavailable,
            Self::Unspeakable(_) => Code::Broken,
        }
    }

    /// As JSON: `{"error": …, "parameter": …}`.
    pub(super) fn json(&self) -> Answer {
        let document = Document {
            error: self.to_string(),
            parameter: match self {
                Self::Mistake(mistake) => Some(&mistake.name),
                Self::Store(_) | Self::Unspeakable(_) => None,
            },
        };
        // Strings can't fail to be JSON.
        let body = serde_json::to_string(&document).unwrap_or_default();
        Answer::json(self.code(), &(body + "\n"))
    }
}
