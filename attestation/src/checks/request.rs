use serde_json::{Value, json};

use super::{Case, check_tests};
use crate::{Check, Evidence, Sha256Digest};

/// Reads the request of an unspoilt case after a change.
fn read(change: fn(&mut Value)) -> Result<(), Check> {
    let mut request = Case::new().evidence.to_request();
    change(&mut request);
    Evidence::from_request(&request)
        .map(|_| ())
        .map_err(|error| error.check())
}

macro_rules! request_tests {
    ($($number:ident $check:ident accepts $good:expr; refuses [$($bad:expr),*];)*) => {$(
        mod $number {
            use super::*;

            #[test]
            fn accepts() {
                assert_eq!(read($good), Ok(()));
            }

            #[test]
            fn refuses() {
                let changes: &[fn(&mut Value)] = &[$($bad),*];
                for (i, change) in changes.iter().enumerate() {
                    assert_eq!(read(*change), Err(Check::$check), "change {i}");
                }
            }
        }
    )*};
}

request_tests! {
    req_01 Req01 accepts |r| r["unknown"] = json!(1);
        refuses [
            |r| *r = json!([]),
            |r| *r = json!("x"),
            |r| drop(r.as_object_mut().unwrap().remove("evidence")),
            |r| drop(r.as_object_mut().unwrap().remove("endorsements")),
            |r| r["uvm_endorsements"] = Value::Null,
            |r| r["evidence"] = json!(5),
            |r| r["endorsed_tcb"] = json!(5)
        ];
    req_02 Req02 accepts |r| drop(r.as_object_mut().unwrap().remove("uvm_endorsements"));
        refuses [
            |r| r["evidence"] = json!("AA"),
            |r| r["evidence"] = json!("AB=="),
            |r| r["evidence"] = json!("AA== "),
            |r| r["evidence"] = json!("A\nA=="),
            |r| r["evidence"] = json!("_-A="),
            |r| r["evidence"] = json!("AA\u{0}=")
        ];
    req_03 Req03 accepts |_| {};
        refuses [
            |r| r["evidence"] = json!("A".repeat(1584)),
            |r| r["endorsements"] = json!("A".repeat(100 << 20)),
            |r| r["uvm_endorsements"] = json!("A".repeat(45 * 1024))
        ];
    req_04 Req04 accepts |r| r["endorsed_tcb"] = json!("DB18000000000004");
        refuses [
            |r| r["endorsed_tcb"] = json!(""),
            |r| r["endorsed_tcb"] = json!("db1800000000000"),
            |r| r["endorsed_tcb"] = json!("0xdb180000000000"),
            |r| r["endorsed_tcb"] = json!("gb18000000000004")
        ];
}

check_tests! {
    ins_01 Ins01 accepts |c| { c.policy.denied_host_data.insert([8; 32].into()); };
        refuses |c| { c.policy.denied_host_data.insert(c.guest.host_data); };
    ins_02 Ins02 accepts |_| {};
        refuses |c| {
            let pem = crate::simulated::client_key();
            c.policy.denied_keys.insert(Sha256Digest::of(pem.public_key_pem().as_bytes()));
        };
}
