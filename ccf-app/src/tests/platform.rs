//! The governed platform policy.

use super::{AGREED, Scene};

#[test]
fn w17_a_governed_platform_policy_decides_and_an_unreadable_one_closes() {
    let mut scene = Scene::new().with_secret();
    let envelope = scene.envelope(AGREED);
    let table = "public:ccf.gov.platform_policy";
    // Of production: simulated utility VMs are endorsed by nobody it knows.
    scene.host.store(table, &[0; 8], b"{}");
    scene.refused(&envelope, 400, "VerifySnpAttestationFailed");
    scene.host.store(table, &[0; 8], b"{\"unknown\":1}");
    assert_eq!(scene.release(&envelope).0, 500);
    scene.host.erase(table, &[0; 8]);
    assert_eq!(scene.release(&envelope).0, 200);
}
