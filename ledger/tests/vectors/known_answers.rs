//! Small known answers and every entry of the real ledgers, with the secrets that the members'
//! keys recover. No ledger is named here but those the answers name.
use std::collections::BTreeMap;

use ledger::{
    Digest, ENDORSEMENT_MAP, EndorsementRow, Entries, LedgerSecret, MerkleTree, PublicKey,
    SINGLE_KEY, Share, TREE_MAP, TxId, WrappingSecret, parse_sections,
};
use tests::vectors;

use crate::real::{bytes, chunks, json, secrets, text};

#[test]
fn recovery_shares_give_the_ledger_secret() {
    let Some(root) = vectors("ledgers", "recovery_shares_give_the_ledger_secret") else {
        return;
    };
    let answers = json(&root.join("known_answers.json"));
    let recovery = &answers["recovery"];
    let mut shares = Vec::new();
    for share in recovery["shares"].as_array().unwrap() {
        shares.push(Share::from_bytes(&bytes(&share["share_hex"])).unwrap());
    }
    let threshold = usize::try_from(recovery["threshold"].as_u64().unwrap()).unwrap();
    let wrapped = bytes(&recovery["wrapped_latest_ledger_secret_hex"]);
    let secret = WrappingSecret::combine(&shares, threshold)
        .unwrap()
        .unwrap(&wrapped)
        .unwrap();
    assert_eq!(
        secret.expose_bytes()[..],
        bytes(&recovery["ledger_secret_hex"])
    );
    let few = WrappingSecret::combine(&shares, threshold - 1).unwrap();
    assert!(few.unwrap(&wrapped).is_err());

    let evidence = &answers["commit_evidence"];
    let secret = LedgerSecret::from_slice(&bytes(&evidence["ledger_secret_hex"])).unwrap();
    for case in evidence["cases"].as_array().unwrap() {
        let id: TxId = text(&case["txid"]).parse().unwrap();
        let made = secret.commit_evidence(id);
        assert_eq!(made.to_string(), text(&case["commit_evidence"]));
        assert_eq!(made.digest().to_hex(), text(&case["digest_in_entry"]));
    }
}

#[test]
fn leaves_roots_and_serialised_trees() {
    let Some(root) = vectors("ledgers", "leaves_roots_and_serialised_trees") else {
        return;
    };
    let answers = json(&root.join("known_answers.json"));
    let mut synthetic = BTreeMap::new();
    let mut tree = MerkleTree::new();
    for leaf in 1..=255_u8 {
        tree.append(Digest::of(&[leaf]));
        synthetic.insert(u64::from(leaf) + 1, tree.root().to_hex());
    }
    for case in answers["merkle_synthetic"]["roots"].as_array().unwrap() {
        assert_eq!(
            synthetic[&case["leaves"].as_u64().unwrap()],
            text(&case["root"])
        );
    }
    let leaves = &answers["leaves"];
    let cases = leaves["cases"].as_array().unwrap();
    let mut tree = MerkleTree::new();
    let folder = root.join(text(&leaves["ledger"])).join("ledger");
    let mut checked = 0;
    for chunk in chunks(&folder) {
        let mut entries = Entries::new(&chunk).unwrap();
        while let Some((_, entry)) = entries.next_entry().unwrap() {
            let case = &cases[checked];
            assert_eq!(entry.id().to_string(), text(&case["txid"]));
            assert_eq!(
                entry.write_set_digest().to_hex(),
                text(&case["entry_sha256"])
            );
            assert_eq!(entry.leaf().to_hex(), text(&case["leaf"]));
            let stored = entry
                .section(TREE_MAP)
                .and_then(|map| map.value(&SINGLE_KEY));
            if let Some(stored) = stored {
                let again = MerkleTree::deserialise(stored).unwrap();
                assert_eq!(again.root(), tree.root());
                assert_eq!(tree.serialise(again.first_kept()).unwrap(), stored);
            }
            tree.append(entry.leaf());
            let roots = &answers["roots_after_seqno"];
            assert_eq!(
                tree.root().to_hex(),
                text(&roots[entry.seqno.to_string().as_str()])
            );
            checked += 1;
        }
    }
    assert_eq!(checked, cases.len());
}

#[test]
fn the_members_keys_open_every_entry() {
    let Some(root) = vectors("ledgers", "the_members_keys_open_every_entry") else {
        return;
    };
    for (name, facts) in json(&root.join("index.json")).as_object().unwrap() {
        let chunks = chunks(&root.join(text(&facts["ledger"])));
        let secrets = secrets(&root, facts, &chunks);
        let starts: Vec<u64> = secrets.starts().map(|start| start.0).collect();
        assert_eq!(
            serde_json::json!(starts),
            facts["ledgerSecretsFrom"],
            "{name}"
        );
        let mut opened = 0;
        for chunk in &chunks {
            let mut entries = Entries::new(chunk).unwrap();
            while let Some((_, entry)) = entries.next_entry().unwrap() {
                let secret = secrets.covering(entry.seqno).unwrap();
                let plain = entry
                    .open(secret)
                    .unwrap_or_else(|error| panic!("{name} {}: {error}", entry.id()));
                parse_sections(&plain, false).unwrap();
                if let Some(digest) = entry.commit_evidence_digest {
                    assert_eq!(secret.commit_evidence(entry.id()).digest(), digest);
                }
                opened += 1;
            }
        }
        assert_eq!(facts["transactions"], opened, "{name}");
    }
}

#[test]
fn real_identity_endorsements_verify_from_the_current_key() {
    let Some(root) = vectors(
        "ledgers",
        "real_identity_endorsements_verify_from_the_current_key",
    ) else {
        return;
    };
    let mut verified = 0;
    for (name, facts) in json(&root.join("index.json")).as_object().unwrap() {
        let mut rows: Vec<EndorsementRow> = Vec::new();
        for chunk in chunks(&root.join(text(&facts["ledger"]))) {
            let mut entries = Entries::new(&chunk).unwrap();
            while let Some((_, entry)) = entries.next_entry().unwrap() {
                let row = entry
                    .section(ENDORSEMENT_MAP)
                    .and_then(|m| m.value(&SINGLE_KEY));
                rows.extend(row.map(|row| serde_json::from_slice::<EndorsementRow>(row).unwrap()));
            }
        }
        rows.reverse();
        let pem = std::fs::read_to_string(root.join(text(&facts["serviceCertificate"]))).unwrap();
        let current = PublicKey::of_certificate(&pem).unwrap();
        let Some(newest) = rows.first() else { continue };
        let chain = ledger::verify_chain(&current, &rows).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(!chain.is_empty(), "{name}");
        verified += chain.len();
        let mut altered = newest.clone();
        *altered.endorsement.0.last_mut().unwrap() ^= 1;
        assert!(
            ledger::verify_chain(&current, &[altered]).is_err(),
            "{name}"
        );
    }
    assert!(verified > 0);
}

#[test]
fn rows_of_a_snapshot_are_in_the_order_of_the_known_answers() {
    let Some(root) = vectors(
        "ledgers",
        "rows_of_a_snapshot_are_in_the_order_of_the_known_answers",
    ) else {
        return;
    };
    let answers = json(&root.join("known_answers.json"));
    let answers = answers["snapshot_key_order"].as_array().unwrap();
    assert!(!answers.is_empty());
    for answer in answers {
        let got = ledger::snapshot_key_order(&bytes(&answer["key_hex"]));
        assert_eq!(
            u64::from(got),
            answer["sort_key_u32"].as_u64().unwrap(),
            "{answer}"
        );
    }
}
