//! The rows of a table: an ordered map that shares everything with the versions before it.
//!
//! A tree balanced by weight: of two siblings neither is more than [`DELTA`] times as heavy as the other, where the weight of
//! a tree is the number of its rows and one (S. Adams, *Implementing Sets Efficiently in a Functional Language*, 1992; the
//! parameters as proven by Y. Hirai and K. Yamamoto, *Balancing Weight-Balanced Trees*, 2011). A change copies the path
//! to one row, and only what another version still holds. Rows that come in order are built into a tree without comparing.

use std::cmp::Ordering;
use std::ops::Bound;
use std::sync::Arc;

use super::state::Bytes;

/// How much heavier than its sibling a tree may be.
const DELTA: usize = 3;

/// A heavy tree is put right with one rotation while its inner child is less than so many times as heavy as the outer one.
const RATIO: usize = 2;

/// Rows by key.
#[derive(Clone)]
pub(super) struct Rows<V> {
    root: Tree<V>,
}

type Tree<V> = Option<Arc<Node<V>>>;

#[derive(Clone)]
struct Node<V> {
    key: Bytes,
    value: V,
    /// Rows in this tree.
    size: usize,
    left: Tree<V>,
    right: Tree<V>,
}

/// Rows in ascending order.
pub(super) struct Range<'a, V> {
    /// What is still to come: these rows, each with what is right of it, the last first.
    ahead: Vec<&'a Node<V>>,
    to: Bound<&'a [u8]>,
}

impl<V> Default for Rows<V> {
    fn default() -> Self {
        Self { root: None }
    }
}

impl<V: Clone> Rows<V> {
    /// Rows that are in ascending order of their keys, each key once.
    pub(super) fn from_sorted(mut rows: impl ExactSizeIterator<Item = (Bytes, V)>) -> Self {
        let size = rows.len();
        Self {
            root: build(&mut rows, size),
        }
    }

    pub(super) fn len(&self) -> usize {
        size(&self.root)
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&V> {
        let mut tree = self.root.as_deref();
        while let Some(node) = tree {
            tree = match key.cmp(&node.key) {
                Ordering::Less => node.left.as_deref(),
                Ordering::Equal => return Some(&node.value),
                Ordering::Greater => node.right.as_deref(),
            };
        }
        None
    }

    pub(super) fn insert(&mut self, key: Bytes, value: V) {
        insert(&mut self.root, key, value);
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        // Nothing is copied for a key that is not there.
        if self.get(key).is_some() {
            remove(&mut self.root, key);
        }
    }

    pub(super) fn iter(&self) -> Range<'_, V> {
        self.range(Bound::Unbounded, Bound::Unbounded)
    }

    /// The rows between two keys; none when they are in the wrong order.
    pub(super) fn range<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&'a [u8]>) -> Range<'a, V> {
        let mut range = Range {
            ahead: Vec::new(),
            to,
        };
        let mut tree = self.root.as_deref();
        while let Some(node) = tree {
            let within = match from {
                Bound::Included(from) => *node.key >= *from,
                Bound::Excluded(from) => *node.key > *from,
                Bound::Unbounded => true,
            };
            if within {
                range.ahead.push(node);
                tree = node.left.as_deref();
            } else {
                tree = node.right.as_deref();
            }
        }
        range
    }
}

impl<'a, V> Iterator for Range<'a, V> {
    type Item = (&'a Bytes, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        let node = self.ahead.pop()?;
        let within = match self.to {
            Bound::Included(to) => *node.key <= *to,
            Bound::Excluded(to) => *node.key < *to,
            Bound::Unbounded => true,
        };
        if !within {
            self.ahead.clear();
            return None;
        }
        let mut tree = node.right.as_deref();
        while let Some(inner) = tree {
            self.ahead.push(inner);
            tree = inner.left.as_deref();
        }
        Some((&node.key, &node.value))
    }
}

impl<V> Node<V> {
    const fn new(key: Bytes, value: V) -> Self {
        Self {
            key,
            value,
            size: 1,
            left: None,
            right: None,
        }
    }
}

impl<V: Clone> Node<V> {
    fn measure(&mut self) {
        self.size = size(&self.left) + 1 + size(&self.right);
    }

