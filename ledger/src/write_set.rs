//! Write sets: what one transaction wrote and removed, map by map.
//!
//! ```text
//! map section (ledger format, section 4):
//!   vec  map name (UTF-8)
//!   u64  read version     0
//!   u64  read count       0
//!   u64  write count,  then per write:  vec key, vec value
//!   u64  remove count, then per remove: vec key
//! ```

use std::collections::BTreeMap;

use crate::cursor::{Cursor, ReadError, put_vec};

/// Prefix of the names of public maps; every other map is private.
pub const PUBLIC_PREFIX: &str = "public:";

/// The key of a table with exactly one row: eight zero bytes ("key 0").
pub const SINGLE_KEY: [u8; 8] = [0; 8];

/// True when a map of this name is written in the clear.
#[must_use]
pub fn is_public(map: &str) -> bool {
    map.starts_with(PUBLIC_PREFIX)
}

/// The writes and removes of one transaction.
///
/// Maps are kept sorted by name and keys by bytes, which is the order on disk. Only the last operation on a key counts.
/// `B` is any container of bytes that orders as its bytes do (`Vec<u8>`, `Bytes`, `Arc<[u8]>`, `&[u8]`), so that a
/// store can hand its own values over without copying them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteSet<B = Vec<u8>> {
    maps: BTreeMap<String, MapWrites<B>>,
}

/// The operations on one map: key to new value, or to `None` for a remove.
pub type MapWrites<B = Vec<u8>> = BTreeMap<B, Option<B>>;

impl<B> Default for WriteSet<B> {
    fn default() -> Self {
        Self {
            maps: BTreeMap::new(),
        }
    }
}

impl<B: AsRef<[u8]> + Ord> WriteSet<B> {
    /// An empty write set. A transaction with an empty write set makes no entry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Records that `key` of `map` now holds `value`.
    pub fn put(&mut self, map: &str, key: impl Into<B>, value: impl Into<B>) {
        self.map_mut(map).insert(key.into(), Some(value.into()));
    }

    /// Records that `key` of `map` was removed.
    pub fn remove(&mut self, map: &str, key: impl Into<B>) {
        self.map_mut(map).insert(key.into(), None);
    }

    fn map_mut(&mut self, map: &str) -> &mut MapWrites<B> {
        self.maps.entry(map.to_owned()).or_default()
    }

    /// Takes all operations on one map at once.
    pub fn extend_map(&mut self, map: &str, operations: impl IntoIterator<Item = (B, Option<B>)>) {
        let mut operations = operations.into_iter().peekable();
        if operations.peek().is_some() {
            self.map_mut(map).extend(operations);
        }
    }

    /// True when nothing was written or removed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.maps.is_empty()
    }

    /// The maps touched, sorted by name.
    pub fn maps(&self) -> impl Iterator<Item = (&str, &MapWrites<B>)> {
        self.maps
            .iter()
            .map(|(name, writes)| (name.as_str(), writes))
    }

    /// The last operation on a key: `Some(None)` for a remove, `None` when the key was not touched.
    pub fn operation(&self, map: &str, key: &[u8]) -> Option<Option<&[u8]>> {
        let writes = self.maps.get(map)?;
        writes
            .iter()
            .find(|(k, _)| k.as_ref() == key)
            .map(|(_, v)| v.as_ref().map(AsRef::as_ref))
    }

    /// Appends the sections of the public maps, or of the private ones.
    pub(crate) fn encode_sections(&self, public: bool, out: &mut Vec<u8>) {
        for (name, operations) in self.maps().filter(|(name, _)| is_public(name) == public) {
            put_vec(out, name.as_bytes());
            out.extend_from_slice(&[0; 16]);
            let writes = operations.values().filter(|value| value.is_some()).count();
            out.extend_from_slice(&(writes as u64).to_le_bytes());
            for (key, value) in operations {
                if let Some(value) = value {
                    put_vec(out, key.as_ref());
                    put_vec(out, value.as_ref());
                }
            }
            out.extend_from_slice(&((operations.len() - writes) as u64).to_le_bytes());
            for (key, _) in operations.iter().filter(|(_, value)| value.is_none()) {
                put_vec(out, key.as_ref());
            }
        }
    }

    /// An upper bound that is close to the encoded size, so that one allocation is enough.
    pub(crate) fn encoded_size(&self) -> usize {
        let mut size = 0;
        for (name, operations) in self.maps() {
            size += 40 + name.len();
            for (key, value) in operations {
                size += 16 + key.as_ref().len() + value.as_ref().map_or(0, |v| v.as_ref().len());
            }
        }
        size
    }
}

impl<'a> WriteSet<&'a [u8]> {
    /// Adds sections as they were read.
    pub fn extend_sections(&mut self, sections: &[MapSection<'a>]) {
        for section in sections {
            let map = self.map_mut(section.name);
            map.extend(
                section
                    .writes
                    .iter()
                    .map(|(key, value)| (*key, Some(*value))),
            );
            map.extend(section.removes.iter().map(|key| (*key, None)));
        }
    }
}

/// One map section as it stands in an entry, in file order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSection<'a> {
    /// Name of the map.
    pub name: &'a str,
    /// Keys with their new values.
    pub writes: Vec<(&'a [u8], &'a [u8])>,
    /// Keys removed.
    pub removes: Vec<&'a [u8]>,
}

impl<'a> MapSection<'a> {
    /// The value written under `key`, if any.
    #[must_use]
    pub fn value(&self, key: &[u8]) -> Option<&'a [u8]> {
        self.writes
            .iter()
            .find(|(k, _)| *k == key)
            .map(|(_, value)| *value)
    }
}

