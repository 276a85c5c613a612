//! How many of the server's locks are ours to take: pure arithmetic over its settings.

/// The table that all locks of a server are in, advisory or not, as its settings size it. A statement that finds it full
/// fails, whosever it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LockCapacity {
    /// `max_locks_per_transaction`.
    pub(super) per_session: usize,
    /// `max_connections` and `max_prepared_transactions`.
    pub(super) sessions: usize,
}

/// For the others of the server, and for what our own statements lock: one in so many.
const LEFT_TO_OTHERS: usize = 4;

impl LockCapacity {
    /// How many targets all instances together may hold.
    pub(super) fn room(self) -> usize {
        let whole = self.per_session.saturating_mul(self.sessions);
        whole - whole.div_ceil(LEFT_TO_OTHERS)
    }

    /// What to say if so many targets are more than there is room for.
    pub(super) fn capacity_error(self, targets: usize) -> Option<String> {
        if targets <= self.room() {
            return None;
        }
        let whole = targets
            .saturating_mul(LEFT_TO_OTHERS)
            .div_ceil(LEFT_TO_OTHERS - 1);
        Some(format!(
            "the server's lock table has room for {} of {targets} targets: set its max_locks_per_transaction to {} (it \
             is {}), and restart it",
            self.room(),
            whole.div_ceil(self.sessions.max(1)) + 1,
            self.per_session,
        ))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_servers_defaults_have_room_for_4800_targets() {
        let table = LockCapacity {
            per_session: 64,
            sessions: 100,
        };
        assert_eq!(table.room(), 4_800);
        assert_eq!(table.capacity_error(4_800), None);
        let capacity_error = table.capacity_error(4_801).unwrap();
        assert!(
            capacity_error.contains("max_locks_per_transaction to 66 (it is 64)"),
            "{capacity_error}"
        );
    }

    proptest! {
        #[test]
        fn what_is_advised_is_enough(per_session in 10_usize..2_000, sessions in 1_usize..2_000, targets in 0_usize..1_000_000) {
            let table = LockCapacity { per_session, sessions };
            if let Some(capacity_error) = table.capacity_error(targets) {
                let (_, advised) = capacity_error.split_once("max_locks_per_transaction to ").unwrap();
                let (advised, _) = advised.split_once(' ').unwrap();
                let mended = LockCapacity { per_session: advised.parse().unwrap(), sessions };
                prop_assert_eq!(mended.capacity_error(targets), None);
            }
        }
    }
}
