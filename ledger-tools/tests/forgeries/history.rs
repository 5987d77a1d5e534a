//! The history of a service as its node would write it, with keys of its own, and a hook through which each transaction can
//! be changed before it is encoded, hashed and signed. What comes out always has its integrity.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use constitution::{Effects, Engine as _, InProcess, Kv, KvError, Limits, ProposalState, Vote};
use governance::Identity;
use governance::cose::{MessageType, sign};
use ledger::{
    Digest, ENCRYPTED_SECRETS_MAP, EncryptedNodeSecret, EncryptedSecretsRow, HISTORICAL_SECRET_MAP,
    HistoricalSecretRow, LedgerSecret, RECOVERY_SHARES_MAP, RecoveryMembers, RecoverySharesRow,
    RsaPrivateKey, RsaPublicKey, SINGLE_KEY, Seqno, Signer as _, TxId, WriteSet,
};
use serde_json::{Value, json};
use tests::ledger_writer::{LedgerWriter, NODES_INFO, SERVICE_INFO};

pub(crate) const GOV: &str = "public:ccf.gov.";
pub(crate) const YES: &str = "export function vote (proposal, proposerId) { return true }";
pub(crate) const NO: &str = "export function vote (proposal, proposerId) { return false }";

type State = BTreeMap<String, BTreeMap<Vec<u8>, (Vec<u8>, u64)>>;
type Change<'c> = Box<dyn FnOnce(&mut WriteSet, &History) + 'c>;

/// Name of a table of governance.
pub(crate) fn gov(table: &str) -> String {
    format!("{GOV}{table}")
}

/// Three founders and one who may come later.
pub(crate) fn people() -> &'static [Identity; 4] {
    static PEOPLE: OnceLock<[Identity; 4]> = OnceLock::new();
    PEOPLE.get_or_init(|| {
        ["alba", "boro", "cura", "dora"].map(|name| {
            let identity = Identity::generate(name, Duration::from_secs(3600)).unwrap();
            identity.with_encryption_key().unwrap()
        })
    })
}

fn node_encryption_key() -> &'static RsaPublicKey {
    static KEY: OnceLock<RsaPublicKey> = OnceLock::new();
    KEY.get_or_init(|| RsaPrivateKey::generate().unwrap().public_key())
}

pub(crate) fn id(member: usize) -> String {
    people()[member].id().as_str().to_owned()
}

pub(crate) struct History {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) writer: LedgerWriter,
    state: State,
    /// Root of the latest signature.
    pub(crate) signed: Digest,
    pub(crate) now: u64,
    change: Option<Change<'static>>,
}

impl History {
    /// A service with three members who have not acted, signed once. `change` may alter its first transaction.
    pub(crate) fn founded_with(change: impl FnOnce(&mut WriteSet, &Self) + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let writer = LedgerWriter::new(&folder.path().join("ledger"));
        let mut set = writer.founding();
        let constitution = json!(constitution::default_module()).to_string();
        set.put(&gov("constitution"), SINGLE_KEY, constitution);
        let config = json!({ "recovery_threshold": 2 }).to_string();
        set.put(&gov("service.config"), SINGLE_KEY, config);
        for person in &people()[..3] {
            found(&mut set, person);
        }
        let mut history = Self {
            folder,
            writer,
            state: State::new(),
            signed: Digest::ZERO,
            now: 1_780_000_000,
            change: Some(Box::new(change)),
        };
        history.write(set);
        history.sign();
        history
    }

    pub(crate) fn founded() -> Self {
        Self::founded_with(|_, _| {})
    }

    /// The founders are active.
    pub(crate) fn active() -> Self {
        let mut history = Self::founded();
        for member in 0..3 {
            history.activate(member);
        }
        history
    }

    /// The service is open.
    pub(crate) fn open() -> Self {
        let mut history = Self::active();
        let opening = history.opening();
        let proposal = history.propose(0, &opening);
        history.vote_all(&proposal);
        history
    }

    pub(crate) fn opening(&self) -> Value {
        let certificate = self.writer.service_certificate.as_str();
        action(
            "transition_service_to_open",
            &json!({ "next_service_identity": certificate }),
        )
    }

    /// The next transaction is changed like this before it is written.
    pub(crate) fn changing(
        &mut self,
        change: impl FnOnce(&mut WriteSet, &Self) + 'static,
    ) -> &mut Self {
        self.change = Some(Box::new(change));
        self
    }

