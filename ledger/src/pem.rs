//! PEM armour: label, base64 in lines of 64, nothing else (RFC 7468).

use zeroize::Zeroizing;

use crate::json::{decode_base64, encode_base64};

/// Text that is not the PEM block asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// No block with any of the wanted labels.
    #[error("no PEM block labelled {want:?}")]
    Missing {
        /// The labels looked for.
        want: Vec<&'static str>,
    },
    /// The base64 between the labels is broken.
    #[error("PEM block {label:?} is not base64")]
    Base64 {
        /// Label of the block.
        label: &'static str,
    },
}

/// Writes one block, with a newline at the end.
#[must_use]
pub fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(encode_base64(der));
    let mut out = Zeroizing::new(String::with_capacity(
        body.len() + body.len() / 64 + 2 * label.len() + 40,
    ));
    out.push_str("-----BEGIN ");
    out.push_str(label);
    out.push_str("-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        // Base64 is ASCII, so that every index is a character boundary.
        let (line, tail) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = tail;
    }
    out.push_str("-----END ");
    out.push_str(label);
    out.push_str("-----\n");
    out
}

/// Finds the first block with one of `labels` and decodes it. Other blocks are passed over.
///
/// # Errors
/// See [`PemError`].
pub fn decode(
    text: &str,
    labels: &[&'static str],
) -> Result<(&'static str, Zeroizing<Vec<u8>>), PemError> {
    for &label in labels {
        let (begin, end) = (
            format!("-----BEGIN {label}-----"),
            format!("-----END {label}-----"),
        );
        let Some(body) = text
            .split_once(&begin)
            .and_then(|(_, tail)| tail.split_once(&end))
            .map(|(body, _)| body)
        else {
            continue;
        };
        let compact: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
        let der = decode_base64(&compact).map_err(|_| PemError::Base64 { label })?;
        return Ok((label, Zeroizing::new(der)));
    }
    Err(PemError::Missing {
        want: labels.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        for len in [0, 1, 47, 48, 49, 96, 200] {
            let der = vec![7; len];
            let text = encode("CERTIFICATE", &der);
            assert!(text.lines().all(|line| line.len() <= 64));
            assert_eq!(
                *decode(&text, &["PUBLIC KEY", "CERTIFICATE"]).unwrap().1,
                der
            );
        }
        assert!(decode("-----BEGIN X-----\n*\n-----END X-----", &["X"]).is_err());
        assert!(decode("nothing", &["X"]).is_err());
    }
}