    /// Measures, and balances after one row more or less on either side.
    fn balance(&mut self) {
        let (left, right) = (weight(&self.left), weight(&self.right));
        if right > DELTA * left {
            if let Some(child) = &mut self.right
                && weight(&child.left) >= RATIO * weight(&child.right)
            {
                Arc::make_mut(child).rotate_right();
            }
            self.rotate_left();
        } else if left > DELTA * right {
            if let Some(child) = &mut self.left
                && weight(&child.right) >= RATIO * weight(&child.left)
            {
                Arc::make_mut(child).rotate_left();
            }
            self.rotate_right();
        } else {
            self.measure();
        }
    }

    /// The right child takes the place of this node, which becomes its left child.
    fn rotate_left(&mut self) {
        let Some(mut child) = self.right.take() else {
            return;
        };
        let node = Arc::make_mut(&mut child);
        std::mem::swap(self, node);
        node.right = self.left.take();
        node.measure();
        self.left = Some(child);
        self.measure();
    }

    /// The left child takes the place of this node, which becomes its right child.
    fn rotate_right(&mut self) {
        let Some(mut child) = self.left.take() else {
            return;
        };
        let node = Arc::make_mut(&mut child);
        std::mem::swap(self, node);
        node.left = self.right.take();
        node.measure();
        self.right = Some(child);
        self.measure();
    }
}

fn size<V>(tree: &Tree<V>) -> usize {
    tree.as_ref().map_or(0, |node| node.size)
}

fn weight<V>(tree: &Tree<V>) -> usize {
    size(tree) + 1
}

/// A tree of the next `size` rows.
fn build<V>(rows: &mut impl Iterator<Item = (Bytes, V)>, size: usize) -> Tree<V> {
    let before = size.checked_sub(1)? / 2;
    let left = build(rows, before);
    let (key, value) = rows.next()?;
    let right = build(rows, size - 1 - before);
    Some(Arc::new(Node {
        key,
        value,
        size,
        left,
        right,
    }))
}

/// Whether the key is new.
fn insert<V: Clone>(tree: &mut Tree<V>, key: Bytes, value: V) -> bool {
    let Some(node) = tree else {
        *tree = Some(Arc::new(Node::new(key, value)));
        return true;
    };
    let node = Arc::make_mut(node);
    let new = match key.cmp(&node.key) {
        Ordering::Less => insert(&mut node.left, key, value),
        Ordering::Greater => insert(&mut node.right, key, value),
        Ordering::Equal => {
            node.value = value;
            false
        }
    };
    if new {
        node.balance();
    }
    new
}

/// Removes a key that is there.
fn remove<V: Clone>(tree: &mut Tree<V>, key: &[u8]) {
    let Some(shared) = tree else { return };
    match key.cmp(&shared.key) {
        Ordering::Less => {
            let node = Arc::make_mut(shared);
            remove(&mut node.left, key);
            node.balance();
        }
        Ordering::Greater => {
            let node = Arc::make_mut(shared);
            remove(&mut node.right, key);
            node.balance();
        }
        Ordering::Equal if shared.left.is_none() => *tree = shared.right.clone(),
        Ordering::Equal if shared.right.is_none() => *tree = shared.left.clone(),
        Ordering::Equal => {
            let node = Arc::make_mut(shared);
            // The neighbour from the heavier side takes its place.
            let neighbour = if size(&node.left) > size(&node.right) {
                take_last(&mut node.left)
            } else {
                take_first(&mut node.right)
            };
            if let Some((key, value)) = neighbour {
                (node.key, node.value) = (key, value);
            }
            node.balance();
        }
    }
}

fn take_first<V: Clone>(tree: &mut Tree<V>) -> Option<(Bytes, V)> {
    let shared = tree.as_mut()?;
    if shared.left.is_none() {
        let first = (Arc::clone(&shared.key), shared.value.clone());
        *tree = shared.right.clone();
        return Some(first);
    }
    let node = Arc::make_mut(shared);
    let first = take_first(&mut node.left);
    node.balance();
    first
}

