//! Writing DER, as far as RSA keys and the simulated certificates need it.

use crate::time::UnixTime;

pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    let significant = length
        .iter()
        .skip_while(|b| **b == 0)
        .copied()
        .collect::<Vec<_>>();
    match content.len() {
        0..=0x7f => out.push(content.len() as u8),
        // A length has at most eight bytes.
        _ => {
            out.push(0x80 | significant.len() as u8);
            out.extend(significant);
        }
    }
    out.extend(content);
    out
}

pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

/// A non-negative INTEGER from big-endian bytes.
pub(crate) fn integer(bytes: &[u8]) -> Vec<u8> {
    let mut content: Vec<u8> = bytes.iter().skip_while(|b| **b == 0).copied().collect();
    if content.first().is_none_or(|b| *b >= 0x80) {
        content.insert(0, 0);
    }
    tlv(2, &content)
}

pub(crate) fn boolean(value: bool) -> Vec<u8> {
    tlv(1, &[if value { 0xff } else { 0 }])
}

/// A BIT STRING of whole bytes.
pub(crate) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    tlv(3, &[&[0], bytes].concat())
}

pub(crate) fn octet_string(bytes: &[u8]) -> Vec<u8> {
    tlv(4, bytes)
}

pub(crate) fn utf8_string(text: &str) -> Vec<u8> {
    tlv(0x0c, text.as_bytes())
}

pub(crate) fn ia5_string(text: &str) -> Vec<u8> {
    tlv(0x16, text.as_bytes())
}

/// An OBJECT IDENTIFIER from its dotted text. Arcs that are not numbers are left out; the tests read back what is written.
pub(crate) fn oid(text: &str) -> Vec<u8> {
    let arcs: Vec<u64> = text.split('.').filter_map(|arc| arc.parse().ok()).collect();
    let mut content = Vec::new();
    if let [first, second, rest @ ..] = arcs.as_slice() {
        for arc in core::iter::once(&(first * 40 + second)).chain(rest) {
            let groups = (0..10)
                .rev()
                .map(|i| (arc >> (7 * i) & 0x7f) as u8)
                .skip_while(|g| *g == 0)
                .collect::<Vec<_>>();
            let last = groups.len().saturating_sub(1);
            if groups.is_empty() {
                content.push(0);
            }
            content.extend(
                groups
                    .iter()
                    .enumerate()
                    .map(|(i, g)| if i < last { g | 0x80 } else { *g }),
            );
        }
    }
    tlv(6, &content)
}

/// UTCTime before 2050, GeneralizedTime from then on (RFC 5280, section 4.1.2.5).
pub(crate) fn time(time: UnixTime) -> Vec<u8> {
    let (days, second) = (
        time.as_secs().div_euclid(86_400),
        time.as_secs().rem_euclid(86_400),
    );
    let (year, month, day) = date(days);
    let rest = format!(
        "{month:02}{day:02}{:02}{:02}{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    );
    match year {
        1950..2050 => tlv(0x17, format!("{:02}{rest}", year % 100).as_bytes()),
        _ => tlv(0x18, format!("{year:04}{rest}").as_bytes()),
    }
}

/// Days since 1970 to year, month, day of the Gregorian calendar. Years are counted from March, so that the leap day is last.
fn date(days: i64) -> (i64, i64, i64) {
    let from_march_0 = days + 719_468;
    let (era, day_of_era) = (
        from_march_0.div_euclid(146_097),
        from_march_0.rem_euclid(146_097),
    );
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Length of the SEQUENCE that some bytes begin with, header included, if its length is written in the shortest form.
pub(crate) fn length_of_sequence(bytes: &[u8]) -> Option<usize> {
    match *bytes {
        [0x30, short @ 0..=0x7f, ..] => Some(2 + usize::from(short)),
        [0x30, 0x81, one, ..] if one >= 0x80 => Some(3 + usize::from(one)),
        [0x30, 0x82, high, low, ..] if high > 0 => {
            Some(4 + usize::from(u16::from_be_bytes([high, low])))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        assert_eq!(
            oid("1.2.840.113549.1.1.10"),
            *b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"
        );
        assert_eq!(oid("1.0.0"), *b"\x06\x02\x28\x00");
        assert_eq!(integer(&[0]), [2, 1, 0]);
        assert_eq!(integer(&[0xdb]), [2, 2, 0, 0xdb]);
        assert_eq!(tlv(4, &[0; 300])[..4], [4, 0x82, 1, 0x2c]);
        assert_eq!(tlv(4, &[0; 200])[..3], [4, 0x81, 200]);
        for length in [0, 1, 127, 128, 255, 256, 65535] {
            let whole = tlv(0x30, &vec![0; length]);
            assert_eq!(length_of_sequence(&whole), Some(whole.len()));
        }
        assert_eq!(length_of_sequence(&[0x30, 0x81, 0x7f]), None);
        assert_eq!(length_of_sequence(&[0x31, 0]), None);
        assert_eq!(
            time(UnixTime::from_secs(1_709_210_096)),
            *b"\x17\x0d240229123456Z"
        );
        assert_eq!(
            time(UnixTime::from_secs(2_524_608_000)),
            *b"\x18\x0f20500101000000Z"
        );
        assert_eq!(
            time(UnixTime::from_secs(946_684_799)),
            *b"\x17\x0d991231235959Z"
        );
    }
}
