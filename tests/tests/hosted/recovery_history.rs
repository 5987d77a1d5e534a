//! The past of a key after a recovery from a snapshot: what the files hold is answered as before, and of what they do not hold
//! the node says so. Nobody gets a part for the whole.

use std::path::{Path, PathBuf};

use governance::client::Request;
use governance::member::Actions;
use governance::{Member, ProposalId};
use serde_json::{Value, json};
use tests::scene::Scene;
use tests::service::{Service, copy_files};

use crate::recovery::{EMBEDDED, open, wait_until_open};

/// Positions and states of a proposal, or the code of the refusal and the next position that may be known.
type States = Result<Vec<(u64, String)>, (String, u64)>;

fn states(client: &Member, proposal: &ProposalId, query: &str) -> States {
    let path = format!("/app/proposals/{proposal}/historical{query}");
    loop {
        let answer = client.client().exchange(Request::get(&path)).unwrap();
        let status = answer.status();
        if status == 202 {
            continue;
        }
        let body: Value = answer.json().unwrap();
        if status != 200 {
            assert_eq!(status, 404, "{body}");
            let error = &body["error"];
            let next = error["details"][0]["next"].as_u64().unwrap();
            return Err((error["code"].as_str().unwrap().to_owned(), next));
        }
        assert_eq!(body.get("nextLink"), None, "one page");
        let steps = body["value"].as_array().unwrap().iter();
        return Ok(steps
            .map(|step| {
                let state = step["proposalState"].as_str().unwrap().to_owned();
                (step["seqno"].as_u64().unwrap(), state)
            })
            .collect());
    }
}

fn not_kept(states: &States) -> u64 {
    match states {
        Err((code, next)) if code == "TransactionNotKept" => *next,
        other => panic!("{other:?}"),
    }
}

fn contract(id: &str) -> Actions {
    let terms = json!({ "contractId": id, "contract": { "data": "terms" } });
    Actions::new().action("set_contract", terms)
}

fn accept(members: &[Member], proposal: &ProposalId) {
    for member in members {
        if member.accept(proposal).is_err() {
            // The decision was there before the last vote.
            break;
        }
    }
}

/// The chunks that end at or before a position, oldest first.
fn chunks_until(ledger: &Path, last: u64) -> Vec<(u64, u64, PathBuf)> {
    let items = std::fs::read_dir(ledger).unwrap();
    let mut chunks: Vec<_> = items
        .filter_map(|item| {
            let path = item.unwrap().path();
            let name = path.file_name()?.to_str()?.to_owned();
            let range = name.strip_prefix("ledger_")?.strip_suffix(".committed")?;
            let (first, end) = range.split_once('-')?;
            Some((first.parse().ok()?, end.parse().ok()?, path))
        })
        .filter(|(_, end, _): &(u64, u64, PathBuf)| *end <= last)
        .collect();
    chunks.sort();
    chunks
}

fn newest_snapshot(folder: &Path) -> u64 {
    let items = std::fs::read_dir(folder).unwrap();
    let names = items.map(|item| item.unwrap().file_name().into_string().unwrap());
    let positions = names.filter_map(|name| name.split('_').nth(1)?.parse().ok());
    positions.max().unwrap()
}

