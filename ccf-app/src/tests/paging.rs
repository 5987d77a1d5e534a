//! Every list: whole for callers that know nothing of pages, in pages when asked, and the pages together are the list.

use ccf_rs::{Caller, Verb};
use serde_json::{Value, json};

use super::{Scene, m, refuses, set, set_options, token, user};

/// One answer: its items, and the path of the next page, in the body or in a header (bare arrays).
fn page(scene: &mut Scene, path: &str, caller: Caller) -> (Vec<Value>, Option<String>) {
    let (reply, _) = scene.send(Verb::Get, path, caller, &Value::Null);
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(reply.status, 200, "{path}: {body}");
    let header = reply.headers.iter().find(|(name, _)| *name == "link");
    let header = header.map(|(_, link)| {
        let (link, relation) = link.split_once(';').unwrap();
        assert_eq!(relation.trim(), "rel=\"next\"");
        link.trim_matches(['<', '>']).to_owned()
    });
    let next = body["nextLink"].as_str().map(str::to_owned).or(header);
    let items = body.get("value").unwrap_or(&body).as_array().unwrap();
    let next = next.map(|next| next.strip_prefix("/app").unwrap().to_owned());
    (items.clone(), next)
}

/// Walks a list by pages of two.
#[track_caller]
fn walk(scene: &mut Scene, path: &str, caller: &Caller) -> Vec<Value> {
    let with = if path.contains('?') { '&' } else { '?' };
    let mut next = Some(format!("{path}{with}limit=2"));
    let (mut found, mut pages) = (Vec::new(), 0);
    while let Some(path) = next {
        let (items, more) = page(scene, &path, caller.clone());
        assert!(items.len() <= 2, "{path}: {items:?}");
        found.extend(items);
        pages += 1;
        assert!(pages < 100, "{path} leads nowhere");
        next = more;
    }
    found
}

/// The list as it always was is what the pages hold together.
#[track_caller]
fn holds(scene: &mut Scene, path: &str, caller: &Caller, count: usize) {
    let (whole, next) = page(scene, path, caller.clone());
    assert_eq!((whole.len(), next), (count, None), "{path}");
    assert_eq!(walk(scene, path, caller), whole, "{path}");
}

/// Everything that is listed, five or more of each; names with what separates parts of keys and of queries.
fn furnished() -> Scene {
    let mut scene = Scene::new().with_secret();
    for name in ["a", "b&c=d", "b,c", "1:b", "~"] {
        let (status, body) = scene.member(
            Verb::Put,
            &format!("/contracts/{name}"),
            &json!({ "data": 1 }),
        );
        assert_eq!(status, 200, "{body}");
        let path = format!("/contracts/c1/secrets/{name}");
        scene.member(Verb::Put, &path, &json!({ "value": "v" }));
        let claims = json!({ "x-ms-sevsnpvm-hostdata": "00" });
        let envelope = scene.signed(&json!({ "type": "add", "claims": claims }));
        let path = format!("/contracts/c1/cleanroompolicy/delegates/{name}/{name}");
        let (status, body) = scene.call(Verb::Put, &path, Caller::Unasked, &envelope);
        assert_eq!(status, 200, "{body}");
        for kind in ["memberdocuments", "userdocuments"] {
            let body = json!({ "contractId": "c1", "data": 1 });
            scene.member(Verb::Put, &format!("/{kind}/{name}"), &body);
        }
        user(&mut scene, name);
        let invitation = json!({ "accountType": "microsoft" });
        let table = "public:ccf.gov.user_invitations";
        set(&mut scene.host, table, name, &invitation);
    }
    scene
}

#[test]
fn every_list_is_whole_by_itself_and_comes_in_pages_when_asked() {
    let mut scene = furnished();
    for (path, count) in [
        ("/contracts", 6),
        ("/contracts?state=Draft", 5),
        ("/contracts?state=Accepted", 1),
        ("/contracts?state=Proposed", 0),
        ("/contracts/c1/secrets", 6),
        ("/contracts/c1/cleanroompolicy/delegates", 5),
        ("/contracts/c1/memberdocuments", 5),
        ("/contracts/c1/userdocuments", 5),
        ("/memberdocuments", 5),
        ("/userdocuments", 5),
        ("/users/identities", 5),
        ("/users/invitations", 5),
    ] {
        holds(&mut scene, path, &m("m1"), count);
        for limit in ["0", "1001", "-1", "x", "1.5"] {
            let with = if path.contains('?') { '&' } else { '?' };
            let path = format!("{path}{with}limit={limit}");
            refuses(
                scene.member(Verb::Get, &path, &Value::Null),
                400,
                "InvalidInput",
            );
        }
    }
}