    pub(crate) fn write(&mut self, mut set: WriteSet) -> TxId {
        if let Some(change) = self.change.take() {
            change(&mut set, self);
        }
        let id = self.writer.write(&set);
        for (table, rows) in set.maps() {
            let known = self.state.entry(table.to_owned()).or_default();
            for (key, value) in rows {
                match value {
                    Some(value) => known.insert(key.clone(), (value.clone(), id.seqno.0)),
                    None => known.remove(key),
                };
            }
        }
        id
    }

    pub(crate) fn put(&mut self, table: &str, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        let mut set = WriteSet::new();
        set.put(table, key, value);
        self.write(set);
    }

    pub(crate) fn sign(&mut self) {
        self.signed = self.writer.tree.root();
        let row = json!({ "root": self.signed }).to_string().into_bytes();
        let seqno = self.writer.next().seqno.0;
        let table = self.state.entry(ledger::SIGNATURES_MAP.to_owned());
        table.or_default().insert(SINGLE_KEY.to_vec(), (row, seqno));
        self.writer.sign();
    }

    pub(crate) fn row(&self, table: &str, key: &[u8]) -> Option<Value> {
        let value = &self.state.get(table)?.get(key)?.0;
        serde_json::from_slice(value).ok()
    }

    pub(crate) fn envelope(
        &mut self,
        member: usize,
        kind: &MessageType,
        payload: &[u8],
    ) -> Vec<u8> {
        self.now += 1;
        sign(&people()[member], kind, self.now, payload).unwrap()
    }

    pub(crate) fn update(&mut self, member: usize) {
        let mut row = self
            .row(&gov("members.acks"), id(member).as_bytes())
            .unwrap_or_else(|| json!({}));
        row["state_digest"] = json!(self.signed);
        self.put(&gov("members.acks"), id(member), row.to_string());
    }

    pub(crate) fn ack(&mut self, member: usize) {
        let key = id(member);
        let mut row = self.row(&gov("members.acks"), key.as_bytes()).unwrap();
        let payload = json!({ "stateDigest": row["state_digest"] }).to_string();
        let envelope = self.envelope(member, &MessageType::Ack, payload.as_bytes());
        row["cose_sign1_req"] = json!(STANDARD.encode(envelope));
        let mut set = WriteSet::new();
        set.put(&gov("members.acks"), key.as_str(), row.to_string());
        let mut info = self.row(&gov("members.info"), key.as_bytes()).unwrap();
        if info["status"] != "Active" {
            info["status"] = json!("Active");
            set.put(&gov("members.info"), key.as_str(), info.to_string());
            let service = self.row(SERVICE_INFO, &SINGLE_KEY).unwrap();
            if service["status"] == "Open" {
                let mut pending = Pending::new(&self.state, set);
                shares(&mut pending);
                set = pending.set;
            }
        }
        self.write(set);
    }

    pub(crate) fn activate(&mut self, member: usize) {
        self.update(member);
        self.sign();
        self.ack(member);
        self.sign();
    }

    pub(crate) fn propose(&mut self, member: usize, proposal: &Value) -> String {
        let payload = proposal.to_string();
        let envelope = self.envelope(member, &MessageType::Proposal, payload.as_bytes());
        self.propose_message(member, &envelope, &payload)
    }

    /// A proposal by this message, whatever it says.
    pub(crate) fn propose_message(
        &mut self,
        member: usize,
        envelope: &[u8],
        payload: &str,
    ) -> String {
        let signature = Digest::of(signature_of(envelope));
        let proposal = Digest::of_pair(&self.writer.tree.root(), &signature).to_hex();
        let mut set = WriteSet::new();
        set.put(&gov("proposals"), proposal.as_str(), payload);
        history_row(&mut set, member, envelope);
        let recent = format!("{:010}:{signature}", self.now);
        set.put(
            &gov("cose_recent_proposals"),
            recent,
            json!(proposal).to_string(),
        );
        let info = json!({ "ballots": {}, "proposer_id": id(member), "state": "Open" });
        self.decide(set, &proposal, info);
        proposal
    }

    pub(crate) fn vote(&mut self, member: usize, proposal: &str, ballot: &str) {
        let kind = MessageType::Ballot(proposal.parse().unwrap());
        let payload = json!({ "ballot": ballot }).to_string();
        let envelope = self.envelope(member, &kind, payload.as_bytes());
        self.vote_message(member, proposal, ballot, &envelope);
    }

    /// A ballot recorded with this message, whatever it says.
    pub(crate) fn vote_message(
        &mut self,
        member: usize,
        proposal: &str,
        ballot: &str,
        envelope: &[u8],
    ) {
        let mut set = WriteSet::new();
        history_row(&mut set, member, envelope);
        let key = proposal.as_bytes();
        let mut info = self.row(&gov("proposals_info"), key).unwrap();
        info["ballots"][id(member)] = json!(ballot);
        self.decide(set, proposal, info);
    }

