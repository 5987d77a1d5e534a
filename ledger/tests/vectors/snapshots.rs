//! Real snapshots: read, verified, encoded again, and built from the ledger alone.

use std::collections::BTreeMap;

use ledger::{
    Entries, Entry, Frontier, LedgerVerifier, PublicKey, SIGNATURES_MAP, Seqno, Snapshot,
    SnapshotMap, SnapshotPoint, Trust, Walk, encode_snapshot, open_snapshot, parse_sections,
    snapshot_maps,
};

use crate::real::{Ledger, each};

fn service_of(ledger: &Ledger) -> PublicKey {
    PublicKey::of_certificate(&ledger.service_certificate()).unwrap()
}

#[test]
fn snapshots_verify_and_encode_to_their_bytes() {
    each(
        "snapshots_verify_and_encode_to_their_bytes",
        |name, ledger| {
            let secrets = ledger.secrets();
            for file in ledger.snapshots() {
                let snapshot = Snapshot::read(&file).unwrap();
                let start = Snapshot::verify(&file, &service_of(ledger))
                    .unwrap()
                    .start();
                assert_eq!((start.id, start.digest), (snapshot.id, snapshot.digest));
                let secret = secrets.covering(snapshot.id.seqno).unwrap();
                let plain = snapshot.open(secret).unwrap();
                let mut maps = snapshot.maps.clone();
                maps.extend(snapshot_maps(&plain, false).unwrap());
                let point = SnapshotPoint {
                    seqno: snapshot.id.seqno,
                    leaf: snapshot.leaf,
                    view_history: &snapshot.view_history,
                };
                let entry = encode_snapshot(point, maps, secret).unwrap();
                let length = Entry::length(&file).unwrap();
                assert!(entry == file[..length], "{name} at {}", snapshot.id);
            }
        },
    );
}

/// Tables as a snapshot has them: name to version and rows with their versions.
type State = BTreeMap<String, (Seqno, BTreeMap<Vec<u8>, (Vec<u8>, Seqno)>)>;

#[test]
fn snapshots_are_what_the_ledger_says() {
    each("snapshots_are_what_the_ledger_says", |name, ledger| {
        let secrets = ledger.secrets();
        for file in ledger.snapshots() {
            let snapshot = Snapshot::read(&file).unwrap();
            let mut state = State::new();
            let (mut views, mut signed) = (Vec::new(), Seqno(0));
            let (mut edge, mut leaf) = (Frontier::new(), None);
            for chunk in &ledger.chunks {
                let mut entries = Entries::new(chunk).unwrap();
                while let Some((_, entry)) = entries.next_entry().unwrap() {
                    if entry.seqno > snapshot.id.seqno {
                        break;
                    }
                    let plain = entry.open(secrets.covering(entry.seqno).unwrap()).unwrap();
                    let private = parse_sections(&plain, false).unwrap();
                    for section in entry.sections.iter().chain(&private) {
                        let known = state.entry(section.name.to_owned()).or_default();
                        known.0 = entry.seqno;
                        for (key, value) in &section.writes {
                            let row = (value.to_vec(), entry.seqno);
                            known.1.insert(key.to_vec(), row);
                        }
                        for key in &section.removes {
                            known.1.remove(*key);
                        }
                    }
                    if entry.section(SIGNATURES_MAP).is_some() {
                        while (views.len() as u64) < entry.view.0 {
                            views.push(if views.is_empty() {
                                Seqno(1)
                            } else {
                                signed.next()
                            });
                        }
                        signed = entry.seqno;
                    }
                    edge.append(entry.leaf());
                    leaf = Some(entry.leaf());
                }
            }
            assert_eq!(Some(snapshot.leaf), leaf, "{name}");
            assert_eq!(snapshot.view_history, views, "{name}");
            let secret = secrets.covering(snapshot.id.seqno).unwrap();
            let plain = snapshot.open(secret).unwrap();
            let open = |file: &[u8], digest| open_snapshot(file, digest, secret);
            assert_eq!(open(&file, snapshot.digest).unwrap(), plain, "{name}");
            assert!(open(&file, snapshot.leaf).is_err(), "{name}");
            let mut altered = file.clone();
            altered[file.len() / 2] ^= 1;
            assert!(open(&altered, snapshot.digest).is_err(), "{name}");
            let maps = snapshot_maps(&plain, false).unwrap();
            for map in snapshot.maps.iter().chain(&maps) {
                let (version, rows) = &state[map.name];
                let live: BTreeMap<_, _> = map.rows.iter().map(|(k, v, _)| (*k, *v)).collect();
                let want: BTreeMap<_, _> = rows
                    .iter()
                    .map(|(key, (value, _))| (key.as_slice(), value.as_slice()))
                    .collect();
                assert_eq!(live, want, "{name} {}", map.name);
                assert_eq!(map.version, *version, "{name} {}", map.name);
            }
            rebuilt(name, &snapshot, &file, &state, secret);
        }
    });
}

