//! The difference between two lists of things that have keys.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// One step of a difference. Steps are applied in order, each to what the one before left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Diff<T> {
    /// A thing is new at an index.
    Insert {
        /// Where.
        index: usize,
        /// What.
        item: T,
    },
    /// The thing at an index changed.
    Update {
        /// Where.
        index: usize,
        /// What it is now.
        item: T,
    },
    /// The thing at an index is gone.
    Remove {
        /// Where.
        index: usize,
    },
}

impl<T> Diff<T> {
    /// Applies the step to a list. A step that does not fit the list changes nothing.
    pub fn apply(self, list: &mut Vec<T>) {
        match self {
            Self::Insert { index, item } if index <= list.len() => list.insert(index, item),
            Self::Update { index, item } if index < list.len() => list[index] = item,
            Self::Remove { index } if index < list.len() => {
                list.remove(index);
            }
            _ => {}
        }
    }
}

/// The steps from one list to another. No key may stand twice in a list.
///
/// A thing that changed its place among those that stay is removed and inserted.
pub(crate) fn difference<T, K>(old: &[T], new: &[T], key: impl Fn(&T) -> K) -> Vec<Diff<T>>
where
    T: Clone + PartialEq,
    K: Eq + Hash,
{
    let wanted: HashMap<K, usize> =
        new.iter().enumerate().map(|(at, item)| (key(item), at)).collect();
    let staying = longest_in_order(old.iter().map(|item| wanted.get(&key(item)).copied()));
    let mut steps = Vec::new();
    for index in (0..old.len()).rev() {
        if !staying.contains(&index) {
            steps.push(Diff::Remove { index });
        }
    }
    let mut left: Vec<usize> = staying.into_iter().collect();
    left.sort_unstable();
    let mut left = left.into_iter().peekable();
    for (index, item) in new.iter().enumerate() {
        match left.next_if(|at| key(&old[*at]) == key(item)) {
            Some(at) if old[at] == *item => {}
            Some(_) => steps.push(Diff::Update { index, item: item.clone() }),
            None => steps.push(Diff::Insert { index, item: item.clone() }),
        }
    }
    steps
}

/// The indices of a longest run of old things that stand in the same order in the new list.
fn longest_in_order(places: impl Iterator<Item = Option<usize>>) -> HashSet<usize> {
    let places: Vec<Option<usize>> = places.collect();
    // tails[n]: the index in the old list that ends the best run of n + 1 things.
    let mut tails: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = vec![None; places.len()];
    for (index, place) in places.iter().enumerate() {
        let Some(place) = place else { continue };
        let length = tails.partition_point(|tail| places[*tail].is_some_and(|at| at < *place));
        before[index] = length.checked_sub(1).map(|shorter| tails[shorter]);
        if length == tails.len() {
            tails.push(index);
        } else {
            tails[length] = index;
        }
    }
    let mut staying = HashSet::new();
    let mut next = tails.last().copied();
    while let Some(index) = next {
        staying.insert(index);
        next = before[index];
    }
    staying
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Thing = (u8, u8);

    fn apply(old: &[Thing], steps: Vec<Diff<Thing>>) -> Vec<Thing> {
        let mut list = old.to_vec();
        for step in steps {
            step.apply(&mut list);
        }
        list
    }

    #[test]
    fn what_stays_is_not_told() {
        let old = [(1, 0), (2, 0), (3, 0)];
        let new = [(1, 0), (3, 9), (4, 0)];
        assert_eq!(
            difference(&old, &new, |thing| thing.0),
            [
                Diff::Remove { index: 1 },
                Diff::Update { index: 1, item: (3, 9) },
                Diff::Insert { index: 2, item: (4, 0) },
            ]
        );
    }

    #[test]
    fn thing_that_moves_to_the_front_is_the_only_one_told() {
        let old = [(1, 0), (2, 0), (3, 0), (4, 0)];
        let new = [(4, 0), (1, 0), (2, 0), (3, 0)];
        assert_eq!(
            difference(&old, &new, |thing| thing.0),
            [Diff::Remove { index: 3 }, Diff::Insert { index: 0, item: (4, 0) }]
        );
    }

    fn list() -> impl Strategy<Value = Vec<Thing>> {
        prop::collection::hash_map(0u8..12, 0u8..3, 0..12)
            .prop_map(|things| things.into_iter().collect::<Vec<_>>())
            .prop_shuffle()
    }

    proptest! {
        #[test]
        fn steps_lead_from_any_list_to_any_other(old in list(), new in list()) {
            let steps = difference(&old, &new, |thing| thing.0);
            prop_assert_eq!(apply(&old, steps), new);
        }
    }
}
