//! A fault that lasts: tells its beginning, its changes and its end from its repeats, so that the log says each once.

/// What is wrong at the moment, if anything.
#[derive(Clone, Debug, Default)]
pub struct Incident {
    current: Option<String>,
}

/// What one more failure is to those who watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IncidentChange {
    /// All was well before.
    Begins,
    /// As before.
    Repeats,
    /// Something else was wrong before.
    Changes {
        /// What was wrong.
        before: String,
    },
}

impl IncidentChange {
    /// Whether the log has not said this yet.
    #[must_use]
    pub fn is_news(&self) -> bool {
        *self != Self::Repeats
    }
}

impl Incident {
    /// Takes note of a failure, described in words that are the same for the same fault.
    pub fn failed(&mut self, what: &str) -> IncidentChange {
        if self.current.as_deref() == Some(what) {
            return IncidentChange::Repeats;
        }
        match self.current.replace(what.to_owned()) {
            None => IncidentChange::Begins,
            Some(before) => IncidentChange::Changes { before },
        }
    }

    /// Takes note that all is well; what was wrong until now, if anything.
    pub fn ended(&mut self) -> Option<String> {
        self.current.take()
    }

    /// What is wrong.
    #[must_use]
    pub fn current(&self) -> Option<&str> {
        self.current.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginning_change_and_end_are_told_from_repeats() {
        let mut fault = Incident::default();
        assert_eq!(fault.ended(), None);
        assert_eq!(fault.failed("HTTP 503"), IncidentChange::Begins);
        assert_eq!(fault.failed("HTTP 503"), IncidentChange::Repeats);
        assert!(!IncidentChange::Repeats.is_news() && IncidentChange::Begins.is_news());
        let before = "HTTP 503".to_owned();
        assert_eq!(fault.failed("HTTP 500"), IncidentChange::Changes { before });
        assert_eq!(fault.ended().as_deref(), Some("HTTP 500"));
        assert_eq!(fault.ended(), None);
        assert_eq!(fault.failed("HTTP 500"), IncidentChange::Begins);
    }
}