/// A domain whose map sections do not parse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    /// A field runs past the end of the domain, or a name is not UTF-8.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A section counts reads, which are never recorded.
    #[error("map {map:?} records {got} reads")]
    Reads {
        /// Name of the map.
        map: String,
        /// Number of reads counted.
        got: u64,
    },
    /// The same map has two sections.
    #[error("map {map:?} occurs twice")]
    Twice {
        /// Name of the map.
        map: String,
    },
    /// A private map in the public domain, or the other way round.
    #[error("map {map:?} stands in the wrong domain")]
    WrongDomain {
        /// Name of the map.
        map: String,
    },
}

/// Reads the map sections of a public (`public == true`) or decrypted private domain, to its end.
///
/// # Errors
/// See [`SectionError`].
pub fn parse_sections(bytes: &[u8], public: bool) -> Result<Vec<MapSection<'_>>, SectionError> {
    let mut sections = Vec::new();
    visit_sections(bytes, public, &mut sections)?;
    Ok(sections)
}

/// What a walk over map sections shows, in file order.
pub(crate) trait VisitSections<'a> {
    /// A section begins.
    fn section(&mut self, name: &'a str);
    /// A row of it.
    fn write(&mut self, _key: &'a [u8], _value: &'a [u8]) {}
    /// A removed key of it.
    fn remove(&mut self, _key: &'a [u8]) {}
}

impl<'a> VisitSections<'a> for Vec<MapSection<'a>> {
    fn section(&mut self, name: &'a str) {
        self.push(MapSection {
            name,
            writes: Vec::new(),
            removes: Vec::new(),
        });
    }

    fn write(&mut self, key: &'a [u8], value: &'a [u8]) {
        if let Some(section) = self.last_mut() {
            section.writes.push((key, value));
        }
    }

    fn remove(&mut self, key: &'a [u8]) {
        if let Some(section) = self.last_mut() {
            section.removes.push(key);
        }
    }
}

/// Checks the map sections of a domain to its end and shows them as they come, without keeping any.
pub(crate) fn visit_sections<'a>(
    bytes: &'a [u8],
    public: bool,
    visitor: &mut impl VisitSections<'a>,
) -> Result<(), SectionError> {
    let mut cursor = Cursor::new(bytes);
    let mut before: Option<&str> = None;
    // Writers sort by name, so that one comparison each settles nearly every entry.
    let mut sorted = true;
    while !cursor.is_empty() {
        let name = cursor.name()?;
        if is_public(name) != public {
            return Err(SectionError::WrongDomain {
                map: name.to_owned(),
            });
        }
        let _read_version = cursor.u64()?;
        let reads = cursor.u64()?;
        if reads != 0 {
            return Err(SectionError::Reads {
                map: name.to_owned(),
                got: reads,
            });
        }
        visitor.section(name);
        for _ in 0..cursor.u64()? {
            visitor.write(cursor.vec()?, cursor.vec()?);
        }
        for _ in 0..cursor.u64()? {
            visitor.remove(cursor.vec()?);
        }
        sorted &= before.is_none_or(|before| before < name);
        before = Some(name);
    }
    if sorted {
        return Ok(());
    }
    reject_twice(names(bytes)?)
}

/// The names of sections that have been found well-formed.
fn names(bytes: &[u8]) -> Result<Vec<&str>, SectionError> {
    let mut cursor = Cursor::new(bytes);
    let mut names = Vec::new();
    while !cursor.is_empty() {
        names.push(cursor.name()?);
        cursor.take(16)?;
        for _ in 0..cursor.u64()? {
            cursor.vec()?;
            cursor.vec()?;
        }
        for _ in 0..cursor.u64()? {
            cursor.vec()?;
        }
    }
    Ok(names)
}

fn reject_twice(mut names: Vec<&str>) -> Result<(), SectionError> {
    names.sort_unstable();
    for pair in names.windows(2) {
        if let [a, b] = pair
            && a == b
        {
            return Err(SectionError::Twice {
                map: (*a).to_owned(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(set: &WriteSet, public: bool) -> Vec<u8> {
        let mut out = Vec::new();
        set.encode_sections(public, &mut out);
        out
    }

    #[test]
    fn sections_are_sorted_and_split_by_name() {
        let mut set = WriteSet::new();
        set.put("records", "k", "secret");
        set.put("public:b", "2", "two");
        set.put("public:b", "1", "one");
        set.put("public:b", "1", "uno");
        set.remove("public:a", "gone");
        let bytes = encoded(&set, true);
        let sections = parse_sections(&bytes, true).unwrap();
        assert_eq!(
            sections.iter().map(|s| s.name).collect::<Vec<_>>(),
            ["public:a", "public:b"]
        );
        assert_eq!(sections[0].removes, [b"gone"]);
        assert_eq!(
            sections[1].writes,
            [(&b"1"[..], &b"uno"[..]), (b"2", b"two")]
        );
        let private = encoded(&set, false);
        assert_eq!(parse_sections(&private, false).unwrap()[0].name, "records");
        assert!(matches!(
            parse_sections(&private, true),
            Err(SectionError::WrongDomain { .. })
        ));
    }

    #[test]
    fn a_map_that_occurs_twice_is_refused() {
        let mut set = WriteSet::new();
        set.put("public:a", "k", "v");
        let one = encoded(&set, true);
        assert!(matches!(
            parse_sections(&[&one[..], &one].concat(), true),
            Err(SectionError::Twice { .. })
        ));
    }

    #[test]
    fn counted_reads_are_refused() {
        let mut set = WriteSet::new();
        set.put("public:a", "k", "v");
        let mut bytes = encoded(&set, true);
        bytes[8 + 8 + 8] = 1;
        assert!(matches!(
            parse_sections(&bytes, true),
            Err(SectionError::Reads { got: 1, .. })
        ));
    }
}
