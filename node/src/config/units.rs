//! Durations and sizes as CCF writes them.
//!
//! ```text
//! period = digits [unit]     unit: us ms s min h, any case; none: microseconds
//! size   = digits [unit]     unit: B KB MB GB TB PB, any case, powers of 1024; none: bytes
//! ```

use std::fmt;
use std::time::Duration;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration, `"1000ms"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

/// A number of bytes, `"16KB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Period {
    /// This many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// This many seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// Reads a period; `None` if it is not one or its microseconds exceed 64 bits.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let factor: u64 = match unit.as_str() {
            "" | "us" => 1,
            "ms" => 1_000,
            "s" => 1_000_000,
            "min" => 60_000_000,
            "h" => 3_600_000_000,
            _ => return None,
        };
        Some(Self(Duration::from_micros(number.checked_mul(factor)?)))
    }

    /// As the standard library has it.
    pub const fn as_duration(self) -> Duration {
        self.0
    }
}

impl Size {
    /// This many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// This many times 1024 bytes.
    pub const fn from_kib(kib: u64) -> Self {
        Self(kib << 10)
    }

    /// Reads a size; `None` if it is not one or exceeds 64 bits.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split(text)?;
        let power = match unit.as_str() {
            "" | "b" => 0,
            "kb" => 1,
            "mb" => 2,
            "gb" => 3,
            "tb" => 4,
            "pb" => 5,
            _ => return None,
        };
        Some(Self(number.checked_mul(1 << (10 * power))?))
    }

    /// Bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Bytes in memory; more than can be addressed is all that can be.
    pub fn in_memory(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Number and lower-case unit. CCF allows blanks between them.
fn split(text: &str) -> Option<(u64, String)> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(digits)?.to_ascii_lowercase();
    let digits = digits.trim_end();
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, unit))
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        if micros.is_multiple_of(1_000_000) {
            write!(f, "{}s", micros / 1_000_000)
        } else if micros.is_multiple_of(1_000) {
            write!(f, "{}ms", micros / 1_000)
        } else {
            write!(f, "{micros}us")
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut number, mut unit) = (self.0, 0);
        const UNITS: [&str; 6] = ["B", "KB", "MB", "GB", "TB", "PB"];
        while number != 0 && number.is_multiple_of(1024) && unit + 1 < UNITS.len() {
            number /= 1024;
            unit += 1;
        }
        write!(f, "{number}{}", UNITS.get(unit).copied().unwrap_or("B"))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            let want = "a duration such as \"1000ms\" or \"10s\" (us, ms, s, min, h)";
            D::Error::invalid_value(Unexpected::Str(&text), &want)
        })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            let want = "a size such as \"16KB\" or \"1MB\" (B, KB, MB, GB, TB, PB)";
            D::Error::invalid_value(Unexpected::Str(&text), &want)
        })
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
