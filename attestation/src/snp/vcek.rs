//! What AMD writes into a chip certificate: product, chip, TCB.
//!
//! The extensions are looked up by OID, under `1.3.6.1.4.1.3704.1` (attestation specification, section 2.5):
//!
//! ```text
//! .1    structVersion  INTEGER        0; Turin 1
//! .2    productName    IA5String      the part before "-" is the product
//! .3.1  blSPL          INTEGER
//! .3.2  teeSPL         INTEGER
//! .3.3  snpSPL         INTEGER
//! .3.8  ucodeSPL       INTEGER
//! .3.9  fmcSPL         INTEGER        Turin only
//! .4    hwID           bytes, no DER  64; Turin 8
//! ```

use super::{Product, TcbComponents, TcbVersion};
use crate::{
    bytes::ChipId,
    certificate::Certificate,
    error::{Check, EvidenceError},
};

/// SNP-14: the subject is exactly `SEV-VCEK`. A VLEK ends here.
pub(crate) fn check_subject(vcek: &Certificate) -> Result<(), EvidenceError> {
    match vcek.common_name.as_deref() {
        Some("SEV-VCEK") => Ok(()),
        other => Err(EvidenceError::new(
            Check::Snp14,
            other.unwrap_or("no single common name"),
            "SEV-VCEK",
        )),
    }
}

/// SNP-15 to SNP-17.
pub(crate) fn check_product(vcek: &Certificate, product: Product) -> Result<(), EvidenceError> {
    let version = extension(vcek, "1").and_then(small_integer);
    let name = extension(vcek, "2").and_then(ia5_string);
    let (Some(version), Some(name)) = (version, name) else {
        return Err(EvidenceError::new(
            Check::Snp15,
            "unreadable",
            "structVersion and productName",
        ));
    };
    if name.split('-').next() != Some(product.as_str()) {
        return Err(EvidenceError::new(Check::Snp16, name, product));
    }
    if version != product.struct_version() {
        return Err(EvidenceError::new(
            Check::Snp17,
            version,
            product.struct_version(),
        ));
    }
    Ok(())
}

/// SNP-23 and SNP-24. On Turin the 56 bytes after the id must be zero.
pub(crate) fn check_chip(
    vcek: &Certificate,
    product: Product,
    chip_id: ChipId,
) -> Result<(), EvidenceError> {
    let hw_id = extension(vcek, "4").unwrap_or_default();
    if hw_id.len() != product.chip_id_len() {
        return Err(EvidenceError::new(
            Check::Snp23,
            format_args!("{} bytes", hw_id.len()),
            format_args!("{} bytes", product.chip_id_len()),
        ));
    }
    let mut padded = [0; 64];
    for (to, from) in padded.iter_mut().zip(hw_id) {
        *to = *from;
    }
    if chip_id != ChipId::from(padded) {
        return Err(EvidenceError::new(
            Check::Snp24,
            chip_id,
            ChipId::from(padded),
        ));
    }
    Ok(())
}

/// SNP-25 and SNP-26. The chip key is derived from the reported TCB, so an honest pair is always equal.
pub(crate) fn check_tcb(
    vcek: &Certificate,
    product: Product,
    reported: TcbVersion,
) -> Result<(), EvidenceError> {
    let level = |arc: &str| extension(vcek, arc).and_then(small_integer);
    let components = || {
        Some(TcbComponents {
            fmc: match product {
                Product::Milan | Product::Genoa => None,
                Product::Turin => Some(level("3.9")?),
            },
            boot_loader: level("3.1")?,
            tee: level("3.2")?,
            snp: level("3.3")?,
            microcode: level("3.8")?,
        })
    };
    let Some(endorsed) = components() else {
        return Err(EvidenceError::new(
            Check::Snp25,
            "unreadable or absent",
            "the product's TCB extensions",
        ));
    };
    if reported.components(product) != endorsed {
        return Err(EvidenceError::new(
            Check::Snp26,
            reported,
            format_args!("{endorsed:?}"),
        ));
    }
    Ok(())
}

fn extension<'a>(vcek: &'a Certificate, arc: &str) -> Option<&'a [u8]> {
    vcek.extension(&format!("1.3.6.1.4.1.3704.1.{arc}"))
}

/// A minimal DER INTEGER in 0..=255.
fn small_integer(der: &[u8]) -> Option<u8> {
    match *der {
        [2, 1, value @ 0..=0x7f] => Some(value),
        [2, 2, 0, value @ 0x80..=0xff] => Some(value),
        _ => None,
    }
}

/// A DER IA5String of fewer than 128 bytes.
fn ia5_string(der: &[u8]) -> Option<&str> {
    match der {
        [0x16, len @ 0..=0x7f, text @ ..] if text.len() == usize::from(*len) && text.is_ascii() => {
            core::str::from_utf8(text).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_minimal_and_fit_a_byte() {
        assert_eq!(small_integer(&[2, 1, 0x18]), Some(0x18));
        assert_eq!(small_integer(&[2, 2, 0, 0xdb]), Some(0xdb));
        for bad in [
            &[2, 1, 0xdb][..],
            &[2, 2, 0, 0x18],
            &[2, 2, 1, 0],
            &[2, 1],
            &[2, 1, 1, 0],
            &[],
            &[4, 1, 1],
        ] {
            assert_eq!(small_integer(bad), None, "{bad:?}");
        }
    }
}
