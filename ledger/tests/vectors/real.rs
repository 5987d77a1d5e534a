//! Real ledgers and what their members' keys recover.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ledger::{
    ChunkName, Entries, HISTORICAL_SECRET_MAP, LedgerSecrets, RECOVERY_SHARES_MAP,
    RecoverySharesRow, RsaPrivateKey, SINGLE_KEY, Seqno, ShareError,
};
use serde_json::Value;

/// Shows every ledger of the index, with its folder, its facts and its chunks.
pub(crate) fn each(test: &str, mut check: impl FnMut(&str, &Ledger)) {
    let Some(root) = tests::vectors("ledgers", test) else {
        return;
    };
    let index = json(&root.join("index.json"));
    let index = index.as_object().unwrap();
    assert!(!index.is_empty());
    for (name, facts) in index {
        let ledger = Ledger {
            chunks: chunks(&root.join(text(&facts["ledger"]))),
            root: root.clone(),
            facts: facts.clone(),
        };
        check(name, &ledger);
    }
}

pub(crate) struct Ledger {
    pub(crate) root: PathBuf,
    pub(crate) facts: Value,
    pub(crate) chunks: Vec<Vec<u8>>,
}

impl Ledger {
    pub(crate) fn secrets(&self) -> LedgerSecrets {
        secrets(&self.root, &self.facts, &self.chunks)
    }

    pub(crate) fn service_certificate(&self) -> String {
        let path = self.root.join(text(&self.facts["serviceCertificate"]));
        std::fs::read_to_string(path).unwrap()
    }

    /// The folder that holds ledger, snapshots and receipts.
    pub(crate) fn folder(&self) -> PathBuf {
        let ledger = self.root.join(text(&self.facts["ledger"]));
        ledger.parent().unwrap().to_owned()
    }

    /// The files of the snapshots.
    pub(crate) fn snapshots(&self) -> Vec<Vec<u8>> {
        let names = self.facts["snapshots"].as_array().unwrap();
        let folder = self.folder().join("snapshots");
        names
            .iter()
            .map(|name| std::fs::read(folder.join(text(name))).unwrap())
            .collect()
    }
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The chunk files of a ledger, in order.
pub(crate) fn chunks(folder: &Path) -> Vec<Vec<u8>> {
    let names = std::fs::read_dir(folder).unwrap().filter_map(|item| {
        let name = item.unwrap().file_name();
        ChunkName::parse(name.to_str().unwrap()).map(|parsed| (parsed, name))
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
        .into_iter()
        .map(|(_, name)| std::fs::read(folder.join(name)).unwrap())
        .collect()
}

/// Every secret of a ledger, from the last shares row and the members' keys.
pub(crate) fn secrets(root: &Path, facts: &Value, chunks: &[Vec<u8>]) -> LedgerSecrets {
    let mut shares_row = None;
    let mut history = Vec::new();
    for chunk in chunks {
        let mut entries = Entries::new(chunk).unwrap();
        while let Some((_, entry)) = entries.next_entry().unwrap() {
            let row = |map| {
                entry
                    .section(map)
                    .and_then(|m| m.value(&SINGLE_KEY))
                    .map(<[u8]>::to_vec)
            };
            if let Some(row) = row(HISTORICAL_SECRET_MAP) {
                history.push((entry.seqno, row));
            }
            if let Some(row) = row(RECOVERY_SHARES_MAP) {
                shares_row = Some(row);
            }
        }
    }
    let row: RecoverySharesRow = serde_json::from_slice(&shares_row.unwrap()).unwrap();
    let keys = root.join(text(&facts["memberKeys"]));
    let mut shares = Vec::new();
    for item in std::fs::read_dir(keys).unwrap() {
        let path = item.unwrap().path();
        if !path.to_str().unwrap().ends_with("_enc_privk.pem") {
            continue;
        }
        let key = RsaPrivateKey::from_pem(&std::fs::read_to_string(path).unwrap()).unwrap();
        for member in row.encrypted_shares.keys() {
            match row.open_share(member, &key) {
                Ok(share) => shares.push(share),
                Err(ShareError::Rsa(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
    let latest = row.latest_secret(&shares, shares.len()).unwrap();
    let rows: Vec<(Seqno, &[u8])> = history.iter().map(|(at, row)| (*at, &row[..])).collect();
    LedgerSecrets::walk_back(Arc::new(latest), &rows).unwrap()
}