fn take_last<V: Clone>(tree: &mut Tree<V>) -> Option<(Bytes, V)> {
    let shared = tree.as_mut()?;
    if shared.right.is_none() {
        let last = (Arc::clone(&shared.key), shared.value.clone());
        *tree = shared.left.clone();
        return Some(last);
    }
    let node = Arc::make_mut(shared);
    let last = take_last(&mut node.right);
    node.balance();
    last
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Numbers that look random, the same each time (Marsaglia's xorshift).
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % limit
        }
    }

    /// Keys of several lengths, so that some are prefixes of others.
    fn key(n: u64) -> Bytes {
        let bytes = n.to_be_bytes();
        Arc::from(&bytes[4 + (n % 3) as usize..])
    }

    fn pairs(rows: &Rows<u64>) -> Vec<(Bytes, u64)> {
        let pairs = rows.iter().map(|(key, value)| (Arc::clone(key), *value));
        pairs.collect()
    }

    /// Order, sizes and weights hold everywhere; gives the size.
    fn checked(tree: &Tree<u64>) -> usize {
        let Some(node) = tree else { return 0 };
        let (left, right) = (checked(&node.left), checked(&node.right));
        assert_eq!(node.size, left + 1 + right);
        let (lighter, heavier) = (left.min(right) + 1, left.max(right) + 1);
        assert!(heavier <= DELTA * lighter, "{left} beside {right}");
        assert!(node.left.as_ref().is_none_or(|left| left.key < node.key));
        assert!(node.right.as_ref().is_none_or(|right| right.key > node.key));
        node.size
    }

    #[test]
    fn rows_are_those_of_an_ordered_map_and_older_versions_keep_theirs() {
        for seed in 1..=20 {
            let mut numbers = Numbers(seed * 0x9e37_79b9);
            // Few keys are often hit again, many let the tree grow.
            let keys = [12, 200, 5_000][seed as usize % 3];
            let (mut rows, mut model) = (Rows::default(), BTreeMap::new());
            let mut kept = Vec::new();
            for n in 0..2_000 {
                let key = key(numbers.below(keys));
                if numbers.below(5) < 2 {
                    rows.remove(&key);
                    model.remove(&key);
                } else {
                    rows.insert(Arc::clone(&key), n);
                    model.insert(key, n);
                }
                assert_eq!(rows.len(), model.len());
                if n % 97 == 0 {
                    assert_eq!(checked(&rows.root), model.len());
                    kept.push((rows.clone(), model.clone()));
                }
            }
            for (rows, model) in kept {
                assert_eq!(pairs(&rows), model.clone().into_iter().collect::<Vec<_>>());
                for n in 0..keys.min(300) {
                    assert_eq!(rows.get(&key(n)), model.get(&key(n)));
                }
            }
        }
    }

    #[test]
    fn ranges_are_those_of_an_ordered_map() {
        use Bound::{Excluded, Included, Unbounded};
        let mut numbers = Numbers(7);
        let mut model = BTreeMap::new();
        for n in 0..300 {
            model.insert(key(numbers.below(1_000)), n);
        }
        let rows = Rows::from_sorted(model.clone().into_iter().collect::<Vec<_>>().into_iter());
        for _ in 0..2_000 {
            let (a, b) = (key(numbers.below(1_000)), key(numbers.below(1_000)));
            let (a, b) = (a.as_ref(), b.as_ref());
            let bounds = [Included(a), Excluded(a), Unbounded][numbers.below(3) as usize];
            let to = [Included(b), Excluded(b), Unbounded][numbers.below(3) as usize];
            let found: Vec<_> = rows.range(bounds, to).map(|(key, v)| (key, *v)).collect();
            let want = model.iter().filter(|(key, _)| {
                let key: &[u8] = key;
                let from = match bounds {
                    Included(from) => key >= from,
                    Excluded(from) => key > from,
                    Unbounded => true,
                };
                from && match to {
                    Included(to) => key <= to,
                    Excluded(to) => key < to,
                    Unbounded => true,
                }
            });
            assert_eq!(found, want.map(|(key, v)| (key, *v)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn sorted_rows_are_built_into_a_balanced_tree() {
        for size in (0..70).chain([1_000, 4_095, 4_096, 4_097]) {
            let sorted = (0..size).map(|n: usize| (Bytes::from(n.to_be_bytes()), n as u64));
            let rows = Rows::from_sorted(sorted.clone());
            assert_eq!(checked(&rows.root), size);
            assert!(pairs(&rows).into_iter().eq(sorted));
        }
    }

    #[test]
    fn keys_in_order_and_against_it_leave_a_balanced_tree_as_they_come_and_go() {
        let key = |n: u64| Bytes::from(n.to_be_bytes());
        for descending in [false, true] {
            let order = |n: u64| if descending { 999 - n } else { n };
            let mut rows = Rows::default();
            for n in 0..1_000 {
                rows.insert(key(order(n)), n);
                checked(&rows.root);
            }
            for n in 0..1_000 {
                rows.remove(&key(order(n)));
                assert_eq!(checked(&rows.root), 999 - n as usize);
            }
        }
    }
}
