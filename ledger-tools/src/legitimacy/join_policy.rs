//! What may join beside what members have let in: a node that recovers a service adds itself, and nothing else.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::actual::Actual;
use super::names::{NODE_CERTS, NODE_INFO, NODES, name, row};
use super::rule::{Breach, Rule};
use crate::tables::Tables;
use crate::values::readable;

const HOST_DATA: [&str; 2] = [
    "public:ccf.gov.nodes.snp.host_data",
    "public:ccf.gov.nodes.virtual.host_data",
];
/// The last is that of CCF 1.x and 2.x.
const MEASUREMENTS: [&str; 3] = [
    "public:ccf.gov.nodes.snp.measurements",
    "public:ccf.gov.nodes.virtual.measurements",
    "public:ccf.gov.nodes.code_ids",
];
const UVM_ENDORSEMENTS: &str = "public:ccf.gov.nodes.snp.uvm_endorsements";
const TCB_VERSIONS: &str = "public:ccf.gov.nodes.snp.tcb_versions";

/// What a node says that it runs as.
#[derive(Default, Deserialize)]
struct Node {
    #[serde(default)]
    code_digest: String,
    #[serde(default)]
    quote_info: Quote,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Quote {
    format: String,
    quote: String,
    uvm_endorsements: Option<String>,
}

/// LEG-19: of the node that is new, what its own row says of it.
pub(super) fn own_rows(tables: &Tables, actual: &Actual<'_>) -> Result<(), Breach> {
    let rule = Rule::RecoveryStart;
    let mut new = actual.rows(NODE_INFO);
    let new = new.find(|(id, _)| tables.row(NODE_INFO, id).is_none());
    let (id, value) = new.ok_or_else(|| rule.broken("no new node", "one"))?;
    let node: Node = row(value, NODE_INFO, rule)?.unwrap_or_default();
    for table in actual.tables() {
        if !table.starts_with(NODES) || table == NODE_INFO {
            continue;
        }
        let own = match actual.one(table) {
            Some((key, Some(value))) => {
                let before = tables.value(table, key);
                let allowed = key == id && table == NODE_CERTS;
                allowed || node.is_told(table, key, value, before)
            }
            _ => false,
        };
        if !own {
            let keys: Vec<_> = actual.rows(table).map(|(key, _)| readable(key)).collect();
            let got = format!("{table}[{}]", keys.join(", "));
            return Err(rule.broken(got, format!("what node {} is", name(id))));
        }
    }
    Ok(())
}

impl Node {
    /// Whether a row lets in what this node is.
    fn is_told(&self, table: &str, key: &[u8], value: &[u8], before: Option<&[u8]>) -> bool {
        if HOST_DATA.contains(&table) {
            let own = self.host_data();
            own.is_some_and(|own| same(key, &own))
        } else if MEASUREMENTS.contains(&table) {
            let own = self.measurement();
            own.is_some_and(|own| same(key, &own))
        } else if table == UVM_ENDORSEMENTS {
            self.is_endorsed(key, value, before)
        } else {
            table == TCB_VERSIONS && self.is_of_processor(key) && self.has_tcb(value)
        }
    }

    fn quote(&self) -> Vec<u8> {
        STANDARD.decode(&self.quote_info.quote).unwrap_or_default()
    }

    /// The attestation report of the hardware.
    fn report(&self) -> Option<Vec<u8>> {
        (self.quote_info.format == "AMD_SEV_SNP_v1").then(|| self.quote())
    }

    fn host_data(&self) -> Option<Vec<u8>> {
        if let Some(report) = self.report() {
            return report.get(0xc0..0xe0).map(<[u8]>::to_vec);
        }
        let quote: Value = serde_json::from_slice(&self.quote()).ok()?;
        hex::decode(quote.get("host_data")?.as_str()?).ok()
    }

    fn measurement(&self) -> Option<Vec<u8>> {
        if let Some(report) = self.report() {
            return report.get(0x90..0xc0).map(<[u8]>::to_vec);
        }
        hex::decode(&self.code_digest).ok()
    }

    /// Whether the endorsement of this node's utility machine names the issuer, and each feed that was not there before.
    fn is_endorsed(&self, issuer: &[u8], feeds: &[u8], before: Option<&[u8]>) -> bool {
        type Feeds = BTreeMap<String, Value>;
        let endorsement = self.quote_info.uvm_endorsements.as_deref();
        let endorsement = endorsement.and_then(|text| STANDARD.decode(text).ok());
        let endorsement = endorsement.unwrap_or_default();
        let names = |text: &[u8]| {
            !text.is_empty() && endorsement.windows(text.len()).any(|part| part == text)
        };
        let parse = |row: &[u8]| serde_json::from_slice::<Feeds>(row).ok();
        let before = before.and_then(parse).unwrap_or_default();
        parse(feeds).is_some_and(|feeds| {
            let mut feeds = feeds.iter();
            names(issuer)
                && feeds.all(|(feed, row)| before.get(feed) == Some(row) || names(feed.as_bytes()))
        })
    }

