//! What a transaction wrote, and comparing it with what it should have written.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use ledger::{Entry, PublicKey};
use serde_json::Value;

use super::draft::Draft;
use super::effects::{Certificate, Effect, certificate_token};
use super::names::{COMPILED, PROPOSALS, PROPOSALS_INFO, SERVICE_INFO, TOKEN_TABLES, is_framework};
use super::rule::{Breach, Rule};
use crate::tables::Tables;

/// The public writes of a transaction by table and key; `None` for a remove.
pub(super) struct Actual<'a> {
    writes: BTreeMap<(&'a str, &'a [u8]), Option<&'a [u8]>>,
}

impl<'a> Actual<'a> {
    pub(super) fn of(entry: &Entry<'a>) -> Self {
        let mut writes = BTreeMap::new();
        for section in &entry.sections {
            for (key, value) in &section.writes {
                writes.insert((section.name, *key), Some(*value));
            }
            for key in &section.removes {
                writes.insert((section.name, *key), None);
            }
        }
        Self { writes }
    }

    /// Names of the tables touched.
    pub(super) fn tables(&self) -> BTreeSet<&'a str> {
        self.writes.keys().map(|(table, _)| *table).collect()
    }

    /// Whether a table was touched.
    pub(super) fn touches(&self, table: &str) -> bool {
        self.writes.keys().any(|(name, _)| *name == table)
    }

    /// The writes to one table.
    pub(super) fn rows(&self, table: &str) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        self.writes
            .iter()
            .filter(move |((name, _), _)| *name == table)
            .map(|((_, key), value)| (*key, *value))
    }

    /// The value written under a key.
    pub(super) fn value(&self, table: &str, key: &[u8]) -> Option<&'a [u8]> {
        self.writes.get(&(table, key)).copied().flatten()
    }

    /// The one key written in a table, with its value.
    pub(super) fn one(&self, table: &str) -> Option<(&'a [u8], Option<&'a [u8]>)> {
        let mut rows = self.rows(table);
        rows.next().filter(|_| rows.next().is_none())
    }

    /// Nothing but these tables is touched.
    pub(super) fn only(&self, allowed: &[&str], rule: Rule) -> Result<(), Breach> {
        match self.tables().iter().find(|table| !allowed.contains(table)) {
            Some(table) => Err(rule.broken(format!("a write to {table}"), allowed.join(", "))),
            None => Ok(()),
        }
    }
}

/// What else may stand in a transaction than its draft says.
pub(super) struct Allowed<'e> {
    /// What only the service makes.
    pub(super) effects: &'e [Effect],
    /// Certificates that the service makes, by the tokens that stand for them in the draft.
    pub(super) certificates: &'e [Certificate],
    /// Whether a proposal was applied.
    pub(super) applied: bool,
    /// Whether token keys were set in the tables of an older version.
    pub(super) old_token_keys: bool,
    /// When scripts ran here, in milliseconds since 1970. A number from this range that they wrote is the time, which was
    /// another when the service ran them.
    pub(super) clock: RangeInclusive<u64>,
}

/// Compares all writes but those under `checked`, which was looked at already. True when something was written that cannot be
/// compared.
pub(super) fn compare(
    actual: &Actual<'_>,
    draft: &Draft<'_>,
    allowed: &Allowed<'_>,
    checked: (&str, &[u8]),
) -> Result<bool, Breach> {
    let wanted = draft.effective();
    let mut uncompared = false;
    for (place, value) in &actual.writes {
        let (table, key) = *place;
        if *place == checked || allowed.makes(table) {
            continue;
        }
        let compiled = allowed.applied && COMPILED.contains(&table);
        if compiled || (allowed.old_token_keys && TOKEN_TABLES.contains(&table)) {
            uncompared = true;
            continue;
        }
        match wanted.get(place) {
            Some(want) if same(*want, *value, allowed, table) => {}
            Some(_) => return Err(differs(draft, place, *value, allowed.applied)),
            // Removing what was not there changes nothing; rows of applications are not followed.
            None if value.is_none() && draft.before().row(table, key).is_none() => {
                if !is_framework(table) && !draft.removes(table, key) {
                    return Err(differs(draft, place, *value, allowed.applied));
                }
            }
            None => return Err(differs(draft, place, *value, allowed.applied)),
        }
    }
    for (place, want) in &wanted {
        if *place != checked && !allowed.makes(place.0) && !actual.writes.contains_key(place) {
            let rule = rule_of(place.0, want.is_none(), allowed.applied);
            return Err(rule.broken("nothing", describe(place, *want)));
        }
    }
    for effect in allowed.effects {
        effect.check(actual, draft)?;
    }
    for certificate in allowed.certificates {
        certificate.check(actual, draft)?;
    }
    Ok(uncompared)
}

impl Allowed<'_> {
    fn makes(&self, table: &str) -> bool {
        self.effects.iter().any(|effect| effect.makes(table))
    }
}