    pub(crate) fn vote_all(&mut self, proposal: &str) {
        for member in 0..3 {
            let info = self.row(&gov("proposals_info"), proposal.as_bytes());
            if info.is_some_and(|info| info["state"] == "Open") {
                self.vote(member, proposal, YES);
                self.sign();
            }
        }
    }

    pub(crate) fn withdraw(&mut self, member: usize, proposal: &str) {
        let kind = MessageType::Withdrawal(proposal.parse().unwrap());
        let envelope = self.envelope(member, &kind, b"");
        let mut set = WriteSet::new();
        history_row(&mut set, member, &envelope);
        self.prune(&mut set, proposal);
        let key = proposal.as_bytes();
        let mut info = self.row(&gov("proposals_info"), key).unwrap();
        info["state"] = json!("Withdrawn");
        set.put(&gov("proposals_info"), key, info.to_string());
        self.write(set);
    }

    /// Proposes and votes until it is decided.
    pub(crate) fn accept(&mut self, proposal: &Value) -> String {
        let proposal = self.propose(0, proposal);
        self.vote_all(&proposal);
        proposal
    }

    fn prune(&self, set: &mut WriteSet, keep: &str) {
        for (key, (value, _)) in self.state.get(&gov("proposals_info")).into_iter().flatten() {
            let info: Value = serde_json::from_slice(value).unwrap();
            if key != keep.as_bytes() && info["state"] != "Open" {
                set.remove(&gov("proposals"), key.as_slice());
                set.remove(&gov("proposals_info"), key.as_slice());
            }
        }
    }

    fn decide(&mut self, mut set: WriteSet, proposal: &str, mut info: Value) {
        let mut engine = InProcess::new(Limits::default());
        let table = gov("proposals_info");
        set.put(&table, proposal, info.to_string());
        let mut pending = Pending::new(&self.state, set);
        let text = pending.text("proposals", proposal.as_bytes());
        let constitution: String =
            serde_json::from_str(&pending.text("constitution", &SINGLE_KEY)).unwrap();
        let proposer = info["proposer_id"].as_str().unwrap().to_owned();
        let mut votes = Vec::new();
        for (member, ballot) in info["ballots"].as_object().unwrap() {
            let ballot = ballot.as_str().unwrap();
            let voted = engine.vote(ballot, &text, &proposer, proposal, member, &mut pending);
            votes.extend(voted.map(|voted| Vote {
                member_id: member.clone(),
                vote: voted.vote,
            }));
        }
        let state = engine
            .resolve(
                &constitution,
                &text,
                &proposer,
                &votes,
                proposal,
                &mut pending,
            )
            .unwrap();
        info["state"] = json!(state.as_str());
        if state != ProposalState::Open {
            self.prune(&mut pending.set, proposal);
            let votes: BTreeMap<_, _> = votes.iter().map(|v| (&v.member_id, v.vote)).collect();
            info["final_votes"] = json!(votes);
            info["vote_failures"] = json!({});
        }
        pending.set.put(&table, proposal, info.to_string());
        if state == ProposalState::Accepted {
            let mut made = Made {
                writer: &self.writer,
            };
            engine
                .apply(&constitution, &text, proposal, &mut pending, &mut made)
                .unwrap();
        }
        let set = pending.set;
        self.write(set);
    }