    /// Whether this is the processor of the report, which reports before version 3 do not say.
    fn is_of_processor(&self, cpuid: &[u8]) -> bool {
        let report = self.report().unwrap_or_default();
        let version = report.first_chunk().map_or(0, |v| u32::from_le_bytes(*v));
        let Some([family, model, stepping]) = report.get(0x188..0x18b) else {
            return false;
        };
        let (family, model) = (u32::from(*family), u32::from(*model));
        let extended = (family.saturating_sub(0xf) << 20) | ((model >> 4) << 16);
        let base = (family.min(0xf) << 8) | ((model & 0xf) << 4);
        let own = format!("{:08x}", extended | base | u32::from(*stepping));
        version < 3 || cpuid.eq_ignore_ascii_case(own.as_bytes())
    }

    /// Whether these are the versions of this node's platform, all of them: one left out could be any.
    fn has_tcb(&self, versions: &[u8]) -> bool {
        let report = self.report();
        let tcb = report
            .as_deref()
            .and_then(|report| report.get(0x180..0x188));
        let (Some(tcb), Ok(Value::Object(versions))) = (tcb, serde_json::from_slice(versions))
        else {
            return false;
        };
        let text: Vec<u8> = tcb.iter().rev().copied().collect();
        let whole = versions.get("hexstring").and_then(Value::as_str);
        if whole.is_some_and(|whole| !whole.eq_ignore_ascii_case(&hex::encode(text))) {
            return false;
        }
        // Turin has one component more, in front of the others.
        let parts = if versions.contains_key("fmc") {
            ["fmc", "boot_loader", "tee", "snp", "", "", "", "microcode"]
        } else {
            ["boot_loader", "tee", "", "", "", "", "snp", "microcode"]
        };
        let mut parts = parts.iter().zip(tcb).filter(|(part, _)| !part.is_empty());
        parts.all(|(part, own)| match versions.get(*part) {
            Some(version) => version.as_u64() == Some(u64::from(*own)),
            None => whole.is_some(),
        })
    }
}

/// Keys are the bytes, or their hexadecimal form.
fn same(key: &[u8], own: &[u8]) -> bool {
    key == own || key.eq_ignore_ascii_case(hex::encode(own).as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A node on the hardware, as far as its report says what it is.
    fn node() -> Node {
        let mut report = vec![0; 1184];
        report[0] = 3;
        report[0x90..0xc0].fill(7);
        report[0xc0..0xe0].fill(9);
        report[0x180..0x188].copy_from_slice(&[4, 0, 0, 0, 0, 0, 0x18, 0xdb]);
        report[0x188..0x18b].copy_from_slice(&[0x19, 1, 1]);
        Node {
            code_digest: String::new(),
            quote_info: Quote {
                format: "AMD_SEV_SNP_v1".to_owned(),
                quote: STANDARD.encode(report),
                uvm_endorsements: Some(STANDARD.encode("..did:x509:0:own..Feed-1..")),
            },
        }
    }

    #[test]
    fn leg_19_the_report_says_what_a_node_is() {
        let tells = |table: &str, key: &str, value: Value, before: Option<Value>| {
            let [value, before] = [Some(value), before].map(|v| v.map(|v| v.to_string()));
            let table = format!("{NODES}snp.{table}");
            let before = before.as_ref().map(String::as_bytes);
            node().is_told(&table, key.as_bytes(), value.unwrap().as_bytes(), before)
        };
        for (table, own) in [
            ("host_data", [9; 32].as_slice()),
            ("measurements", &[7; 48]),
        ] {
            assert!(tells(table, &hex::encode(own), json!(""), None));
            assert!(!tells(
                table,
                &hex::encode(vec![1; own.len()]),
                json!(""),
                None
            ));
        }
        let feed = json!({ "Feed-1": { "svn": "1" } });
        assert!(tells(
            "uvm_endorsements",
            "did:x509:0:own",
            feed.clone(),
            None
        ));
        assert!(!tells("uvm_endorsements", "did:x509:0:other", feed, None));
        let both = json!({ "Feed-1": { "svn": "1" }, "Feed-2": { "svn": "3" } });
        let known = json!({ "Feed-2": { "svn": "3" } });
        assert!(tells(
            "uvm_endorsements",
            "did:x509:0:own",
            both.clone(),
            Some(known)
        ));
        assert!(!tells("uvm_endorsements", "did:x509:0:own", both, None));
        let tcb = json!({ "boot_loader": 4, "microcode": 0xdb, "snp": 0x18, "tee": 0 });
        assert!(tells("tcb_versions", "00a00f11", tcb.clone(), None));
        let text = json!({ "hexstring": "DB18000000000004" });
        assert!(tells("tcb_versions", "00a00f11", text, None));
        assert!(!tells("tcb_versions", "00a10f11", tcb.clone(), None));
        let mut lower = tcb;
        lower["microcode"] = json!(1);
        for lower in [
            lower,
            json!({ "boot_loader": 4 }),
            json!({}),
            json!({ "hexstring": "00" }),
        ] {
            assert!(!tells("tcb_versions", "00a00f11", lower, None));
        }
        assert!(!tells("other", "x", json!(""), None));
    }
}
