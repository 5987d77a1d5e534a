//! Numbered checks, error classes, and the error of evidence verification.

use core::fmt;

/// Why evidence was refused: which numbered check, what was presented, what was required.
///
/// All values in it come from public material (reports, certificates, governed policy), so nothing here is secret. The wire
/// may show [`code`](Self::code), [`class`](Self::class) and [`got`](Self::got); [`want`](Self::want) is for the audit record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {}: {} (got {got}, want {want})", check.code(), check.class(), check.rule())]
pub struct EvidenceError {
    check: Check,
    got: String,
    want: String,
}

impl EvidenceError {
    pub(crate) fn new(check: Check, got: impl fmt::Display, want: impl fmt::Display) -> Self {
        Self {
            check,
            got: clip(&got.to_string()),
            want: want.to_string(),
        }
    }

    /// The check that failed.
    pub fn check(&self) -> Check {
        self.check
    }

    /// The stable number of the check, such as `SNP-20`.
    pub fn code(&self) -> &'static str {
        self.check.code()
    }

    /// The error class (attestation specification, section 9.1).
    pub fn class(&self) -> Class {
        self.check.class()
    }

    /// What was presented. At most 200 characters.
    pub fn got(&self) -> &str {
        &self.got
    }

    /// What was required.
    pub fn want(&self) -> &str {
        &self.want
    }
}

/// Presented values may be long; an error must not carry a caller's whole request into a log.
fn clip(text: &str) -> String {
    const LIMIT: usize = 200;
    let mut out = String::with_capacity(text.len().min(LIMIT));
    for c in text.chars().take(LIMIT) {
        out.push(if c.is_control() { '\u{fffd}' } else { c });
    }
    out
}

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Class of a failure: the names of the attestation specification, section 9.1.
        ///
        /// Several checks can share a class; a check has exactly one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Class { $($(#[$doc])* $name,)* }

        impl Class {
            /// The name as it appears in answers, records and test vectors.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

classes! {
    /// The attestation member of a request has a wrong shape, encoding or size.
    MalformedRequest,
    /// The report has a wrong size or non-zero signature padding.
    MalformedReport,
    /// Report version outside 3..=5.
    UnsupportedReportVersion,
    /// The CPU is not a known product or not an allowed one.
    UnsupportedProduct,
    /// The endorsements are not exactly three certificates in PEM.
    MalformedEndorsements,
    /// The root is not the pinned root of the product.
    UntrustedRoot,
    /// The certificates do not form the required chain.
    BrokenChain,
    /// A certificate has expired.
    CertificateExpired,
    /// A certificate is not valid yet.
    CertificateNotYetValid,
    /// The chip certificate lacks something the profile requires.
    EndorsementProfile,
    /// The report is not signed by a VCEK.
    UnsupportedSigningKey,
    /// The chip certificate names another product than the report.
    ProductMismatch,
    /// The report names a signature algorithm other than ECDSA P-384 with SHA-384.
    UnsupportedSignatureAlgorithm,
    /// The report signature does not verify.
    ReportSignatureInvalid,
    /// The chip key is masked.
    ChipKeyMasked,
    /// The chip certificate belongs to another chip.
    ChipIdMismatch,
    /// The TCB of certificate, report and request are not the same.
    TcbMismatch,
    /// The report was requested from a VMPL that is not allowed.
    VmplNotAllowed,
    /// The guest can be debugged.
    DebugEnabled,
    /// The guest can be migrated by an agent.
    MigrationAllowed,
    /// The TCB is below the governed minimum.
    TcbTooOld,
    /// The intermediate certificate or the chip has been withdrawn by governance.
    RevokedEndorsement,
    /// A required platform feature is off.
    PlatformNotAllowed,
    /// The firmware identity is not allowed.
    FirmwareNotAllowed,
    /// The HCL report is not well formed.
    HclMalformed,
    /// The SNP report is not the one inside the HCL report.
    SnpHclInconsistent,
    /// The report does not bind the runtime claims.
    RuntimeClaimsBinding,
    /// The runtime claims do not name one attestation key.
    AkMissing,
    /// No certificate of the attestation key.
    AikCertMissing,
    /// The certificate of the attestation key does not parse.
    AikCertMalformed,
    /// The certificate of the attestation key is not one the platform's authority issues for confidential VMs.
    AikCertUntrusted,
    /// The certificate is of another attestation key.
    AikKeyMismatch,
    /// The quote does not parse.
    QuoteMalformed,
    /// The quote's signature does not verify.
    QuoteSignatureInvalid,
    /// The quote was made for something else.
    QuoteNonceMismatch,
    /// The quote is about other registers.
    PcrSelectionMismatch,
    /// The quote is about other values.
    PcrDigestMismatch,
    /// The registers are not those that a policy lists.
    PcrPolicyMismatch,
    /// The runtime claims do not bind the presented key.
    UserDataMismatch,
    /// No UVM endorsement, and the measurement is not pinned.
    UvmMissing,
    /// The UVM endorsement does not parse.
    UvmMalformed,
    /// The UVM endorsement uses an algorithm that is not allowed.
    UvmUnsupportedAlgorithm,
    /// The UVM endorsement has neither of the two known forms, or one that is switched off.
    UvmUnsupportedForm,
    /// The certificates of the UVM endorsement do not form a chain.
    UvmBrokenChain,
    /// The UVM endorsement was signed outside the validity of its certificates.
    UvmSigningTimeOutsideValidity,
    /// The issuer of the UVM endorsement is not resolvable or not governed.
    UvmUntrustedIssuer,
    /// The leaf certificate lacks a key usage the issuer names.
    UvmEkuMissing,
    /// The signature of the UVM endorsement does not verify.
    UvmSignatureInvalid,
    /// The statement in the UVM endorsement is malformed.
    UvmPayload,
    /// The feed of the UVM endorsement is not governed.
    UvmFeedMismatch,
    /// The SVN of the UVM endorsement is below the governed minimum.
    UvmSvnTooLow,
    /// The endorsed measurement is not the one in the report.
    UvmMeasurementMismatch,
    /// The host data or key of the evidence is known to be insecure.
    InsecureEvidence,
    /// No policy to compare with.
    PolicyMissing,
    /// A claim other than the host data does not match.
    ClaimsMismatch,
    /// The host data does not match.
    HostDataMismatch,
    /// The report data is not the digest of the presented key.
    ReportDataMismatch,
    /// The presented key is not an acceptable RSA public key.
    UnusableKey,
    /// The signing key is not the attested key.
    AttestedKeyMismatch,
    /// The payload signature does not verify.
    SignatureInvalid,
    /// The secret cannot be wrapped.
    WrapFailed,
    /// The wrapped secret cannot be unwrapped.
    UnwrapFailed,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! checks {
    ($($name:ident $code:literal $class:ident $rule:literal;)*) => {
        /// A numbered check. The number is stable: it appears in errors, in records and in the names of the tests.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Check { $(#[doc = $rule] $name,)* }

        impl Check {
            /// All checks, in the order in which they are made.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable number, such as `SNP-20`.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The class of a failure of this check.
            pub fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)* }
            }

            /// The rule in one sentence.
            pub fn rule(self) -> &'static str {
                match self { $(Self::$name => $rule,)* }
            }
        }
    };
}

