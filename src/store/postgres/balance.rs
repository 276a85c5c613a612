//! How many targets an instance should own: pure arithmetic over the server's lock table. Each instance computes it for itself;
//! instances don't talk to each other.

/// What the lock table shows, counted in targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LeaseCensus {
    /// Targets that some instance should own.
    pub(super) wanted: usize,
    /// Wanted targets that no instance owns.
    pub(super) free: usize,
    /// Targets that this instance owns.
    pub(super) owned: usize,
    /// How many the other instance with the fewest targets owns. `None` if there is no other instance.
    pub(super) fewest_elsewhere: Option<usize>,
    /// Instances, this one included.
    pub(super) instances: usize,
    /// Whether the previous renewal saw free targets too.
    pub(super) free_before: FreeTargets,
}

/// Since when there are free targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum FreeTargets {
    /// The previous renewal saw none.
    #[default]
    New,
    /// The previous renewal saw some.
    SeenBefore,
}

/// What the instance does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BalanceStep {
    /// Acquire this many of the free targets; perhaps none.
    Take(usize),
    /// Release this many idle targets.
    Release(usize),
}

/// The next step towards equal shares.
///
/// No instance acquires more than an equal share, rounded up. An instance with more than its share releases the rest. An
/// instance with two more than the one with the fewest releases one at a time. The instances with the fewest acquire
/// first; others acquire only targets that stay free until the next renewal. So a released target does not return to the
/// instance that released it.
pub(super) fn balance(census: LeaseCensus) -> BalanceStep {
    let share = census.wanted.div_ceil(census.instances.max(1));
    if census.owned > share {
        return BalanceStep::Release(census.owned - share);
    }
    let fewest_elsewhere = census.fewest_elsewhere.unwrap_or(usize::MAX);
    if census.free == 0 {
        let uneven = census.owned > fewest_elsewhere.saturating_add(1);
        return if uneven {
            BalanceStep::Release(1)
        } else {
            BalanceStep::Take(0)
        };
    }
    if census.owned <= fewest_elsewhere || census.free_before == FreeTargets::SeenBefore {
        BalanceStep::Take(census.free.min(share - census.owned))
    } else {
        BalanceStep::Take(0)
    }
}

/// The size of the server's lock table, which holds every lock, advisory or not. Any program's statement fails if it finds the
/// table full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LockCapacity {
    /// `max_locks_per_transaction`.
    pub(super) per_session: usize,
    /// `max_connections` and `max_prepared_transactions`.
    pub(super) sessions: usize,
}

/// One part in this many is left to the server's other users, and to the locks of our own statements.
const RESERVED_PART: usize = 4;

impl LockCapacity {
    /// How many targets all instances together may own.
    pub(super) fn room(self) -> usize {
        let whole = self.per_session.saturating_mul(self.sessions);
        whole - whole.div_ceil(RESERVED_PART)
    }

    /// The error text if the table has no room for this many targets.
    pub(super) fn capacity_error(self, targets: usize) -> Option<String> {
        if targets <= self.room() {
            return None;
        }
        let whole = targets
            .saturating_mul(RESERVED_PART)
            .div_ceil(RESERVED_PART - 1);
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

    /// Instances that renew their leases one after the other.
    struct Cluster {
        owned: Vec<usize>,
        free_before: Vec<FreeTargets>,
        wanted: usize,
    }

    impl Cluster {
        fn free(&self) -> usize {
            self.wanted - self.owned.iter().sum::<usize>()
        }

        /// Returns whether anything moved.
        fn renew(&mut self, at: usize) -> bool {
            let others = self.owned.iter().enumerate().filter(|(n, _)| *n != at);
            let census = LeaseCensus {
                wanted: self.wanted,
                free: self.free(),
                owned: self.owned[at],
                fewest_elsewhere: others.map(|(_, owned)| *owned).min(),
                instances: self.owned.len(),
                free_before: self.free_before[at],
            };
            self.free_before[at] = if census.free > 0 {
                FreeTargets::SeenBefore
            } else {
                FreeTargets::New
            };
            match balance(census) {
                BalanceStep::Take(count) => {
                    assert!(count <= self.free());
                    self.owned[at] += count;
                    count > 0
                }
                BalanceStep::Release(count) => {
                    self.owned[at] -= count;
                    true
                }
            }
        }

        fn renew_all(&mut self) -> bool {
            let moved: Vec<bool> = (0..self.owned.len()).map(|at| self.renew(at)).collect();
            moved.contains(&true)
        }
    }

    #[test]
    fn one_instance_takes_everything_at_once() {
        let mut cluster = Cluster {
            owned: vec![0],
            free_before: vec![FreeTargets::New],
            wanted: 1000,
        };
        cluster.renew_all();
        assert_eq!(cluster.owned, [1000]);
    }

    #[test]
    fn an_instance_that_joins_has_its_share_after_three_renewals() {
        let mut cluster = Cluster {
            owned: vec![30, 30, 0],
            free_before: vec![FreeTargets::New; 3],
            wanted: 60,
        };
        for _ in 0..3 {
            cluster.renew_all();
        }
        assert_eq!(cluster.owned, [20, 20, 20]);
    }

    proptest! {
        #[test]
        fn shares_become_equal_and_stay_so(
            owned in prop::collection::vec(0_usize..40, 1..8),
            extra in 0_usize..40,
        ) {
            let wanted = owned.iter().sum::<usize>() + extra;
            let mut cluster = Cluster {
                free_before: vec![FreeTargets::New; owned.len()],
                owned,
                wanted,
            };
            let mut renewals = 0;
            while cluster.renew_all() || cluster.free() > 0 {
                renewals += 1;
                prop_assert!(renewals < 100, "{:?} of {wanted}", cluster.owned);
            }
            let (least, most) = (cluster.owned.iter().min(), cluster.owned.iter().max());
            prop_assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{:?}", cluster.owned);
        }
    }

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
