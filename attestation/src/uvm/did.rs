//! Issuers: did:x509, version 0, with `eku` policies only.
//!
//! ```text
//! did:x509:0:sha256:<base64url of the hash of an authority's certificate>::eku:<oid>
//! ```

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use aws_lc_rs::digest;

use crate::{
    certificate::Certificate,
    error::{Check, EvidenceError},
};

/// A parsed issuer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DidX509<'a> {
    algorithm: &'static digest::Algorithm,
    fingerprint: Vec<u8>,
    /// At least one.
    usages: Vec<&'a str>,
}

impl<'a> DidX509<'a> {
    /// UVM-13, the syntax.
    pub(super) fn parse(text: &'a str) -> Result<Self, EvidenceError> {
        Self::read(text).ok_or_else(|| {
            EvidenceError::new(
                Check::Uvm13,
                text,
                "did:x509:0:<hash>:<fingerprint>::eku:<oid>",
            )
        })
    }

    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("did:x509:0:")?.split("::");
        let (algorithm, fingerprint) = parts.next()?.split_once(':')?;
        let algorithm = match algorithm {
            "sha256" => &digest::SHA256,
            "sha384" => &digest::SHA384,
            "sha512" => &digest::SHA512,
            _ => return None,
        };
        let fingerprint = BASE64_URL_SAFE_NO_PAD.decode(fingerprint).ok()?;
        let usages = parts
            .map(|part| part.strip_prefix("eku:").filter(|oid| is_oid(oid)))
            .collect::<Option<Vec<_>>>()?;
        (!usages.is_empty() && fingerprint.len() == algorithm.output_len()).then_some(Self {
            algorithm,
            fingerprint,
            usages,
        })
    }

    /// The rest of UVM-13, and UVM-14.
    pub(super) fn check(&self, certificates: &[Certificate]) -> Result<(), EvidenceError> {
        let found = certificates
            .iter()
            .skip(1)
            .any(|c| digest::digest(self.algorithm, &c.der).as_ref() == self.fingerprint);
        if !found {
            return Err(EvidenceError::new(
                Check::Uvm13,
                "no such authority in the chain",
                format_args!(
                    "an authority with fingerprint {}",
                    hex::encode(&self.fingerprint)
                ),
            ));
        }
        let leaf = certificates
            .first()
            .map(|leaf| leaf.usages.as_slice())
            .unwrap_or_default();
        match self
            .usages
            .iter()
            .find(|usage| !leaf.iter().any(|has| has == *usage))
        {
            Some(missing) => Err(EvidenceError::new(
                Check::Uvm14,
                format_args!("{leaf:?}"),
                missing,
            )),
            None => Ok(()),
        }
    }
}

/// Two or more decimal numbers without leading zeros, joined by dots.
fn is_oid(text: &str) -> bool {
    let number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    text.contains('.') && text.split('.').all(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_version_0_with_usages_is_read() {
        let good = "did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::eku:1.3.6.1.4.1.311.76.59.1.2";
        assert_eq!(
            DidX509::parse(good).unwrap().usages,
            ["1.3.6.1.4.1.311.76.59.1.2"]
        );
        assert_eq!(
            DidX509::parse(&format!("{good}::eku:1.2"))
                .unwrap()
                .usages
                .len(),
            2
        );
        for bad in [
            good.replace(":0:", ":1:"),
            good.replace("x509", "web"),
            good.replace("sha256", "sha1"),
            good.replace("::eku:1.3.6.1.4.1.311.76.59.1.2", ""),
            good.replace("eku", "subject"),
            good.replace("t9s", "t9t"),
            good.replace("t9s", "t9s="),
            format!("{good}:1"),
            format!("{good}::"),
            format!("{good}::san:dns:x"),
            format!(" {good}"),
        ] {
            assert_eq!(
                DidX509::parse(&bad).unwrap_err().check(),
                Check::Uvm13,
                "{bad}"
            );
        }
    }
}
