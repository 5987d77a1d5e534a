//! What needs no node around it.

use std::sync::Arc;

use ccf_rs::{Auth, Endpoints, ReadContext, Reply, Result};

use super::document;
use super::node::byte_range;

#[test]
fn d37_byte_ranges_stay_within_the_file() {
    for (header, want) in [
        ("bytes=0-9", Some((0, 10))),
        ("bytes=90-", Some((90, 100))),
        ("bytes=-10", Some((90, 100))),
        ("bytes=-1000", Some((0, 100))),
        ("bytes=50-1000", Some((50, 100))),
        ("bytes=100-", None),
        ("bytes=9-8", None),
        ("bytes=0-1,3-4", None),
        ("bytes=+1-2", None),
        ("bytes=-", None),
        ("lines=0-1", None),
        ("bytes=0-18446744073709551615", None),
    ] {
        assert_eq!(byte_range(header, 100), want, "{header}");
    }
}

#[test]
fn d37_documents_list_paths_parameters_and_policies() {
    fn nothing(_: &(), _: &mut ReadContext<'_>) -> Result<Reply> {
        Ok(Reply::ok())
    }
    let list = Endpoints::new(Arc::new(()))
        .get("/a/{id}:b", nothing)
        .auth([Auth::MemberCert, Auth::Anonymous])
        .summary("A")
        .put("/a/{id}:b", nothing)
        .build();
    let document = document("app", "T", "1", &list);
    let operation = &document["paths"]["/a/{id}:b"]["get"];
    assert_eq!(operation["parameters"][0]["name"], "id");
    assert_eq!(
        operation["security"],
        serde_json::json!([{ "member_cert": [] }, {}])
    );
    assert_eq!(operation["summary"], "A");
    assert!(document["paths"]["/a/{id}:b"]["put"].is_object());
    assert!(document["components"]["securitySchemes"]["member_cert"].is_object());
}
