//! Processor products, named by the CPUID in the signed part of a report.

use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A product with its own root of trust.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Product {
    /// Family 0x19, models 0x00 to 0x0f.
    Milan,
    /// Family 0x19, models 0x10 to 0x1f and 0xa0 to 0xaf (also Bergamo and Siena).
    Genoa,
    /// Family 0x1a, models 0x00 to 0x11.
    Turin,
}

impl Product {
    /// All products, oldest first.
    pub const ALL: [Self; 3] = [Self::Milan, Self::Genoa, Self::Turin];

    /// The name in certificates.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Milan => "Milan",
            Self::Genoa => "Genoa",
            Self::Turin => "Turin",
        }
    }

    /// Bytes of the chip id that a certificate names.
    pub(crate) fn chip_id_len(self) -> usize {
        match self {
            Self::Milan | Self::Genoa => 64,
            Self::Turin => 8,
        }
    }

    /// The structure version in chip certificates.
    pub(crate) fn struct_version(self) -> u8 {
        match self {
            Self::Milan | Self::Genoa => 0,
            Self::Turin => 1,
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Combined family, combined model and stepping.
///
/// The text form is CPUID Fn0000_0001_EAX in eight hexadecimal digits, such as `00a00f11`
/// (attestation specification, section 1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CpuId {
    /// Base family plus extended family.
    pub family: u8,
    /// Extended model times 16 plus base model.
    pub model: u8,
    /// Stepping, 0 to 15.
    pub stepping: u8,
}

impl CpuId {
    /// The product, if it is one with a pinned root.
    pub fn product(self) -> Option<Product> {
        match (self.family, self.model) {
            (0x19, 0x00..=0x0f) => Some(Product::Milan),
            (0x19, 0x10..=0x1f | 0xa0..=0xaf) => Some(Product::Genoa),
            (0x1a, 0x00..=0x11) => Some(Product::Turin),
            _ => None,
        }
    }
}

/// A text that is not a CPUID value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a CPUID is 8 hexadecimal digits")]
pub struct CpuIdError;

impl FromStr for CpuId {
    type Err = CpuIdError;

    fn from_str(text: &str) -> Result<Self, CpuIdError> {
        let mut bytes = [0; 4];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| CpuIdError)?;
        let eax = u32::from_be_bytes(bytes);
        let field = |shift: u32, mask: u32| (eax >> shift) & mask;
        let family = field(8, 0xf) + field(20, 0xff);
        Ok(Self {
            family: u8::try_from(family).map_err(|_| CpuIdError)?,
            // Both parts have four bits, so the shifted sum fits in a byte.
            model: (field(16, 0xf) << 4 | field(4, 0xf)) as u8,
            stepping: field(0, 0xf) as u8,
        })
    }
}

impl fmt::Display for CpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = u32::from(self.family);
        let (base, extended) = if family >= 0xf {
            (0xf, family - 0xf)
        } else {
            (family, 0)
        };
        let model = u32::from(self.model);
        let eax = extended << 20
            | (model >> 4) << 16
            | base << 8
            | (model & 0xf) << 4
            | u32::from(self.stepping & 0xf);
        write!(f, "{eax:08x}")
    }
}

impl Serialize for CpuId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CpuId {
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
    fn text_form_is_the_eax_register() {
        for (text, family, model, product) in [
            ("00a00f11", 0x19, 0x01, Product::Milan),
            ("00a10f11", 0x19, 0x11, Product::Genoa),
            ("00b00f21", 0x1a, 0x02, Product::Turin),
        ] {
            let cpuid: CpuId = text.parse().unwrap();
            assert_eq!(
                (cpuid.family, cpuid.model, cpuid.stepping),
                (family, model, 1)
            );
            assert_eq!(cpuid.product(), Some(product));
            assert_eq!(cpuid.to_string(), text);
        }
    }
}