    /// The first transaction of a recovered service.
    pub(crate) fn start_recovery(&mut self) {
        let old_node = self.writer.node.key_id();
        let old_certificate = self.writer.service_certificate.clone();
        self.sign();
        self.writer.recover();
        let mut set = self.writer.founding();
        let count = self.row(SERVICE_INFO, &SINGLE_KEY).unwrap()["recovery_count"]
            .as_u64()
            .unwrap();
        set.put(
            SERVICE_INFO,
            SINGLE_KEY,
            self.writer.service_info("Recovering", count + 1),
        );
        set.put(NODES_INFO, old_node, r#"{"status":"Retired"}"#);
        set.put(
            &gov("service.previous_service_identity"),
            SINGLE_KEY,
            json!(old_certificate).to_string(),
        );
        let root = json!(self.signed).to_string();
        set.put(ledger::LAST_SIGNED_ROOT_MAP, SINGLE_KEY, root);
        self.write(set);
        self.sign();
    }

    /// Members agree to a recovery.
    pub(crate) fn agree_to_recovery(&mut self) {
        let previous = self.row(&gov("service.previous_service_identity"), &SINGLE_KEY);
        let args = json!({
            "previous_service_identity": previous,
            "next_service_identity": self.writer.service_certificate,
        });
        self.accept(&action("transition_service_to_open", &args));
    }

    pub(crate) fn submit_share(&mut self, member: &str) {
        self.put(ledger::SUBMITTED_SHARES_MAP, member, r#""c2hhcmU=""#);
    }

    pub(crate) fn end_recovery(&mut self) {
        let mut set = WriteSet::new();
        let mut row = self.row(SERVICE_INFO, &SINGLE_KEY).unwrap();
        row["status"] = json!("Open");
        set.put(SERVICE_INFO, SINGLE_KEY, row.to_string());
        let submitted = self.state.get(ledger::SUBMITTED_SHARES_MAP);
        for key in submitted.into_iter().flat_map(BTreeMap::keys) {
            set.remove(ledger::SUBMITTED_SHARES_MAP, key.as_slice());
        }
        let mut pending = Pending::new(&self.state, set);
        shares(&mut pending);
        self.write(pending.set);
    }
}

pub(crate) fn action(name: &str, args: &Value) -> Value {
    json!({ "actions": [{ "name": name, "args": args }] })
}

pub(crate) fn contract(name: &str) -> Value {
    action(
        "set_contract",
        &json!({ "contractId": name, "contract": { "data": "terms" } }),
    )
}

fn found(set: &mut WriteSet, person: &Identity) {
    let id = person.id().as_str().to_owned();
    let key = person.encryption_key().unwrap().public_key_pem().unwrap();
    set.put(
        &gov("members.certs"),
        id.as_str(),
        person.certificate().to_pem(),
    );
    set.put(
        &gov("members.encryption_public_keys"),
        id.as_str(),
        key.as_str(),
    );
    set.put(
        &gov("members.info"),
        id.as_str(),
        r#"{"status":"Accepted"}"#,
    );
    set.put(&gov("members.acks"), id.as_str(), r#"{"state_digest":""}"#);
}

pub(crate) fn history_row(set: &mut WriteSet, member: usize, envelope: &[u8]) {
    let row = json!(STANDARD.encode(envelope)).to_string();
    set.put(&gov("cose_history"), id(member), row);
}

/// The last field of a COSE_Sign1 over P-384: a byte string of 96.
fn signature_of(envelope: &[u8]) -> &[u8] {
    &envelope[envelope.len() - 96..]
}

/// A transaction in the making.
struct Pending<'s> {
    state: &'s State,
    set: WriteSet,
}

impl<'s> Pending<'s> {
    fn new(state: &'s State, set: WriteSet) -> Self {
        Self { state, set }
    }

    fn value(&self, table: &str, key: &[u8]) -> Option<Vec<u8>> {
        match self.set.operation(table, key) {
            Some(written) => written.map(<[u8]>::to_vec),
            None => self
                .state
                .get(table)?
                .get(key)
                .map(|(value, _)| value.clone()),
        }
    }

    fn text(&self, table: &str, key: &[u8]) -> String {
        String::from_utf8(self.value(&gov(table), key).unwrap()).unwrap()
    }

    fn rows(&self, table: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let known = self.state.get(table).into_iter().flat_map(BTreeMap::keys);
        let written = self.set.maps().find(|(name, _)| *name == table);
        let keys = known.chain(written.into_iter().flat_map(|(_, rows)| rows.keys()));
        keys.filter_map(|key| Some((key.clone(), self.value(table, key)?)))
            .collect()
    }
}

impl Kv for Pending<'_> {
    fn get(&mut self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        Ok(self.value(table, key))
    }

    fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<(), KvError> {
        self.set.put(table, key, value);
        Ok(())
    }

    fn remove(&mut self, table: &str, key: &[u8]) -> Result<(), KvError> {
        self.set.remove(table, key);
        Ok(())
    }

    fn clear(&mut self, table: &str) -> Result<(), KvError> {
        for key in self.rows(table).into_keys() {
            self.set.remove(table, key);
        }
        Ok(())
    }

    fn for_each(
        &mut self,
        table: &str,
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), KvError> {
        for (key, value) in self.rows(table) {
            visit(&key, &value);
        }
        Ok(())
    }

    fn version_of_previous_write(
        &mut self,
        table: &str,
        key: &[u8],
    ) -> Result<Option<u64>, KvError> {
        let row = self.state.get(table).and_then(|rows| rows.get(key));
        Ok(row.map(|(_, seqno)| *seqno))
    }
}

/// Shares for the active members.
fn shares(kv: &mut dyn Kv) {
    let mut keys = BTreeMap::new();
    kv.for_each(&gov("members.encryption_public_keys"), &mut |id, pem| {
        keys.insert(
            String::from_utf8(id.to_vec()).unwrap(),
            String::from_utf8(pem.to_vec()).unwrap(),
        );
    })
    .unwrap();
    let mut members = RecoveryMembers::default();
    for (id, pem) in keys {
        let info = kv
            .get(&gov("members.info"), id.as_bytes())
            .unwrap()
            .unwrap();
        let info: Value = serde_json::from_slice(&info).unwrap();
        if info["status"] == "Active" {
            let key = RsaPublicKey::from_pem(&pem).unwrap();
            members.participants.insert(id, key);
        }
    }
    let rng = SystemRandom::new();
    let secret = LedgerSecret::generate(&rng).unwrap();
    let row = RecoverySharesRow::issue(&secret, &members, 2, None, &rng).unwrap();
    let row = serde_json::to_vec(&row).unwrap();
    kv.put(RECOVERY_SHARES_MAP, &SINGLE_KEY, &row).unwrap();
}

/// What the node makes when a proposal is applied.
struct Made<'w> {
    writer: &'w LedgerWriter,
}

