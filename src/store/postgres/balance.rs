//! How many targets an instance should hold: pure arithmetic over what the lock table shows. Every instance does it for
//! itself; none tells another anything.

/// What one look at the lock table shows, counted in targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LeaseCensus {
    /// All that somebody should hold.
    pub(super) wanted: usize,
    /// Those of them that nobody holds.
    pub(super) free: usize,
    /// Those that we hold.
    pub(super) ours: usize,
    /// How many the poorest of the other instances holds; none: there is no other.
    pub(super) poorest_other: Option<usize>,
    /// Instances, this one included.
    pub(super) instances: usize,
    /// Whether there were free ones at the look before, too.
    pub(super) free_before: Seen,
}

/// Whether something was there before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is new.
    #[default]
    Now,
    /// It was there already.
    Before,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Take so many of the free ones; perhaps none.
    Take(usize),
    /// Let so many go, if they are idle.
    Release(usize),
}

/// The next step towards equal shares.
///
/// Nobody takes more than an equal share, rounded up. Who has more than that lets the rest go; who has two more than the
/// poorest lets one go at a time. The poorest take first, and the others only what has been left for a while: so what is let
/// go does not come back to who had it.
pub(super) fn step(census: LeaseCensus) -> Step {
    let share = census.wanted.div_ceil(census.instances.max(1));
    if census.ours > share {
        return Step::Release(census.ours - share);
    }
    let poorest_other = census.poorest_other.unwrap_or(usize::MAX);
    if census.free == 0 {
        let uneven = census.ours > poorest_other.saturating_add(1);
        return if uneven {
            Step::Release(1)
        } else {
            Step::Take(0)
        };
    }
    if census.ours <= poorest_other || census.free_before == Seen::Before {
        Step::Take(census.free.min(share - census.ours))
    } else {
        Step::Take(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Instances that look and step one after the other, in turns.
    struct Cluster {
        held: Vec<usize>,
        free_before: Vec<Seen>,
        wanted: usize,
    }

    impl Cluster {
        fn free(&self) -> usize {
            self.wanted - self.held.iter().sum::<usize>()
        }

        /// Returns whether anything moved.
        fn turn(&mut self, at: usize) -> bool {
            let others = self.held.iter().enumerate().filter(|(n, _)| *n != at);
            let census = LeaseCensus {
                wanted: self.wanted,
                free: self.free(),
                ours: self.held[at],
                poorest_other: others.map(|(_, held)| *held).min(),
                instances: self.held.len(),
                free_before: self.free_before[at],
            };
            self.free_before[at] = if census.free > 0 {
                Seen::Before
            } else {
                Seen::Now
            };
            match step(census) {
                Step::Take(count) => {
                    assert!(count <= self.free());
                    self.held[at] += count;
                    count > 0
                }
                Step::Release(count) => {
                    self.held[at] -= count;
                    true
                }
            }
        }

        fn round(&mut self) -> bool {
            let moved: Vec<bool> = (0..self.held.len()).map(|at| self.turn(at)).collect();
            moved.contains(&true)
        }
    }

    #[test]
    fn one_instance_takes_everything_at_once() {
        let mut cluster = Cluster {
            held: vec![0],
            free_before: vec![Seen::Now],
            wanted: 1000,
        };
        cluster.round();
        assert_eq!(cluster.held, [1000]);
    }

    #[test]
    fn one_that_joins_has_its_share_after_three_looks() {
        let mut cluster = Cluster {
            held: vec![30, 30, 0],
            free_before: vec![Seen::Now; 3],
            wanted: 60,
        };
        for _ in 0..3 {
            cluster.round();
        }
        assert_eq!(cluster.held, [20, 20, 20]);
    }

    proptest! {
        #[test]
        fn shares_become_equal_and_stay_so(
            held in prop::collection::vec(0_usize..40, 1..8),
            extra in 0_usize..40,
        ) {
            let wanted = held.iter().sum::<usize>() + extra;
            let mut cluster = Cluster {
                free_before: vec![Seen::Now; held.len()],
                held,
                wanted,
            };
            let mut rounds = 0;
            while cluster.round() || cluster.free() > 0 {
                rounds += 1;
                prop_assert!(rounds < 100, "{:?} of {wanted}", cluster.held);
            }
            let (least, most) = (cluster.held.iter().min(), cluster.held.iter().max());
            prop_assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{:?}", cluster.held);
        }
    }
}
