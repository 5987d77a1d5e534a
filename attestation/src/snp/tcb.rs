//! TCB versions: eight bytes whose meaning depends on the product.

use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Product;

/// A TCB version as in a report.
///
/// ```text
/// byte   Milan, Genoa     Turin
/// 0      boot loader      FMC
/// 1      TEE              boot loader
/// 2      reserved         TEE
/// 3      reserved         SNP firmware
/// 4, 5   reserved         reserved
/// 6      SNP firmware     reserved
/// 7      microcode        microcode
/// ```
///
/// The text form everywhere is 16 hexadecimal digits of the little-endian number, most significant first:
/// `db18000000000004` is microcode 0xdb, SNP 0x18, TEE 0, boot loader 4 (attestation specification, section 1.6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TcbVersion([u8; 8]);

impl TcbVersion {
    /// From the bytes in the order of a report.
    pub const fn from_memory(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The bytes in the order of a report.
    pub const fn to_memory(self) -> [u8; 8] {
        self.0
    }

    /// The components, by product.
    pub fn components(self, product: Product) -> TcbComponents {
        let [b0, b1, b2, b3, _, _, b6, b7] = self.0;
        match product {
            Product::Milan | Product::Genoa => TcbComponents {
                fmc: None,
                boot_loader: b0,
                tee: b1,
                snp: b6,
                microcode: b7,
            },
            Product::Turin => TcbComponents {
                fmc: Some(b0),
                boot_loader: b1,
                tee: b2,
                snp: b3,
                microcode: b7,
            },
        }
    }

    /// True if every component is at or above the minimum's. Comparing the whole number would let a high microcode hide an
    /// old boot loader.
    pub fn is_at_least(self, minimum: Self, product: Product) -> bool {
        let (a, b) = (self.components(product), minimum.components(product));
        a.fmc >= b.fmc
            && a.boot_loader >= b.boot_loader
            && a.tee >= b.tee
            && a.snp >= b.snp
            && a.microcode >= b.microcode
    }
}

/// Security patch levels of the parts of a TCB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcbComponents {
    /// First mutable code; Turin only.
    pub fmc: Option<u8>,
    /// Boot loader of the secure processor.
    pub boot_loader: u8,
    /// Operating system of the secure processor.
    pub tee: u8,
    /// SNP firmware.
    pub snp: u8,
    /// Microcode.
    pub microcode: u8,
}

/// A text that is not a TCB version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a TCB version is 16 hexadecimal digits")]
pub struct TcbError;

impl FromStr for TcbVersion {
    type Err = TcbError;

    fn from_str(text: &str) -> Result<Self, TcbError> {
        let mut out = [0; 8];
        hex::decode_to_slice(text, &mut out).map_err(|_| TcbError)?;
        out.reverse();
        Ok(Self(out))
    }
}

impl fmt::Display for TcbVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_le_bytes(self.0))
    }
}

impl fmt::Debug for TcbVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TcbVersion({self})")
    }
}

impl Serialize for TcbVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TcbVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_the_big_endian_number() {
        let milan: TcbVersion = "db18000000000004".parse().unwrap();
        assert_eq!(milan.to_string(), "db18000000000004");
        let c = milan.components(Product::Milan);
        assert_eq!(
            (c.fmc, c.boot_loader, c.tee, c.snp, c.microcode),
            (None, 4, 0, 0x18, 0xdb)
        );
        let turin: TcbVersion = "4700000002000100".parse().unwrap();
        let c = turin.components(Product::Turin);
        assert_eq!(
            (c.fmc, c.boot_loader, c.tee, c.snp, c.microcode),
            (Some(0), 1, 0, 2, 0x47)
        );
        assert!("db180000000000040".parse::<TcbVersion>().is_err());
    }

    #[test]
    fn comparison_is_by_component() {
        let minimum: TcbVersion = "db18000000000004".parse().unwrap();
        let high_microcode: TcbVersion = "ff18000000000003".parse().unwrap();
        assert!(
            u64::from_le_bytes(high_microcode.to_memory())
                > u64::from_le_bytes(minimum.to_memory())
        );
        assert!(!high_microcode.is_at_least(minimum, Product::Milan));
        assert!(minimum.is_at_least(minimum, Product::Milan));
    }
}
