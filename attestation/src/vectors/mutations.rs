//! Genuine evidence with one change: none may be accepted, each has its class.

use super::*;
use crate::pem;

#[test]
fn mutations_give_the_listed_results() {
    let Some(folder) = folder("mutations_give_the_listed_results") else {
        return;
    };
    let index = read_json(&folder.join("index.json"));
    let list = read_json(&folder.join("mutations/mutations.json"));
    let now = verify_at(&list);
    let policy = strict(&array(&index, "uvm_roots_default")[..1]);
    // One verifier with caches for all: what one mutation leaves behind must not change another's result.
    let cached = Verifier::new(TrustAnchors::production());
    let uncached = Verifier::without_caches(TrustAnchors::production());
    let mut tally = Tally::default();
    for mutation in array(&list, "mutations") {
        let base = folder.join(text(mutation, "base"));
        let file = |name: &str| {
            Some(base.join(name))
                .filter(|p| p.exists())
                .map(|p| read(&p))
        };
        let mut evidence = Evidence {
            report: file("report.bin").unwrap(),
            endorsements: file("endorsements.pem").unwrap(),
            uvm_endorsements: file("uvm_endorsement.cose"),
            endorsed_tcb: None,
        };
        let run = |verifier: &Verifier, evidence: &Evidence| match text(mutation, "profile") {
            "caci" => outcome(verifier.verify(evidence, &policy, now)),
            "core" => outcome(core(verifier, evidence, &policy, now)),
            other => panic!("unknown profile {other}"),
        };
        assert_eq!(run(&cached, &evidence), "ok", "{mutation}");
        let target = match text(mutation, "target") {
            "report" => &mut evidence.report,
            "endorsements" => &mut evidence.endorsements,
            "uvm" => evidence.uvm_endorsements.as_mut().unwrap(),
            other => panic!("unknown target {other}"),
        };
        apply(mutation, target, &folder);
        let want = text(mutation, "expected");
        assert_ne!(want, "ok");
        tally.expect(
            &format!("{mutation} cached"),
            &run(&cached, &evidence),
            want,
        );
        tally.expect(&mutation.to_string(), &run(&uncached, &evidence), want);
    }
    tally.finish("mutations", 1000);
}

fn apply(mutation: &Value, target: &mut Vec<u8>, folder: &Path) {
    let number = |name: &str| usize::try_from(mutation[name].as_u64().unwrap()).unwrap();
    match text(mutation, "op") {
        "xor" => target[number("offset")] ^= u8::try_from(number("value")).unwrap(),
        "set" => {
            let bytes = hex::decode(text(mutation, "hex")).unwrap();
            target[number("offset")..][..bytes.len()].copy_from_slice(&bytes);
        }
        "truncate" => target.truncate(target.len() - number("count")),
        "append" => target.extend(hex::decode(text(mutation, "hex")).unwrap()),
        "cert_order" => {
            let certificates = pem::read(target, "CERTIFICATE", 3).unwrap();
            let order = array(mutation, "order")
                .iter()
                .map(|i| usize::try_from(i.as_u64().unwrap()).unwrap());
            let text: String = order
                .map(|i| pem::write("CERTIFICATE", &certificates[i]) + "\n")
                .collect();
            *target = text.into_bytes();
        }
        "replace_endorsements" => *target = read(&folder.join(text(mutation, "with"))),
        other => panic!("unknown operation {other}"),
    }
}
