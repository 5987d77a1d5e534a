//! Peers that do not keep to the protocol: a worker taken over by its script, a parent that writes nonsense.

use std::io::{Cursor, sink};

use proptest::prelude::*;

use super::messages::{FromWorker, decode_call, decode_from_worker, encode_from_worker};
use super::{Client, MAX_FRAME_BYTES, frame, serve};
use crate::host::{Ask, Effect, Returned};
use crate::{Case, Effects, Engine, EngineError, Kv, Limits, MemoryKv, NoEffects, ProposalState};

/// The frames a worker sends, whatever it is asked.
fn says(messages: &[FromWorker]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        frame::write(&mut bytes, &encode_from_worker(message)).unwrap();
    }
    bytes
}

fn client(bytes: Vec<u8>) -> Client<Cursor<Vec<u8>>, std::io::Sink> {
    Client::new(Cursor::new(bytes), sink(), Limits::default())
}

fn resolve(bytes: Vec<u8>, kv: &mut MemoryKv) -> Result<ProposalState, EngineError> {
    let case = Case {
        proposal: "{}",
        proposer_id: "proposer",
        votes: &[],
        proposal_id: "id",
    };
    client(bytes).resolve("", &case, kv)
}

fn accepted() -> FromWorker {
    FromWorker::Done(Ok(Returned::Text(Some("Accepted".to_owned()))))
}

/// Tables with a secret beside a governance table.
fn tables() -> MemoryKv {
    let mut kv = MemoryKv::default();
    kv.put("contracts.secrets", b"k", b"secret").unwrap();
    kv.put("public:ccf.gov.members.info", b"m", b"{}").unwrap();
    kv
}

#[test]
fn a_worker_that_asks_for_more_than_its_script_may_fails_the_call() {
    let table = || "contracts.secrets".to_owned();
    let gov = || "public:ccf.gov.members.info".to_owned();
    for ask in [
        Ask::Get(table(), b"k".to_vec()),
        Ask::Has(table(), b"k".to_vec()),
        Ask::Entries(table()),
        Ask::Size(table()),
        Ask::PreviousVersion(table(), b"k".to_vec()),
        Ask::Put(table(), b"k".to_vec(), b"x".to_vec()),
        Ask::Put(gov(), b"m".to_vec(), b"x".to_vec()),
        Ask::Remove(gov(), b"m".to_vec()),
        Ask::Clear(gov()),
        Ask::Effect(Effect::TriggerLedgerRekey),
    ] {
        let mut kv = tables();
        // It also claims success: the host must not believe it.
        let outcome = resolve(says(&[FromWorker::Ask(ask.clone()), accepted()]), &mut kv);
        assert!(outcome.is_err(), "{ask:?}: {outcome:?}");
        assert_eq!(kv, tables(), "{ask:?}");
    }
    assert_eq!(
        resolve(says(&[accepted()]), &mut tables()).unwrap(),
        ProposalState::Accepted
    );
}

#[test]
fn an_applying_worker_reaches_no_secret_either() {
    for table in ["contracts.secrets", "public:ccf.internal.signatures"] {
        let ask = Ask::Put(table.to_owned(), b"k".to_vec(), b"x".to_vec());
        let bytes = says(&[
            FromWorker::Ask(ask),
            FromWorker::Done(Ok(Returned::Nothing)),
        ]);
        let mut kv = tables();
        let effects: &mut dyn Effects = &mut NoEffects;
        let outcome = client(bytes).apply("", "{}", "id", &mut kv, effects);
        assert!(outcome.is_err(), "{table}");
        assert_eq!(kv, tables(), "{table}");
    }
}

#[test]
fn a_worker_that_answers_another_question_is_no_worker() {
    let outcome = resolve(
        says(&[FromWorker::Done(Ok(Returned::Nothing))]),
        &mut tables(),
    );
    assert!(matches!(outcome, Err(EngineError::WorkerProtocol { .. })));
}

#[test]
fn frames_that_announce_too_much_are_not_waited_for() {
    let length = u32::try_from(MAX_FRAME_BYTES + 1).unwrap();
    let outcome = resolve(length.to_le_bytes().to_vec(), &mut tables());
    assert!(matches!(outcome, Err(EngineError::WorkerProtocol { .. })));
    // A frame cut short, and silence.
    for bytes in [vec![], vec![1, 0], vec![9, 0, 0, 0, 1]] {
        let outcome = resolve(bytes, &mut tables());
        assert!(matches!(outcome, Err(EngineError::WorkerDied)));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_either_side_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut framed = Vec::new();
        frame::write(&mut framed, &bytes).unwrap();
        let _ = decode_from_worker(&bytes);
        let _ = decode_call(&bytes);
        let mut kv = tables();
        let _ = resolve(framed.clone(), &mut kv);
        prop_assert_eq!(kv, tables());
        let _ = serve(Cursor::new(framed), sink(), None);
    }
}