/// A write that is not the one that should stand there.
fn differs(
    draft: &Draft<'_>,
    place: &(&str, &[u8]),
    value: Option<&[u8]>,
    applied: bool,
) -> Breach {
    let want = draft.effective().get(place).copied();
    let rule = rule_of(place.0, value.is_none(), applied);
    if let (Some(Some(want)), Some(value)) = (want, value)
        && let (Ok(want), Ok(value)) = (serde_json::from_slice(want), serde_json::from_slice(value))
    {
        let (path, got, want) = first_difference(&value, &want, String::new());
        let show = |value: &Value| describe(place, Some(value.to_string().as_bytes()));
        return rule.broken(show(got) + &path, show(want) + &path);
    }
    let want = want.map_or_else(
        || "nothing written there".to_owned(),
        |want| describe(place, want),
    );
    rule.broken(describe(place, value), want)
}

/// The innermost part in which two values differ first, and where it is.
fn first_difference<'v>(
    got: &'v Value,
    want: &'v Value,
    path: String,
) -> (String, &'v Value, &'v Value) {
    if let (Value::Object(left), Value::Object(right)) = (got, want)
        && left.keys().eq(right.keys())
    {
        for (name, value) in left {
            if let Some(other) = right.get(name).filter(|other| *other != value) {
                return first_difference(value, other, format!("{path} in {name}"));
            }
        }
    }
    (path, got, want)
}

/// Which rule a write to a table breaks.
fn rule_of(table: &str, removed: bool, applied: bool) -> Rule {
    match table {
        super::names::COSE_HISTORY => Rule::Envelope,
        super::names::COSE_RECENT_PROPOSALS => Rule::Replay,
        PROPOSALS | PROPOSALS_INFO if removed || !applied => Rule::Pruning,
        _ if applied => Rule::Apply,
        _ => Rule::Unexplained,
    }
}

fn describe((table, key): &(&str, &[u8]), value: Option<&[u8]>) -> String {
    const MOST: usize = 200;
    let key = match std::str::from_utf8(key) {
        Ok(text) if text.chars().all(|c| !c.is_control()) => text.to_owned(),
        _ => hex(key),
    };
    let value = value.map_or_else(
        || "removed".to_owned(),
        |value| {
            let text = String::from_utf8_lossy(value);
            let cut: String = text.chars().take(MOST).collect();
            if cut.len() < text.len() {
                cut + "..."
            } else {
                cut
            }
        },
    );
    format!("{table}[{key}] = {value}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Equal bytes, or equal JSON; a token of a certificate stands for any text.
fn same(want: Option<&[u8]>, got: Option<&[u8]>, allowed: &Allowed<'_>, table: &str) -> bool {
    let (Some(want), Some(got)) = (want, got) else {
        return want == got;
    };
    if want == got {
        return true;
    }
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    match (json(want), json(got)) {
        (Some(mut want), Some(mut got)) => {
            if table == SERVICE_INFO {
                // Up to CCF 6.0 this changes with every write of the row.
                for value in [&mut want, &mut got] {
                    if let Some(row) = value.as_object_mut() {
                        row.remove("previous_service_identity_version");
                    }
                }
            }
            same_json(&want, &got, allowed)
        }
        _ => match (std::str::from_utf8(want), std::str::from_utf8(got)) {
            (Ok(want), Ok(got)) => same_text(want, got, allowed),
            _ => false,
        },
    }
}

fn same_json(want: &Value, got: &Value, allowed: &Allowed<'_>) -> bool {
    match (want, got) {
        (Value::String(want), Value::String(got)) => same_text(want, got, allowed),
        (Value::Number(want), Value::Number(got)) => {
            let time = want
                .as_u64()
                .is_some_and(|want| allowed.clock.contains(&want));
            want == got || (time && got.is_u64())
        }
        (Value::Array(want), Value::Array(got)) => {
            let mut pairs = want.iter().zip(got);
            want.len() == got.len() && pairs.all(|(want, got)| same_json(want, got, allowed))
        }
        (Value::Object(want), Value::Object(got)) => {
            let same = |(name, want)| {
                got.get(name)
                    .is_some_and(|got| same_json(want, got, allowed))
            };
            want.len() == got.len() && want.iter().all(same)
        }
        _ => want == got,
    }
}

fn same_text(want: &str, got: &str, allowed: &Allowed<'_>) -> bool {
    let mut certificates = allowed.certificates.iter().enumerate();
    want == got
        || certificates.any(|(number, certificate)| {
            want == certificate_token(number) && certificate.found(got)
        })
}

/// The service's key as its information says.
pub(super) fn service_key(tables: &Tables) -> Option<PublicKey> {
    let info: super::names::ServiceInfo =
        super::names::only(tables, SERVICE_INFO, Rule::Made).ok()??;
    PublicKey::of_certificate(&info.cert).ok()
}
