//! Incident: an ongoing failure, logged when it begins, changes and ends, and not at each repeat.

/// The current failure, if any.
#[derive(Clone, Debug, Default)]
pub struct Incident {
    current: Option<String>,
}

/// What one more failure means for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IncidentChange {
    /// There was no failure before.
    Begins,
    /// The same failure as before.
    Repeats,
    /// Another failure than before.
    Changes {
        /// The failure before.
        before: String,
    },
}

impl IncidentChange {
    /// Whether this is to be logged.
    #[must_use]
    pub fn is_news(&self) -> bool {
        *self != Self::Repeats
    }
}

impl Incident {
    /// Records a failure. The same failure must have the same description each time.
    pub fn failed(&mut self, what: &str) -> IncidentChange {
        if self.current.as_deref() == Some(what) {
            return IncidentChange::Repeats;
        }
        match self.current.replace(what.to_owned()) {
            None => IncidentChange::Begins,
            Some(before) => IncidentChange::Changes { before },
        }
    }

    /// Records a success. Returns the failure that this ends.
    pub fn ended(&mut self) -> Option<String> {
        self.current.take()
    }

    /// The current failure.
    #[must_use]
    pub fn current(&self) -> Option<&str> {
        self.current.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_differs_from_beginning_change_and_end() {
        let mut incident = Incident::default();
        assert_eq!(incident.ended(), None);
        assert_eq!(incident.failed("HTTP 503"), IncidentChange::Begins);
        assert_eq!(incident.failed("HTTP 503"), IncidentChange::Repeats);
        assert!(!IncidentChange::Repeats.is_news() && IncidentChange::Begins.is_news());
        let before = "HTTP 503".to_owned();
        assert_eq!(
            incident.failed("HTTP 500"),
            IncidentChange::Changes { before }
        );
        assert_eq!(incident.ended().as_deref(), Some("HTTP 500"));
        assert_eq!(incident.ended(), None);
        assert_eq!(incident.failed("HTTP 500"), IncidentChange::Begins);
    }
}
