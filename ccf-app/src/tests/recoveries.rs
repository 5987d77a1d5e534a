//! Releases after a recovery: held until the terms of the members are met.

use serde_json::{Value, json};

use super::{AGREED, Scene, set};

/// The service was recovered twice, and the second recovery left this record.
fn recovered(record: &Value) -> Scene {
    let mut scene = Scene::new().with_secret();
    let info = json!({ "status": "Open", "cert": "c", "recovery_count": 2 }).to_string();
    scene
        .host
        .store("public:ccf.gov.service.info", &[0; 8], info.as_bytes());
    let unmet = json!({ "kind": "break_glass", "requires_member_ack": true });
    set(&mut scene.host, "public:ccf.gov.recoveries", "1", &unmet);
    set(&mut scene.host, "public:ccf.gov.recoveries", "2", record);
    scene
}

#[test]
fn a_break_glass_recovery_holds_releases_until_it_is_acknowledged() {
    let record = json!({
        "kind": "break_glass", "reason": "the vault burnt down", "proposal_id": "p7",
        "requires_member_ack": true, "notice_seconds": 0, "opened_at": 0,
    });
    let mut scene = recovered(&record);
    let envelope = scene.envelope(AGREED);
    let body = scene.refused(&envelope, 423, "RecoveryNotAcknowledged");
    let detail = &body["error"]["details"][0];
    assert_eq!(detail["reason"], "the vault burnt down");
    assert_eq!(detail["proposalId"], "p7");
    assert_eq!(detail["needsAcknowledgement"], true);
    assert_eq!(scene.records()[0]["record"]["outcome"], "denied");

    let mut record = record;
    record["acknowledged_by"] = json!("p8");
    set(&mut scene.host, "public:ccf.gov.recoveries", "2", &record);
    assert_eq!(scene.release(&envelope).0, 200);
}

#[test]
fn notice_holds_releases_for_its_time() {
    let opened = json!({ "kind": "break_glass", "notice_seconds": 1_000_000_000, "opened_at": 4_000_000_000_000_u64 });
    let mut scene = recovered(&opened);
    let envelope = scene.envelope(AGREED);
    let body = scene.refused(&envelope, 423, "RecoveryNotAcknowledged");
    assert_eq!(body["error"]["details"][0]["noticeEnds"], 5_000_000_000_u64);
    let over = json!({ "kind": "break_glass", "notice_seconds": 1, "opened_at": 1 });
    set(&mut scene.host, "public:ccf.gov.recoveries", "2", &over);
    assert_eq!(scene.release(&envelope).0, 200);
}

#[test]
fn other_recoveries_hold_nothing_and_a_record_that_cannot_be_read_holds_everything() {
    for record in [
        json!({ "kind": "confidential" }),
        json!({ "recovery_count": 2 }),
    ] {
        let mut scene = recovered(&record);
        let envelope = scene.envelope(AGREED);
        assert_eq!(scene.release(&envelope).0, 200, "{record}");
    }
    let mut scene = recovered(&json!({ "requires_member_ack": "yes" }));
    let envelope = scene.envelope(AGREED);
    assert_eq!(scene.release(&envelope).0, 500);
}
