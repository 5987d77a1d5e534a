//! PEM text (RFC 7468), read strictly: blocks of one kind, white space around them, nothing else.

use base64::{
    Engine, alphabet,
    engine::{GeneralPurpose, GeneralPurposeConfig},
};

const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new());

/// Why a text was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PemError {
    #[error("text is not UTF-8 or has control characters")]
    Text,
    #[error("text outside of PEM blocks")]
    Outside,
    #[error("a block that is not closed, empty, or not in base64")]
    Block,
    #[error("more blocks than allowed")]
    TooMany,
}

/// The contents of all blocks labelled `label`, at most `limit` of them. Lines end with LF or CRLF.
pub(crate) fn read(text: &[u8], label: &str, limit: usize) -> Result<Vec<Vec<u8>>, PemError> {
    let text = core::str::from_utf8(text).map_err(|_| PemError::Text)?;
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match &mut open {
            None if line == begin => {
                if blocks.len() == limit {
                    return Err(PemError::TooMany);
                }
                open = Some(String::new());
            }
            None if line.bytes().all(|b| b == b' ' || b == b'\t' || b == b'\r') => {}
            None => return Err(PemError::Outside),
            Some(body) if line == end => {
                let bytes = BASE64.decode(&*body).map_err(|_| PemError::Block)?;
                if bytes.is_empty() {
                    return Err(PemError::Block);
                }
                blocks.push(bytes);
                open = None;
            }
            Some(_) if line.is_empty() => return Err(PemError::Block),
            Some(body) => body.push_str(line),
        }
    }
    if open.is_some() {
        return Err(PemError::Block);
    }
    Ok(blocks)
}

/// Writes one block with lines of 64 characters and no newline after the last line.
pub(crate) fn write(label: &str, bytes: &[u8]) -> String {
    let body = BASE64.encode(bytes);
    let mut out = format!("-----BEGIN {label}-----\n");
    for (i, c) in body.chars().enumerate() {
        if i > 0 && i % 64 == 0 {
            out.push('\n');
        }
        out.push(c);
    }
    out.push_str(&format!("\n-----END {label}-----"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for len in [1, 47, 48, 49, 500] {
            let bytes = vec![7; len];
            let text = write("X", &bytes);
            assert_eq!(read(text.as_bytes(), "X", 1), Ok(vec![bytes.clone()]));
            let crlf = text.replace('\n', "\r\n") + "\r\n \r\n";
            assert_eq!(read(crlf.as_bytes(), "X", 1), Ok(vec![bytes]));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let good = write("X", &[1, 2, 3]);
        for (bad, error) in [
            (format!("{good}\nhello"), PemError::Outside),
            (format!("hello\n{good}"), PemError::Outside),
            (format!("{good}\n\0"), PemError::Outside),
            (format!("{good}\n{good}"), PemError::TooMany),
            (good.replace("-----END X-----", ""), PemError::Block),
            (good.replace("AQID", ""), PemError::Block),
            (good.replace("AQID", "AQI"), PemError::Block),
            (good.replace("AQID", "AQ ID"), PemError::Block),
            (good.replace(" X", " Y"), PemError::Outside),
        ] {
            assert_eq!(read(bad.as_bytes(), "X", 1), Err(error), "{bad}");
        }
        assert_eq!(read(&[0xff], "X", 1), Err(PemError::Text));
    }
}