#[test]
fn pages_of_contracts_keep_to_the_state_and_to_who_takes_part() {
    let mut scene = furnished();
    let action = json!({ "name": "set_contract", "args": { "contractId": "1:b", "contract": { "data": 1 } } });
    let proposal = json!({ "actions": [action] });
    set(&mut scene.host, "public:ccf.gov.proposals", "p", &proposal);
    let open = json!({ "state": "Open" });
    set(&mut scene.host, "public:ccf.gov.proposals_info", "p", &open);
    holds(&mut scene, "/contracts?state=Proposed", &m("m1"), 1);
    holds(&mut scene, "/contracts?state=Draft", &m("m1"), 4);
    let path = "/contracts?state=Draft&limit=2";
    let (_, next) = page(&mut scene, path, m("m1"));
    assert!(next.unwrap().ends_with("&state=Draft"));
    // An accepted contract that also has its draft is there once.
    let accepted = json!({ "data": 1, "proposalId": "p", "finalVotes": {} });
    let table = "public:ccf.gov.accepted_contracts";
    set(&mut scene.host, table, "a", &accepted);
    holds(&mut scene, "/contracts", &m("m1"), 6);
    holds(&mut scene, "/contracts?state=Accepted", &m("m1"), 2);
    set_options(&mut scene, &json!({ "members": ["m2"] }));
    holds(&mut scene, "/contracts", &m("m1"), 5);
    holds(&mut scene, "/contracts", &m("m2"), 6);
}

#[test]
fn pages_of_secrets_show_users_who_see_their_own_nothing_of_others() {
    let mut scene = furnished();
    let caller = user(&mut scene, "u");
    for name in ["x", "y", "z"] {
        let path = format!("/contracts/c1/secrets/{name}");
        let body = json!({ "value": "v" });
        assert_eq!(scene.call(Verb::Put, &path, caller.clone(), &body).0, 200);
    }
    holds(&mut scene, "/contracts/c1/secrets", &caller, 9);
    set_options(&mut scene, &json!({ "listOwnSecretsOnly": true }));
    holds(&mut scene, "/contracts/c1/secrets", &caller, 3);
    holds(&mut scene, "/contracts/c1/secrets", &m("m1"), 9);
    // A place outside of the own secrets leads to none of others.
    for (after, count) in [("a", 3), ("m1_a", 3), ("u_x", 2), ("u_z", 0), ("zz", 0)] {
        let path = format!("/contracts/c1/secrets?limit=9&after={after}");
        let (items, next) = page(&mut scene, &path, caller.clone());
        assert_eq!((items.len(), next), (count, None), "{after}");
    }
}

#[test]
fn long_lists_of_two_tables_are_walked_to_their_end() {
    let mut scene = Scene::new();
    let draft = json!({ "data": 1 });
    for n in 0..2100 {
        let id = format!("d{n:05}");
        set(&mut scene.host, "public:contracts", &id, &draft);
    }
    // Nothing of the first 2000 rows is wanted: a page may be empty and lead on.
    let accepted = json!({ "data": 1, "proposalId": "p", "finalVotes": {} });
    let table = "public:ccf.gov.accepted_contracts";
    set(&mut scene.host, table, "d02050", &accepted);
    let found = walk(&mut scene, "/contracts?state=Accepted", &m("m1"));
    assert_eq!(found, [json!({ "id": "c1" }), json!({ "id": "d02050" })]);
    holds(&mut scene, "/contracts?state=Accepted", &m("m1"), 2);
}

#[test]
fn a_page_of_invitations_holds_nothing_of_others_for_who_is_not_registered() {
    let mut scene = furnished();
    let claims = "public:ccf.gov.user_invitations-b,c";
    set(&mut scene.host, claims, "oid", &json!(["o"]));
    let stranger = token(json!({ "oid": "o", "tid": "t" }));
    let found = walk(&mut scene, "/users/invitations", &stranger);
    let ids: Vec<_> = found.iter().map(|one| &one["invitationId"]).collect();
    assert_eq!(ids, ["b,c"]);
}
