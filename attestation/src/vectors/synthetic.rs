//! Made-up evidence under made-up roots.

use serde_json::json;

use super::*;
use crate::{AppraisalError, ClaimPolicy, Policies};

#[test]
fn synthetic_vectors_give_the_listed_results() {
    let Some(synthetic) = Synthetic::load("synthetic_vectors_give_the_listed_results") else {
        return;
    };
    let Synthetic {
        folder,
        index,
        now,
        anchors,
        policy,
        key,
    } = synthetic;
    let listed = &index["policy"];
    let contract = ClaimPolicy(
        [(
            "x-ms-sevsnpvm-hostdata".to_owned(),
            array(listed, "host_data").to_vec(),
        )]
        .into(),
    );
    let mut tally = Tally::default();
    for vector in array(&index, "vectors") {
        let file = |name: &str| {
            vector["files"][name]
                .as_str()
                .map(|f| read(&folder.join(f)))
        };
        let evidence = Evidence {
            report: file("report").unwrap_or_default(),
            endorsements: file("endorsements").unwrap_or_default(),
            uvm_endorsements: file("uvm"),
            endorsed_tcb: None,
        };
        let run = |verifier: &Verifier| match text(vector, "kind") {
            "report" => outcome(core(verifier, &evidence, &policy, now)),
            "uvm" => outcome(uvm_only(
                verifier,
                evidence.uvm_endorsements.as_deref().unwrap(),
                &policy,
            )),
            "caci" => match verifier.verify(&evidence, &policy, now) {
                Err(error) => error.class().to_string(),
                Ok(verified) => {
                    let policies = Policies {
                        contract: &contract,
                        delegate: None,
                    };
                    match verified.appraise(&policies, &key) {
                        Ok(_) => "ok".to_owned(),
                        Err(error) => AppraisalError::class(&error).to_string(),
                    }
                }
            },
            other => panic!("unknown kind {other}"),
        };
        if vector["kind"] != json!("cvm") {
            tally.expect(
                text(vector, "id"),
                &same_outcome(&anchors, run),
                text(vector, "expected"),
            );
        }
    }
    tally.finish("synthetic", 80);
}