#[test]
fn the_past_of_a_key_is_whole_or_said_to_be_unknown() {
    let mut scene = Scene::set();
    let chunk = || Actions::new().action("trigger_ledger_chunk", Value::Null);
    let snapshot = Actions::new().action("trigger_snapshot", Value::Null);
    scene.service.accept(&scene.members, &chunk());
    // One before the snapshot, one that reaches over it, one after.
    let early = scene.members[0].propose(&contract("early")).unwrap();
    let early = early.proposal_id;
    accept(&scene.members, &early);
    scene.service.accept(&scene.members, &chunk());
    let across = scene.members[0].propose(&contract("across")).unwrap();
    let across = across.proposal_id;
    scene.service.accept(&scene.members, &snapshot);
    accept(&scene.members, &across);
    let late = scene.members[0].propose(&contract("late")).unwrap();
    let late = late.proposal_id;
    accept(&scene.members, &late);
    let before = [&early, &across, &late].map(|id| states(&scene.members[0], id, "").unwrap());
    assert!(before.iter().all(|states| states.len() >= 2), "{before:?}");
    scene.service.stop();
    let snapshots = scene.service.folder().join("snapshots");
    let newest = newest_snapshot(&snapshots);
    assert!(before[0].last().unwrap().0 < newest && newest < before[2][0].0);
    let split = before[1].partition_point(|(seqno, _)| *seqno <= newest);
    assert!(split > 0 && split < before[1].len(), "{newest} {before:?}");

    let recover = |change: &dyn Fn(&Path)| {
        let (ledger, previous) = (scene.service.ledger(), scene.service.certificate());
        let service = Service::recover_with(&EMBEDDED, &ledger, previous, |folder, _| {
            copy_files(&snapshots, &folder.join("snapshots"));
            change(&folder.join("ledger"));
        });
        let members = scene.members.iter();
        let members: Vec<Member> = members.map(|m| service.member(m.identity())).collect();
        open(&service, &members);
        members[0].give_share().unwrap();
        wait_until_open(&service.client());
        (service, members)
    };
    let ids: [&ProposalId; 3] = [&early, &across, &late];

    // With all files everything is as it was.
    let (_service, members) = recover(&|_| {});
    let after = ids.map(|id| states(&members[0], id, "").unwrap());
    assert_eq!(after, before);

    // Without those from before the snapshot only what is behind it is known.
    let (_service, members) = recover(&|ledger| {
        for (_, _, path) in chunks_until(ledger, newest) {
            std::fs::remove_file(path).unwrap();
        }
    });
    for id in ids {
        assert_eq!(not_kept(&states(&members[0], id, "")), newest + 1);
    }
    let behind = format!("?from_seqno={}", newest + 1);
    let found = ids.map(|id| states(&members[0], id, &behind).unwrap());
    assert_eq!(found[0], []);
    assert_eq!(found[1], before[1][split..]);
    assert_eq!(found[2], before[2]);

    // Without the first file what is behind that.
    let chunks = chunks_until(&scene.service.ledger(), newest);
    assert!(
        chunks.len() >= 3 && chunks[0].1 < before[0][0].0,
        "{chunks:?}"
    );
    let first_behind = chunks[0].1 + 1;
    let (_service, members) = recover(&|ledger| {
        let (_, _, first) = &chunks_until(ledger, newest)[0];
        std::fs::remove_file(first).unwrap();
    });
    assert_eq!(not_kept(&states(&members[0], &early, "")), first_behind);
    let behind = format!("?from_seqno={first_behind}");
    let found = ids.map(|id| states(&members[0], id, &behind).unwrap());
    assert_eq!(found, before);

    // A file that was altered: in the middle, where a write of the first proposal may be.
    let at = chunks
        .iter()
        .position(|(_, end, _)| *end >= before[0][0].0)
        .unwrap();
    let (_service, members) = recover(&|ledger| {
        let (_, _, path) = &chunks_until(ledger, newest)[at];
        let mut bytes = std::fs::read(path).unwrap();
        let length = bytes.len();
        for byte in &mut bytes[length / 3..length / 3 + 64] {
            *byte ^= 0x55;
        }
        std::fs::write(path, bytes).unwrap();
    });
    assert_eq!(not_kept(&states(&members[0], &early, "")), chunks[at].1 + 1);
    let behind = format!("?from_seqno={}", chunks[at].1 + 1);
    let rest = |all: &[(u64, String)]| -> Vec<(u64, String)> {
        let kept = all.iter().filter(|(seqno, _)| *seqno > chunks[at].1);
        kept.cloned().collect()
    };
    for (id, all) in ids.iter().zip(&before) {
        assert_eq!(states(&members[0], id, &behind).unwrap(), rest(all));
    }
}