impl Made<'_> {
    fn put(kv: &mut dyn Kv, table: &str, row: &impl serde::Serialize) {
        let row = serde_json::to_vec(row).unwrap();
        kv.put(table, &SINGLE_KEY, &row).unwrap();
    }
}

impl Effects for Made<'_> {
    fn trigger_ledger_rekey(&mut self, kv: &mut dyn Kv) -> Result<(), String> {
        shares(kv);
        let rng = SystemRandom::new();
        let (old, new) = (
            LedgerSecret::generate(&rng).unwrap(),
            LedgerSecret::generate(&rng).unwrap(),
        );
        let row = HistoricalSecretRow::replacing((Seqno(1), &old), &new, None, None, &rng).unwrap();
        Self::put(kv, HISTORICAL_SECRET_MAP, &row);
        let sealed = EncryptedNodeSecret::seal(&new, None, None, node_encryption_key()).unwrap();
        let nodes = BTreeMap::from([(self.writer.node.key_id(), vec![sealed])]);
        Self::put(kv, ENCRYPTED_SECRETS_MAP, &EncryptedSecretsRow(nodes));
        Ok(())
    }

    fn transition_service_to_open(
        &mut self,
        kv: &mut dyn Kv,
        _: Option<&[u8]>,
        _: &[u8],
    ) -> Result<(), String> {
        let row = kv.get(SERVICE_INFO, &SINGLE_KEY).unwrap().unwrap();
        let mut row: Value = serde_json::from_slice(&row).unwrap();
        if row["status"] == "Recovering" {
            row["status"] = json!("WaitingForRecoveryShares");
        } else {
            row["status"] = json!("Open");
            shares(kv);
            Self::put(kv, HISTORICAL_SECRET_MAP, &HistoricalSecretRow::first());
        }
        Self::put(kv, SERVICE_INFO, &row);
        Ok(())
    }

    fn trigger_recovery_shares_refresh(&mut self, kv: &mut dyn Kv) -> Result<(), String> {
        shares(kv);
        Ok(())
    }

    fn trigger_ledger_chunk(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        Ok(())
    }

    fn trigger_snapshot(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        Ok(())
    }

    fn latest_ledger_secret_seqno(&mut self, _: &mut dyn Kv) -> Result<u64, String> {
        Ok(1)
    }

    fn generate_endorsed_certificate(
        &mut self,
        _: &mut dyn Kv,
        _: &str,
        _: &str,
        _: u64,
    ) -> Result<String, String> {
        Ok(self.writer.node.node_certificate(&self.writer.service))
    }

    fn generate_network_certificate(
        &mut self,
        _: &mut dyn Kv,
        _: &str,
        _: u64,
    ) -> Result<String, String> {
        Ok(self.writer.service.service_certificate())
    }

    fn set_jwt_public_signing_keys(
        &mut self,
        kv: &mut dyn Kv,
        issuer: &str,
        _: &str,
        jwks: &str,
    ) -> Result<(), String> {
        constitution::jwt_keys::replace(kv, issuer, jwks)
    }

    fn remove_jwt_public_signing_keys(
        &mut self,
        kv: &mut dyn Kv,
        issuer: &str,
    ) -> Result<(), String> {
        constitution::jwt_keys::remove(kv, issuer)
    }
}
