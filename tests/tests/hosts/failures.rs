//! What goes wrong in a handler is answered, drops what was written, and harms nobody else.

use http::Method;
use tests::service::Host;

use crate::{Probed, hosts, refusal};

hosts!(failures_are_answered_and_the_node_stays_up);

fn failures_are_answered_and_the_node_stays_up(host: &Host) {
    let probed = Probed::on(host);
    for _ in 0..3 {
        for (method, path) in [
            (Method::POST, "/wrong/panic"),
            (Method::POST, "/wrong/panic-while-visiting"),
            (Method::POST, "/wrong/table"),
            (Method::GET, "/wrong/hidden"),
        ] {
            let response = probed.ask(method, path, "");
            assert_eq!(
                refusal(&response),
                (500, "InternalError".to_owned()),
                "{path}"
            );
            // What happened inside is for the log.
            let text = response.text().unwrap();
            assert!(!text.contains("asked") && !text.contains("constitution"));
            assert_eq!(response.transaction(), None, "{path}");
        }
    }
    for key in ["panic", "visit"] {
        let row = probed.get(&format!("/tables/public:wrong/{key}"));
        assert_eq!(row["has"], false, "{key}");
    }
    let log = probed.service.log();
    for line in [
        "/wrong/panic",
        "/wrong/panic-while-visiting",
        "/wrong/table",
    ] {
        assert!(log.contains(line), "{line} is not in {log}");
    }
    // On CCF the log is the operator's, and a panic may say anything.
    if matches!(host, Host::Ccf { .. }) {
        assert!(!log.contains("hunter2"));
    }
    assert_eq!(probed.put("/tables/public:probe/after", "1")["has"], true);
}
