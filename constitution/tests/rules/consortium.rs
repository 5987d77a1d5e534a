//! A consortium in memory, governed by our constitution.

use std::cell::RefCell;
use std::collections::BTreeMap;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use constitution::{
    Case, Effects, Engine, EngineError, InProcess, Kv, Limits, MemoryKv, ProposalState, Vote,
    default_module,
};
use serde_json::{Value, json};

thread_local! {
    static MUTANT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The constitution under test: ours, or on this thread a changed one.
pub fn module() -> String {
    MUTANT
        .with_borrow(Clone::clone)
        .unwrap_or_else(default_module)
}

/// Runs something under another constitution than ours.
pub fn under<T>(constitution: String, run: impl FnOnce() -> T) -> T {
    MUTANT.set(Some(constitution));
    let result = run();
    MUTANT.set(None);
    result
}

/// The digest-like id that starts with some letters.
pub fn id(name: &str) -> String {
    let digits: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{digits:0<64}")
}

/// A self-signed certificate nobody has seen before.
pub fn certificate() -> String {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let params = rcgen::CertificateParams::new(vec![]).unwrap();
    params.self_signed(&key).unwrap().pem()
}

/// The PEM of an RSA key nobody has seen before.
pub fn rsa_public_key() -> String {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    let text = STANDARD.encode(der.as_ref());
    format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
}

/// What the constitution answered about one proposal.
#[derive(Debug, PartialEq, Eq)]
pub struct Decision {
    pub state: ProposalState,
    pub rule: String,
}

impl Decision {
    pub fn is(&self, state: ProposalState, rule: &str) {
        assert_eq!((self.state, self.rule.as_str()), (state, rule));
    }
}

/// Members by name, the tables they govern, and the proposals made.
pub struct Consortium {
    pub kv: MemoryKv,
    pub effects: Recorded,
    engine: RefCell<InProcess>,
    constitution: String,
    proposals: usize,
}

impl Consortium {
    /// A service that is open, with these Active members without roles.
    pub fn of(members: &[&str]) -> Self {
        let mut consortium = Self {
            kv: MemoryKv::default(),
            effects: Recorded::default(),
            engine: RefCell::new(InProcess::new(Limits::default())),
            constitution: module(),
            proposals: 0,
        };
        for name in members {
            consortium.member(name, "Active", json!(null));
        }
        consortium.set_only("service.info", &json!({"status": "Open", "cert": "none"}));
        consortium.set_only("service.config", &json!({"recovery_threshold": 1}));
        consortium
    }

    pub fn member(&mut self, name: &str, status: &str, data: Value) {
        let mut info = json!({ "status": status });
        if !data.is_null() {
            info["member_data"] = data;
        }
        self.set("members.info", &id(name), &info);
    }

    pub fn operator(&mut self, name: &str) {
        self.member(name, "Active", json!({"isOperator": true}));
    }

    /// Gives a member a key, and so a share.
    pub fn share(&mut self, name: &str) {
        self.put(
            "members.encryption_public_keys",
            id(name).as_bytes(),
            b"key",
        );
    }

    pub fn accept_contract(&mut self, contract: &str) {
        self.set("accepted_contracts", contract, &json!({"data": "d"}));
    }

    pub fn put(&mut self, table: &str, key: &[u8], value: &[u8]) {
        let name = format!("public:ccf.gov.{table}");
        self.kv.put(&name, key, value).unwrap();
    }

    pub fn set(&mut self, table: &str, key: &str, value: &Value) {
        self.put(table, key.as_bytes(), value.to_string().as_bytes());
    }

    pub fn set_only(&mut self, table: &str, value: &Value) {
        self.put(table, &[0; 8], value.to_string().as_bytes());
    }

    pub fn get(&mut self, table: &str, key: &str) -> Option<Value> {
        self.read(table, key.as_bytes())
    }

    pub fn read(&mut self, table: &str, key: &[u8]) -> Option<Value> {
        let name = format!("public:ccf.gov.{table}");
        let bytes = self.kv.get(&name, key).unwrap()?;
        Some(serde_json::from_slice(&bytes).unwrap())
    }

    /// What the constitution says of a proposal on its way in: nothing, or the rules it breaks.
    pub fn check(&mut self, actions: &Value) -> Result<(), String> {
        let text = json!({ "actions": actions }).to_string();
        self.check_text(&text)
    }

    pub fn check_text(&mut self, text: &str) -> Result<(), String> {
        let mut engine = self.engine.borrow_mut();
        let answer = engine
            .validate(&self.constitution, text, &mut self.kv)
            .unwrap();
        if answer.valid {
            Ok(())
        } else {
            Err(answer.description.unwrap())
        }
    }

    /// The rule a single action breaks.
    pub fn broken_rule(&mut self, name: &str, args: Value) -> Option<String> {
        let text = self.check(&json!([{"name": name, "args": args}])).err()?;
        let start = text.find("CON-").expect("a refusal names its rule");
        Some(text[start..start + 6].to_owned())
    }

    /// How the constitution decides; `votes` are names of members with `true` or `false`.
    pub fn decide(&mut self, proposer: &str, actions: &Value, votes: &[(&str, bool)]) -> Decision {
        let text = json!({ "actions": actions }).to_string();
        self.decide_text(proposer, &text, votes)
    }

    pub fn decide_text(&mut self, proposer: &str, text: &str, votes: &[(&str, bool)]) -> Decision {
        let votes: Vec<Vote> = votes
            .iter()
            .map(|(name, vote)| Vote {
                member_id: id(name),
                vote: *vote,
            })
            .collect();
        let case = Case {
            proposal: text,
            proposer_id: &id(proposer),
            votes: &votes,
            proposal_id: "new",
        };
        let mut engine = self.engine.borrow_mut();
        let state = engine
            .resolve(&self.constitution, &case, &mut self.kv)
            .unwrap();
        let explained = engine
            .explain(&self.constitution, &case, &mut self.kv)
            .unwrap()
            .unwrap();
        let explained: Value = serde_json::from_str(&explained).unwrap();
        assert_eq!(
            explained["state"],
            state.as_str(),
            "explain says what resolve says"
        );
        Decision {
            state,
            rule: explained["rule"].as_str().unwrap().to_owned(),
        }
    }

    /// Stores a proposal as open and gives its id.
    pub fn open(&mut self, actions: &Value) -> String {
        self.proposals += 1;
        let proposal = format!("open{}", self.proposals);
        self.set("proposals", &proposal, &json!({ "actions": actions }));
        self.set("proposals_info", &proposal, &json!({"state": "Open"}));
        proposal
    }

    /// Applies actions as those of a proposal whose votes were counted. Changes nothing when it fails.
    pub fn apply(&mut self, actions: &Value) -> Result<String, EngineError> {
        self.proposals += 1;
        let proposal = format!("applied{}", self.proposals);
        self.apply_as(&proposal, actions)?;
        Ok(proposal)
    }

    /// Applies actions as those of this proposal.
    pub fn apply_as(&mut self, proposal: &str, actions: &Value) -> Result<(), EngineError> {
        let before = self.kv.clone();
        let info = json!({"state": "Accepted", "final_votes": {id("a"): true}});
        self.set("proposals_info", proposal, &info);
        let text = json!({ "actions": actions }).to_string();
        let outcome = self.engine.borrow_mut().apply(
            &self.constitution,
            &text,
            proposal,
            &mut self.kv,
            &mut self.effects,
        );
        if outcome.is_err() {
            self.kv = before;
        }
        outcome
    }

    /// Checks and applies one action.
    pub fn enact(&mut self, name: &str, args: Value) -> String {
        let actions = json!([{"name": name, "args": args}]);
        assert_eq!(self.check(&actions), Ok(()), "{name}");
        self.apply(&actions).unwrap()
    }

    /// The same tables, for a try.
    pub fn fork(&self) -> Self {
        Self {
            kv: self.kv.clone(),
            effects: self.effects.clone(),
            engine: RefCell::new(InProcess::new(Limits::default())),
            constitution: self.constitution.clone(),
            proposals: self.proposals,
        }
    }

    pub fn names_of(&self, table: &str) -> Vec<String> {
        let entries = self.kv.tables.get(&format!("public:ccf.gov.{table}"));
        entries
            .into_iter()
            .flatten()
            .map(|(key, _)| String::from_utf8(key.clone()).unwrap())
            .collect()
    }
}

/// Effects that succeed and are remembered by name.
#[derive(Clone, Default)]
pub struct Recorded {
    pub names: Vec<&'static str>,
    pub keys: BTreeMap<String, String>,
}

impl Recorded {
    fn record(&mut self, name: &'static str) -> Result<(), String> {
        self.names.push(name);
        Ok(())
    }
}

impl Effects for Recorded {
    fn trigger_ledger_rekey(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        self.record("triggerLedgerRekey")
    }

    fn transition_service_to_open(
        &mut self,
        _: &mut dyn Kv,
        _: Option<&[u8]>,
        _: &[u8],
    ) -> Result<(), String> {
        self.record("transitionServiceToOpen")
    }

    fn trigger_recovery_shares_refresh(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        self.record("triggerRecoverySharesRefresh")
    }

    fn trigger_ledger_chunk(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        self.record("triggerLedgerChunk")
    }

    fn trigger_snapshot(&mut self, _: &mut dyn Kv) -> Result<(), String> {
        self.record("triggerSnapshot")
    }

    fn latest_ledger_secret_seqno(&mut self, _: &mut dyn Kv) -> Result<u64, String> {
        Ok(7)
    }

    fn generate_endorsed_certificate(
        &mut self,
        _: &mut dyn Kv,
        request: &str,
        valid_from: &str,
        days: u64,
    ) -> Result<String, String> {
        Ok(format!("{request} {valid_from} {days}"))
    }

    fn generate_network_certificate(
        &mut self,
        _: &mut dyn Kv,
        valid_from: &str,
        days: u64,
    ) -> Result<String, String> {
        Ok(format!("{valid_from} {days}"))
    }

    fn set_jwt_public_signing_keys(
        &mut self,
        _: &mut dyn Kv,
        issuer: &str,
        _: &str,
        keys: &str,
    ) -> Result<(), String> {
        self.keys.insert(issuer.to_owned(), keys.to_owned());
        Ok(())
    }

    fn remove_jwt_public_signing_keys(
        &mut self,
        _: &mut dyn Kv,
        issuer: &str,
    ) -> Result<(), String> {
        self.keys.remove(issuer);
        Ok(())
    }
}
