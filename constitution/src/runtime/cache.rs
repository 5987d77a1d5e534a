//! Reads remembered within one call, so that a constitution that looks at a table again pays no round trip.

use std::collections::{BTreeMap, HashMap};

use crate::host::{Answer, Ask, Bridge};

/// Remembered single keys; a script that reads more starts over, so its host's memory stays bounded.
const MAX_KEYS: usize = 4096;

pub(crate) struct Cache {
    bridge: Box<dyn Bridge>,
    tables: HashMap<String, BTreeMap<Vec<u8>, Vec<u8>>>,
    keys: HashMap<(String, Vec<u8>), Option<Vec<u8>>>,
}

impl Cache {
    pub(crate) fn new(bridge: Box<dyn Bridge>) -> Self {
        Self {
            bridge,
            tables: HashMap::new(),
            keys: HashMap::new(),
        }
    }

    pub(crate) fn ask(&mut self, ask: Ask) -> Option<Answer> {
        match ask {
            Ask::Get(table, key) => self.get(table, key).map(Answer::Value),
            Ask::Has(table, key) => self
                .get(table, key)
                .map(|value| Answer::Flag(value.is_some())),
            Ask::Entries(table) => self.entries(table),
            Ask::Size(table) => match self.tables.get(&table) {
                Some(entries) => Some(Answer::Number(u64::try_from(entries.len()).ok())),
                None => self.bridge.ask(Ask::Size(table)),
            },
            Ask::Put(table, key, value) => {
                self.note(&table, &key, Some(value.clone()));
                self.bridge.ask(Ask::Put(table, key, value))
            }
            Ask::Remove(table, key) => {
                self.note(&table, &key, None);
                self.bridge.ask(Ask::Remove(table, key))
            }
            Ask::Clear(table) => {
                self.keys.retain(|(t, _), _| *t != table);
                self.tables.insert(table.clone(), BTreeMap::new());
                self.bridge.ask(Ask::Clear(table))
            }
            Ask::Effect(effect) => {
                // An effect may write any table.
                self.tables.clear();
                self.keys.clear();
                self.bridge.ask(Ask::Effect(effect))
            }
            other => self.bridge.ask(other),
        }
    }

    fn get(&mut self, table: String, key: Vec<u8>) -> Option<Option<Vec<u8>>> {
        if let Some(entries) = self.tables.get(&table) {
            return Some(entries.get(&key).cloned());
        }
        let place = (table, key);
        if let Some(value) = self.keys.get(&place) {
            return Some(value.clone());
        }
        match self
            .bridge
            .ask(Ask::Get(place.0.clone(), place.1.clone()))?
        {
            Answer::Value(value) => {
                if self.keys.len() >= MAX_KEYS {
                    self.keys.clear();
                }
                self.keys.insert(place, value.clone());
                Some(value)
            }
            _ => None,
        }
    }

    fn entries(&mut self, table: String) -> Option<Answer> {
        if let Some(entries) = self.tables.get(&table) {
            let copy = entries.iter().map(|(k, v)| (k.clone(), v.clone()));
            return Some(Answer::Entries(copy.collect()));
        }
        let answer = self.bridge.ask(Ask::Entries(table.clone()))?;
        if let Answer::Entries(entries) = &answer {
            self.tables.insert(table, entries.iter().cloned().collect());
        }
        Some(answer)
    }

    fn note(&mut self, table: &str, key: &[u8], value: Option<Vec<u8>>) {
        if let Some(entries) = self.tables.get_mut(table) {
            match value {
                Some(value) => entries.insert(key.to_vec(), value),
                None => entries.remove(key),
            };
        } else if self.keys.len() < MAX_KEYS {
            self.keys.insert((table.to_owned(), key.to_vec()), value);
        } else {
            self.keys.remove(&(table.to_owned(), key.to_vec()));
        }
    }
}
