//! Which of the tasks in flight a poll has seen: a bit each, so that a million of them weigh nothing. Pure.

use std::collections::HashMap;

use crate::domain::model::TaskRowId;

/// Bits in a block: neighbours in a list have neighbouring numbers.
const BLOCK: u64 = 512;

/// A set of task numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct SeenTasks {
    blocks: HashMap<u64, [u64; 8]>,
}

impl SeenTasks {
    pub(super) fn insert(&mut self, number: TaskRowId) {
        let block = self.blocks.entry(number.0 / BLOCK).or_default();
        if let Some(word) = block.get_mut(word(number)) {
            *word |= bit(number);
        }
    }

    pub(super) fn contains(&self, number: TaskRowId) -> bool {
        let block = self.blocks.get(&(number.0 / BLOCK));
        block
            .and_then(|block| block.get(word(number)))
            .is_some_and(|word| word & bit(number) != 0)
    }
}

fn word(number: TaskRowId) -> usize {
    usize::try_from(number.0 % BLOCK / 64).unwrap_or_default()
}

fn bit(number: TaskRowId) -> u64 {
    1 << (number.0 % 64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_was_put_in_and_nothing_else(
            numbers in prop::collection::btree_set(prop_oneof![0u64..2000, any::<u64>()], 0..200),
        ) {
            let mut seen = SeenTasks::default();
            for number in &numbers {
                seen.insert(TaskRowId(*number));
            }
            let near: BTreeSet<u64> = numbers
                .iter()
                .flat_map(|number| [1, 64, 512].map(|step| number.wrapping_add(step)))
                .chain(numbers.iter().copied())
                .collect();
            for number in near {
                prop_assert_eq!(seen.contains(TaskRowId(number)), numbers.contains(&number));
            }
        }
    }
}
