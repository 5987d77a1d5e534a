//! Names in certificates, and what members allow.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ccf_rs::{Context, Error, Result};
use rcgen::{DistinguishedName, DnType, DnValue, SanType};
use serde_json::json;

use crate::governed;
use crate::ids::ContractId;

/// What members allow an authority to certify; what they did not set limits nothing.
pub(super) struct Limits {
    /// DNS names below these, or these themselves. Names of the own machine are always allowed, other addresses then are not.
    dns_suffixes: Option<Vec<String>>,
    /// Longest validity; longer ones are shortened.
    maximum_days: Option<u32>,
    /// The proposal that set the suffixes.
    proposal: Option<String>,
}

/// Longest subject name as text.
pub(super) const LONGEST_SUBJECT: usize = 1024;
const MOST_NAMES: usize = 100;

impl Limits {
    pub(super) fn of_contract<C: Context>(ctx: &mut C, contract: &ContractId) -> Result<Self> {
        const SUFFIXES: &str = "caDnsSuffixes";
        let options = governed::of_contract(ctx, contract)?;
        Ok(Self {
            dns_suffixes: options.get(SUFFIXES)?,
            maximum_days: options.get("caMaximumDays")?,
            proposal: options.proposal(SUFFIXES).map(str::to_owned),
        })
    }

    /// Days of validity for a request.
    ///
    /// # Errors
    /// 400 `InvalidInput` when there are none.
    pub(super) fn days(&self, asked: u32) -> Result<u32> {
        if asked == 0 {
            let error = Error::bad_request("InvalidInput", "The validity has no days.");
            return Err(error.with_detail(json!({ "got": asked, "want": "1 or more days" })));
        }
        Ok(self.maximum_days.map_or(asked, |most| asked.min(most)))
    }

    /// Checks names; a warning for the record when members limited nothing and the names are not of the own machine.
    ///
    /// # Errors
    /// 403 `SubjectAlternateNameNotAllowed`.
    pub(super) fn check(
        &self,
        texts: &[String],
        names: &[SanType],
    ) -> Result<Option<&'static str>> {
        for (text, name) in texts.iter().zip(names) {
            if is_own_machine(name) {
                continue;
            }
            let Some(suffixes) = &self.dns_suffixes else {
                return Ok(Some("namesNotGoverned"));
            };
            let is_below = |dns: &str| suffixes.iter().any(|suffix| is_below(dns, suffix));
            if !matches!(name, SanType::DnsName(dns) if is_below(dns.as_str())) {
                return Err(Error::refused(
                    403,
                    "SubjectAlternateNameNotAllowed",
                    "Members do not allow this name.",
                )
                .with_detail(
                    json!({ "got": text, "want": suffixes, "proposalId": self.proposal }),
                ));
            }
        }
        Ok(None)
    }
}

fn is_own_machine(name: &SanType) -> bool {
    match name {
        SanType::DnsName(dns) => dns.as_str().eq_ignore_ascii_case("localhost"),
        SanType::IpAddress(address) => address.is_loopback(),
        _ => false,
    }
}

/// Whether a DNS name is a domain or below it; case does not matter.
fn is_below(dns: &str, domain: &str) -> bool {
    let (dns, domain) = (dns.to_ascii_lowercase(), domain.to_ascii_lowercase());
    dns == domain
        || dns
            .strip_suffix(&domain)
            .is_some_and(|rest| rest.ends_with('.'))
}

/// A subject such as `CN=name,O=organisation`; parts are sorted by kind, and of several of one kind the first counts.
///
/// # Errors
/// 400 `InvalidInput`.
pub(super) fn subject(text: &str) -> Result<DistinguishedName> {
    let error = || {
        let error = Error::bad_request("InvalidInput", "The subject name is not valid.");
        error.with_detail(json!({ "want": "CN=..., C, L, O, OU or ST separated by commas" }))
    };
    if text.len() > LONGEST_SUBJECT {
        return Err(error());
    }
    let mut parts = BTreeMap::new();
    for part in text.split(',') {
        let (kind, value) = part.split_once('=').ok_or_else(error)?;
        if value.is_empty() {
            return Err(error());
        }
        parts.entry(kind).or_insert(value);
    }
    let mut name = DistinguishedName::new();
    for (kind, value) in parts {
        let kind = match kind {
            "C" => DnType::CountryName,
            "CN" => DnType::CommonName,
            "L" => DnType::LocalityName,
            "O" => DnType::OrganizationName,
            "OU" => DnType::OrganizationalUnitName,
            "ST" => DnType::StateOrProvinceName,
            _ => return Err(error()),
        };
        name.push(kind, DnValue::Utf8String(value.to_owned()));
    }
    Ok(name)
}

/// Alternative names, `dNSName:name` or `iPAddress:address` each.
///
/// # Errors
/// 400 `InvalidSubjectAlternateName`.
pub(super) fn alternative(names: &[String]) -> Result<Vec<SanType>> {
    let error = |got: &str| {
        let message = "A subject alternative name is not valid.";
        let detail = json!({ "got": got, "want": "dNSName:NAME or iPAddress:ADDRESS" });
        Error::bad_request("InvalidSubjectAlternateName", message).with_detail(detail)
    };
    if names.len() > MOST_NAMES {
        return Err(error("more than 100 names"));
    }
    names
        .iter()
        .map(|name| match name.split_once(':') {
            Some(("iPAddress", address)) => address
                .parse::<IpAddr>()
                .map(SanType::IpAddress)
                .map_err(|_| error(name)),
            Some(("dNSName", dns)) if is_dns(dns) => dns
                .to_owned()
                .try_into()
                .map(SanType::DnsName)
                .map_err(|_| error(name)),
            _ => Err(error(name)),
        })
        .collect()
}

/// Labels of letters, digits, hyphens and underscores; the first may be `*`.
fn is_dns(name: &str) -> bool {
    let name = name.strip_prefix("*.").unwrap_or(name);
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_whole_labels() {
        assert!(is_below("a.example.com", "example.com"));
        assert!(is_below("*.Example.com", "example.COM"));
        assert!(is_below("example.com", "example.com"));
        assert!(!is_below("badexample.com", "example.com"));
        assert!(!is_below("example.com.evil", "example.com"));
        assert!(!is_below(".example.org", "example.com"));
    }

    #[test]
    fn names_are_read_strictly() {
        assert!(alternative(&["dNSName:*.a-b_c.d".into(), "iPAddress:::1".into()]).is_ok());
        for bad in [
            "URI:x",
            "dNSName:",
            "dNSName:a..b",
            "dNSName:a b",
            "dNSName:a.*",
            "dNSName:ä",
            "iPAddress:1.2.3",
            "x",
        ] {
            let error = alternative(&[bad.to_owned()]).unwrap_err();
            assert_eq!(error.code(), "InvalidSubjectAlternateName", "{bad}");
        }
        for bad in ["", "CN", "CN=", "X=1", "CN=a, O=b"] {
            assert_eq!(subject(bad).unwrap_err().code(), "InvalidInput", "{bad}");
        }
        let name = subject("O=b,CN=a,CN=c").unwrap();
        assert_eq!(name.iter().count(), 2);
    }
}