checks! {
    Req01 "REQ-01" MalformedRequest "the attestation is an object whose members have the right types";
    Req02 "REQ-02" MalformedRequest "members are in canonical standard base64";
    Req03 "REQ-03" MalformedRequest "members are within their size limits";
    Req04 "REQ-04" MalformedRequest "endorsed_tcb is 16 hexadecimal digits";
    Snp01 "SNP-01" MalformedReport "the report has 1184 bytes";
    Snp02 "SNP-02" UnsupportedReportVersion "the report version is 3, 4 or 5";
    Snp03 "SNP-03" UnsupportedProduct "the CPUID in the report names a known product";
    Snp04 "SNP-04" UnsupportedProduct "the product is allowed by the platform policy";
    Snp05 "SNP-05" MalformedEndorsements "the endorsements are exactly three PEM certificates";
    Snp06 "SNP-06" MalformedEndorsements "each endorsement is one X.509 certificate in DER";
    Snp07 "SNP-07" UntrustedRoot "the third certificate has the pinned root key of the product";
    Snp08 "SNP-08" BrokenChain "the certificates are signed with RSASSA-PSS, SHA-384, salt 48";
    Snp09 "SNP-09" BrokenChain "each certificate names its issuer, and the issuers are certificate authorities with RSA-4096 keys";
    Snp10 "SNP-10" BrokenChain "each certificate is signed by the next, the root by itself";
    Snp11 "SNP-11" CertificateExpired "the certificates have not expired";
    Snp12 "SNP-12" CertificateNotYetValid "the certificates are already valid";
    Snp13 "SNP-13" EndorsementProfile "the chip certificate has a P-384 key";
    Snp14 "SNP-14" UnsupportedSigningKey "the subject of the chip certificate is SEV-VCEK";
    Snp15 "SNP-15" EndorsementProfile "the chip certificate has a structure version and a product name";
    Snp16 "SNP-16" ProductMismatch "the chip certificate is for the product in the report";
    Snp17 "SNP-17" EndorsementProfile "the structure version is the product's";
    Snp18 "SNP-18" UnsupportedSignatureAlgorithm "the report names ECDSA P-384 with SHA-384";
    Snp19 "SNP-19" MalformedReport "the unsigned bytes after the signature numbers are zero";
    Snp20 "SNP-20" ReportSignatureInvalid "the report is signed by the chip key";
    Snp21 "SNP-21" UnsupportedSigningKey "the report says it is signed by a VCEK";
    Snp22 "SNP-22" ChipKeyMasked "the chip key is not masked";
    Snp23 "SNP-23" EndorsementProfile "the chip certificate has a chip id of the product's length";
    Snp24 "SNP-24" ChipIdMismatch "the chip certificate is for the chip in the report";
    Snp25 "SNP-25" EndorsementProfile "the chip certificate has all TCB components of the product";
    Snp26 "SNP-26" TcbMismatch "the chip certificate is for the TCB in the report";
    Snp27 "SNP-27" TcbMismatch "endorsed_tcb is the TCB in the report";
    Snp28 "SNP-28" VmplNotAllowed "the report was requested from an allowed VMPL";
    Snp29 "SNP-29" DebugEnabled "the guest policy forbids debugging";
    Snp30 "SNP-30" MigrationAllowed "the guest policy forbids migration agents";
    Snp31 "SNP-31" TcbTooOld "the reported TCB is at or above the governed minimum in every component";
    Snp32 "SNP-32" TcbTooOld "the committed TCB is at or above the governed minimum, where governance requires it";
    Snp33 "SNP-33" RevokedEndorsement "the intermediate key is accepted by governance";
    Snp34 "SNP-34" RevokedEndorsement "the chip is not denied by governance";
    Snp35 "SNP-35" PlatformNotAllowed "the platform has the features governance requires";
    Snp36 "SNP-36" FirmwareNotAllowed "the id key is allowed, where governance lists any";
    Cvm01 "CVM-01" MalformedRequest "registers are named 0 to 23 in one spelling, and their values have 32 bytes";
    Cvm02 "CVM-02" HclMalformed "the HCL report is one of an SNP machine, its sizes agree, and zeros end it";
    Cvm03 "CVM-03" SnpHclInconsistent "the SNP report is the one inside the HCL report";
    Cvm04 "CVM-04" RuntimeClaimsBinding "the report data is the SHA-256 of the runtime claims, then 32 zero bytes";
    Cvm05 "CVM-05" AkMissing "the runtime claims name exactly one RSA-2048 key HCLAkPub";
    Cvm06 "CVM-06" AikCertMissing "there is a certificate of the attestation key, or governance lists paravisors";
    Cvm07 "CVM-07" AikCertMalformed "the certificate of the attestation key is one in DER, then zeros, at most 4096 bytes";
    Cvm08 "CVM-08" AikCertUntrusted "the certificate is signed by a governed authority, and that by the pinned root";
    Cvm09 "CVM-09" CertificateExpired "the certificates have not expired";
    Cvm10 "CVM-10" CertificateNotYetValid "the certificates are already valid";
    Cvm11 "CVM-11" AikCertUntrusted "the certificate is for the attestation key of a confidential VM";
    Cvm12 "CVM-12" AikKeyMismatch "the certified key is the one of the runtime claims";
    Cvm13 "CVM-13" FirmwareNotAllowed "without a certificate, the paravisor is one that governance lists";
    Cvm14 "CVM-14" QuoteMalformed "the quote is one of a TPM, with an RSASSA signature, and nothing follows";
    Cvm15 "CVM-15" QuoteSignatureInvalid "the quote is signed by the attestation key";
    Cvm16 "CVM-16" QuoteNonceMismatch "the quote's nonce is the one in the request";
    Cvm17 "CVM-17" QuoteNonceMismatch "the quote was made for the attested key, and for the challenge if there is one";
    Cvm18 "CVM-18" PcrSelectionMismatch "the quote is about the SHA-256 bank and exactly the presented registers";
    Cvm19 "CVM-19" PcrDigestMismatch "the quote is about the presented values";
    Uvm01 "UVM-01" UvmMissing "there is a UVM endorsement, or governance pins the measurement";
    Uvm02 "UVM-02" UvmMalformed "the endorsement is one COSE_Sign1 of at most 32 KiB, tagged, nested at most 8 deep";
    Uvm03 "UVM-03" UvmMalformed "the payload is attached";
    Uvm04 "UVM-04" UvmMalformed "the protected header is a map without repeated labels";
    Uvm05 "UVM-05" UvmMalformed "there are no critical headers";
    Uvm06 "UVM-06" UvmMalformed "nothing that matters for security is in the unprotected header";
    Uvm07 "UVM-07" UvmUnsupportedAlgorithm "the algorithm is PS256, PS384, PS512, ES256, ES384 or ES512";
    Uvm08 "UVM-08" UvmMalformed "x5chain is an array of 2 to 6 certificates";
    Uvm09 "UVM-09" UvmUnsupportedForm "the endorsement has one of the two known forms, and governance allows it";
    Uvm10 "UVM-10" UvmBrokenChain "each certificate names its issuer, and the issuers may sign certificates";
    Uvm11 "UVM-11" UvmBrokenChain "each certificate is signed by the next, the last by itself";
    Uvm12 "UVM-12" UvmSigningTimeOutsideValidity "the certificates were valid at the signing time";
    Uvm13 "UVM-13" UvmUntrustedIssuer "the issuer is a did:x509 of an authority in the chain";
    Uvm14 "UVM-14" UvmEkuMissing "the leaf certificate has every key usage the issuer names";
    Uvm15 "UVM-15" UvmUnsupportedAlgorithm "the algorithm fits the leaf key";
    Uvm16 "UVM-16" UvmSignatureInvalid "the endorsement is signed by the leaf key";
    Uvm17 "UVM-17" UvmPayload "the statement names one measurement and one SVN";
    Uvm18 "UVM-18" UvmUntrustedIssuer "the issuer is governed, and its root is of the right kind for the trust anchors";
    Uvm19 "UVM-19" UvmFeedMismatch "the feed is governed for the issuer";
    Uvm20 "UVM-20" UvmSvnTooLow "the SVN is at or above the governed minimum";
    Uvm21 "UVM-21" UvmMeasurementMismatch "the endorsed measurement is the one in the report";
    Ins01 "INS-01" InsecureEvidence "the host data is not on the deny list";
    Ins02 "INS-02" InsecureEvidence "the attested key is not on the deny list";
    Pol01 "POL-01" PolicyMissing "the contract has a policy";
    Pol02 "POL-02" ClaimsMismatch "every claim of the contract's policy, or of the delegate's, matches";
    Pol03 "POL-03" HostDataMismatch "the host data is one of those the policy lists";
    Pol04 "POL-04" PcrPolicyMismatch "every claim of the policies for confidential VMs matches";
    Pol05 "POL-05" PcrPolicyMismatch "a policy for confidential VMs pins a register that no guest can reset, 0 to 15";
    Key01 "KEY-01" ReportDataMismatch "the report data is the SHA-256 of the presented key, then 32 zero bytes";
    Key02 "KEY-02" UnusableKey "the key is one PEM block PUBLIC KEY with RSA of 2048 to 4096 bits and exponent 65537";
    Key03 "KEY-03" AttestedKeyMismatch "the signing key is byte for byte the attested key";
    Key04 "KEY-04" SignatureInvalid "the payload is signed with RSASSA-PSS, SHA-256, salt 32";
    Key07 "KEY-07" UserDataMismatch "the user data is the SHA-256 of the presented key, then 32 zero bytes";
    Key08 "KEY-08" ReportDataMismatch "the evidence answers the challenge in the request";
    Key05 "KEY-05" WrapFailed "the plaintext has 1 to 2^31-1 bytes";
    Key06 "KEY-06" UnwrapFailed "the wrapped secret was made for the key, and is unchanged";
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_are_unique_and_classes_have_names() {
        let codes: HashSet<_> = Check::ALL.iter().map(|c| c.code()).collect();
        assert_eq!(codes.len(), Check::ALL.len());
    }

    #[test]
    fn the_manual_lists_every_check_in_order() {
        let manual = include_str!("../../docs/checks.md");
        let (_, table) = manual.split_once("# Checks on evidence").unwrap();
        let rows: Vec<&str> = table
            .lines()
            .filter(|line| line.starts_with("| "))
            .skip(1)
            .collect();
        let checks = Check::ALL.iter().map(|check| {
            format!(
                "| {} | `{}` | {} |",
                check.code(),
                check.class(),
                check.rule()
            )
        });
        assert_eq!(rows, checks.collect::<Vec<_>>());
    }

    #[test]
    fn presented_text_is_clipped_and_has_no_control_characters() {
        let error = EvidenceError::new(Check::Req01, "\n".repeat(5000), "");
        assert_eq!(error.got(), "\u{fffd}".repeat(200));
    }
}
