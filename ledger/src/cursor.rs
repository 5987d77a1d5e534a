//! A reader over a byte slice that never panics and never trusts a length.

/// Why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Fewer bytes are left than the field needs.
    #[error("at byte {at}: field of {want} bytes, {got} left")]
    Short {
        /// Offset of the field from the start of the slice.
        at: usize,
        /// Bytes the field needs.
        want: u64,
        /// Bytes that are left.
        got: usize,
    },
    /// A name is not UTF-8.
    #[error("at byte {at}: name is not UTF-8")]
    NotUtf8 {
        /// Offset of the name.
        at: usize,
    },
}

/// Position in a slice. Integers are little-endian (ledger format, section 1).
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    /// Of the whole slice.
    length: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            length: bytes.len(),
        }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    const fn at(&self) -> usize {
        self.length - self.rest.len()
    }

    #[inline]
    pub(crate) fn take(&mut self, want: u64) -> Result<&'a [u8], ReadError> {
        let taken = usize::try_from(want)
            .ok()
            .and_then(|n| self.rest.split_at_checked(n));
        let Some((taken, rest)) = taken else {
            return Err(self.short(want));
        };
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else {
            return Err(self.short(N as u64));
        };
        self.rest = rest;
        Ok(*taken)
    }

    #[cold]
    const fn short(&self, want: u64) -> ReadError {
        ReadError::Short {
            at: self.at(),
            want,
            got: self.rest.len(),
        }
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, ReadError> {
        self.array::<1>().map(|[b]| b)
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, ReadError> {
        self.array().map(u64::from_le_bytes)
    }

    /// `vec(b)`: a `u64` length, then the bytes.
    #[inline]
    pub(crate) fn vec(&mut self) -> Result<&'a [u8], ReadError> {
        let len = self.u64()?;
        self.take(len)
    }

    pub(crate) fn name(&mut self) -> Result<&'a str, ReadError> {
        let at = self.at();
        std::str::from_utf8(self.vec()?).map_err(|_| ReadError::NotUtf8 { at })
    }
}

/// Appends `vec(b)`.
pub(crate) fn put_vec(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_beyond_the_end_is_an_error() {
        let mut cursor = Cursor::new(&[0xff; 12]);
        assert_eq!(
            cursor.vec(),
            Err(ReadError::Short {
                at: 8,
                want: u64::MAX,
                got: 4
            })
        );
        assert_eq!(cursor.take(4).unwrap(), &[0xff; 4]);
        assert!(cursor.is_empty());
    }
}
