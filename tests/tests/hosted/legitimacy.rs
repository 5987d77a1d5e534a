//! Government as the embedded node runs it, judged from its ledger alone.

use std::time::Duration;

use governance::Identity;
use governance::member::{Actions, Ballot};
use ledger_tools::{Legitimacy, Verdict, VerifyOptions, judge_directory};
use serde_json::json;
use tests::scene::Scene;

fn judge(service: &mut tests::service::Service) -> Legitimacy {
    service.stop();
    let options = VerifyOptions {
        service_certificate: Some(service.certificate().to_owned()),
        ..VerifyOptions::default()
    };
    let (report, found) = judge_directory(&service.ledger(), &options).unwrap();
    assert_eq!(report.verdict(), Verdict::Verified);
    if let Some(breach) = &found.breach {
        panic!("{breach}");
    }
    assert!(found.holds(), "{:?}", found.unjudged);
    found
}

#[test]
fn what_a_node_governs_is_found_legitimate() {
    let mut scene = Scene::set();
    let members = &scene.members;
    let terms = |id: &str| json!({ "contractId": id, "contract": { "data": "terms" } });
    let proposal = |id| Actions::new().action("set_contract", terms(id));
    let withdrawn = members[0].propose(&proposal("c2")).unwrap();
    members[0].withdraw(&withdrawn.proposal_id).unwrap();
    let disputed = members[1].propose(&proposal("c3")).unwrap();
    members[0]
        .vote(&disputed.proposal_id, &Ballot::Against)
        .unwrap();
    let rekey = Actions::new().action("trigger_ledger_rekey", serde_json::Value::Null);
    scene.service.accept(members, &rekey);
    let dora = Identity::generate("dora", Duration::from_secs(3600)).unwrap();
    let dora = dora.with_encryption_key().unwrap();
    let key = dora.encryption_key().unwrap().public_key_pem().unwrap();
    let member = json!({ "cert": dora.certificate().to_pem(), "encryption_pub_key": key });
    let joins = Actions::new().action("set_member", member);
    scene.service.accept(members, &joins);
    scene.service.member(&dora).activate().unwrap();
    let found = judge(&mut scene.service);
    assert_eq!(found.withdrawals, 1);
    assert_eq!(found.acknowledgements, 3);
    assert!(found.applied >= 5);
}
