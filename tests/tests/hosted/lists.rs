//! Lists in pages, over the tables of either host: the pages together are the list, in its order.

use attestation::Family;
use governance::Client;
use governance::clean_room::DelegatePolicy;
use governance::client::Request;
use governance::documents::{DocumentKind, Draft};
use governance::member::Actions;
use governance::policies::{Claims, HOST_DATA, PolicyEdit};
use governance::secrets::SecretText;
use http::header::LINK;
use serde_json::{Value, json};
use tests::scenarios;
use tests::scene::{CONTRACT, Scene};
use tests::service::Host;

scenarios!(every_list_comes_whole_or_in_pages);

/// Names with what separates parts of keys and of queries.
const NAMES: [&str; 5] = ["1:b", "a", "b&c=d", "b,c", "~"];

/// The items of an answer, and where the next page is: the body says so, or a header where the body is a bare array.
fn page(client: &Client, path: &str) -> (Vec<Value>, Option<String>) {
    let answer = client.send(Request::get(path)).unwrap();
    let link = answer.headers().get(LINK).map(|link| {
        let (link, relation) = link.to_str().unwrap().split_once(';').unwrap();
        assert_eq!(relation.trim(), "rel=\"next\"");
        link.trim_matches(['<', '>']).to_owned()
    });
    let body: Value = answer.json().unwrap();
    let next = body["nextLink"].as_str().map(str::to_owned).or(link);
    let items = body.get("value").unwrap_or(&body).as_array().unwrap();
    (items.clone(), next)
}

/// The list by pages of two.
#[track_caller]
fn walk(client: &Client, path: &str) -> Vec<Value> {
    let with = if path.contains('?') { '&' } else { '?' };
    let mut next = Some(format!("{path}{with}limit=2"));
    let mut found: Vec<Value> = Vec::new();
    while let Some(path) = next {
        let (items, more) = page(client, &path);
        assert!(items.len() <= 2, "{path}: {items:?}");
        found.extend(items);
        assert!(found.len() < 100, "{path} leads nowhere");
        next = more;
    }
    found
}

/// A contract, secret, delegate, document of each kind, user and invitation of each name.
fn furnish(scene: &Scene) {
    let client = scene.members[0].client();
    let mut actions = Actions::new();
    for name in NAMES {
        client.put_contract(name, &json!(1), None).unwrap();
        let secret = SecretText::new("v".to_owned());
        client.put_secret(CONTRACT, name, &secret).unwrap();
        let claims: Claims = [(HOST_DATA.to_owned(), vec![json!("00".repeat(32))])].into();
        let change = DelegatePolicy {
            kind: name.to_owned(),
            id: name.to_owned(),
            platform: Family::Caci,
            edit: PolicyEdit::Add,
            claims,
            documents: None,
        };
        scene.room.put_delegate(CONTRACT, &change).unwrap();
        let draft = Draft {
            data: json!(1),
            ..Draft::default()
        };
        for kind in [DocumentKind::Member, DocumentKind::User] {
            client.put_document(CONTRACT, kind, name, &draft).unwrap();
        }
        actions = actions
            .set_user_identity(name, None, &json!({ "tenantId": "t" }))
            .invite_user(name, &[("sub".to_owned(), vec![json!(name)])].into());
    }
    scene.service.accept(&scene.members, &actions);
    for _ in 0..3 {
        scene.room.secret(CONTRACT, &scene.secret_id).unwrap();
    }
}

fn every_list_comes_whole_or_in_pages(host: &Host) {
    let scene = Scene::on(host);
    furnish(&scene);
    let client = scene.members[0].client();
    let of = |path: &str| format!("/app/contracts/{CONTRACT}/{path}");
    for (path, count) in [
        ("/app/contracts".to_owned(), 6),
        ("/app/contracts?state=Draft".to_owned(), 5),
        ("/app/contracts?state=Accepted".to_owned(), 1),
        (of("secrets"), 6),
        (of("cleanroompolicy/delegates"), 5),
        (of("memberdocuments"), 5),
        (of("userdocuments"), 5),
        ("/app/memberdocuments".to_owned(), 5),
        ("/app/userdocuments".to_owned(), 5),
        ("/app/users/identities".to_owned(), 5),
        ("/app/users/invitations".to_owned(), 5),
        (of("releases"), 3),
    ] {
        let (whole, next) = page(client, &path);
        assert_eq!((whole.len(), next), (count, None), "{path}");
        assert_eq!(walk(client, &path), whole, "{path}");
        let with = if path.contains('?') { '&' } else { '?' };
        let beyond = client.send(Request::get(format!("{path}{with}limit=0")));
        let error = beyond.expect_err("a refusal");
        assert_eq!(error.code(), Some("InvalidInput"), "{path}");
    }
    // A place that is given continues behind it, whether it is there or not.
    for (after, want) in [("a", 3), ("aa", 3), ("~", 0)] {
        let path = format!("/app/users/identities?limit=9&after={after}");
        assert_eq!(page(client, &path).0.len(), want, "{after}");
    }
}
