//! A bounded map from digests to values that never change.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Keeps the most recently used values.
///
/// Only results that depend on nothing but the bytes under the digest, and on trust anchors that are fixed for the life of the
/// cache, may be put in. Only successes are: a stranger cannot fill it without genuine evidence.
#[derive(Debug)]
pub(crate) struct Cache<V> {
    capacity: usize,
    state: Mutex<State<V>>,
}

#[derive(Debug)]
struct State<V> {
    tick: u64,
    entries: HashMap<[u8; 32], (u64, V)>,
}

impl<V: Clone> Cache<V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::new(State {
                tick: 0,
                entries: HashMap::new(),
            }),
        }
    }

    pub(crate) fn get(&self, key: &[u8; 32]) -> Option<V> {
        let mut state = self.lock();
        state.tick += 1;
        let tick = state.tick;
        let (used, value) = state.entries.get_mut(key)?;
        *used = tick;
        Some(value.clone())
    }

    pub(crate) fn put(&self, key: [u8; 32], value: V) {
        if self.capacity == 0 {
            return;
        }
        let mut state = self.lock();
        state.tick += 1;
        let tick = state.tick;
        if state.entries.len() >= self.capacity && !state.entries.contains_key(&key) {
            // A scan, but only on a miss, which has just cost a signature verification.
            if let Some(oldest) = state
                .entries
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(key, _)| *key)
            {
                state.entries.remove(&oldest);
            }
        }
        state.entries.insert(key, (tick, value));
    }

    /// No code that holds the lock can leave the map half changed, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_value_goes_first() {
        let cache = Cache::new(2);
        cache.put([1; 32], 1);
        cache.put([2; 32], 2);
        assert_eq!(cache.get(&[1; 32]), Some(1));
        cache.put([3; 32], 3);
        assert_eq!(
            (
                cache.get(&[1; 32]),
                cache.get(&[2; 32]),
                cache.get(&[3; 32])
            ),
            (Some(1), None, Some(3))
        );
    }
}