/// The ledger and its secrets alone give the very bytes.
fn rebuilt(
    name: &str,
    snapshot: &Snapshot<'_>,
    file: &[u8],
    state: &State,
    secret: &ledger::LedgerSecret,
) {
    let maps = state.iter().map(|(name, (version, rows))| SnapshotMap {
        name,
        version: *version,
        rows: rows
            .iter()
            .map(|(key, (value, at))| (key.as_slice(), value.as_slice(), *at))
            .collect(),
    });
    let point = SnapshotPoint {
        seqno: snapshot.id.seqno,
        leaf: snapshot.leaf,
        view_history: &snapshot.view_history,
    };
    let entry = encode_snapshot(point, maps.collect(), secret).unwrap();
    assert!(file.starts_with(&entry), "{name} at {}", snapshot.id);
}

#[test]
fn a_walk_goes_on_behind_a_snapshot() {
    each("a_walk_goes_on_behind_a_snapshot", |name, ledger| {
        for file in ledger.snapshots() {
            let snapshot = Snapshot::read(&file).unwrap();
            let start = Snapshot::verify(&file, &service_of(ledger))
                .unwrap()
                .start();
            let trust = Trust {
                service: Some(service_of(ledger)),
                ..Trust::default()
            };
            let walk = Walk::from_snapshot(trust, &start).unwrap();
            let mut verifier = LedgerVerifier::walking(walk);
            for chunk in &ledger.chunks {
                let mut entries = Entries::new(chunk).unwrap();
                let first = entries.next_entry().unwrap().unwrap().1.seqno;
                if first > snapshot.id.seqno {
                    let chunk_name = ledger::ChunkName::open(first);
                    verifier.chunk(&chunk_name, chunk).unwrap();
                }
            }
            let report = verifier.finish().unwrap();
            assert_eq!(
                report.verified_until.unwrap().to_string(),
                ledger.facts["lastSigned"].as_str().unwrap(),
                "{name}"
            );
            assert_eq!(report.from_snapshot, Some(snapshot.id));
        }
    });
}

#[test]
fn an_altered_snapshot_is_refused() {
    each("an_altered_snapshot_is_refused", |name, ledger| {
        let service = service_of(ledger);
        for file in ledger.snapshots() {
            let body = Entry::length(&file).unwrap();
            let step = (file.len() / 200).max(1);
            for at in (0..file.len()).step_by(step) {
                let mut bytes = file.clone();
                bytes[at] ^= 1 << (at % 8);
                let refused = Snapshot::verify(&bytes, &service).is_err();
                // In the receipt a letter may be of no weight: the case of a digit, the name of a field nobody reads.
                assert!(refused || at >= body, "{name}: bit of byte {at}");
            }
            for length in (0..body).step_by(step) {
                let cut = Snapshot::verify(&file[..length], &service);
                assert!(cut.is_err(), "{name}: cut to {length}");
            }
            let other = ledger.folder().join("common/member0_cert.pem");
            let other = std::fs::read_to_string(other).unwrap();
            let other = PublicKey::of_certificate(&other).unwrap();
            assert!(Snapshot::verify(&file, &other).is_err(), "{name}");
        }
    });
}
