//! SHA-256 of many messages, two at a time.
//!
//! Each step of SHA-256 waits for the one before it, so that a processor with instructions for it is idle for a third of the
//! time with one message. It overlaps the blocks of two independent messages if they are compressed in turn. The compression
//! is the library's; what is here is padding (FIPS 180-4, section 5.1.1) and the order of blocks. Decision 0028 has figures.

use sha2::block_api::compress256;

use crate::hash::Digest;

const BLOCK: usize = 64;
/// Messages whose ends are made ready together: long before they are read, or the processor waits for what was just written.
const BATCH: usize = 64;

type Block = [u8; BLOCK];

/// What SHA-256 begins with (FIPS 180-4, section 5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// Appends `H(message)` of each message to `digests`, in their order.
pub fn hash_all<M: AsRef<[u8]>>(messages: &[M], digests: &mut Vec<Digest>) {
    let mut ends = [End::EMPTY; BATCH];
    for batch in messages.chunks(BATCH) {
        for (end, message) in ends.iter_mut().zip(batch) {
            end.fill(message.as_ref());
        }
        let from = digests.len();
        digests.resize(from + batch.len(), Digest::ZERO);
        let digests = digests.get_mut(from..).unwrap_or_default();
        let whole = batch.iter().map(|message| message.as_ref().as_chunks().0);
        let mut lanes = whole
            .zip(&ends)
            .zip(digests)
            .map(|((whole, end), digest)| Lane::new(whole, end.blocks(), digest));
        compress(&mut lanes);
    }
}

/// Takes the messages to their ends, two at a time, the next one as soon as one of the two is done.
fn compress<'m>(waiting: &mut impl Iterator<Item = Lane<'m>>) {
    let (Some(mut one), mut other) = (waiting.next(), waiting.next()) else {
        return;
    };
    while let Some(second) = &mut other {
        for _ in 0..one.left().min(second.left()) {
            one.step();
            second.step();
        }
        if second.left() == 0 {
            second.finish();
            other = waiting.next();
        }
        if one.left() == 0 {
            one.finish();
            match waiting.next().or_else(|| other.take()) {
                Some(next) => one = next,
                None => return,
            }
        }
    }
    while one.left() > 0 {
        one.step();
    }
    one.finish();
}

/// The blocks that end a message: what of it fills no block, one bit, and the length in bits.
#[derive(Clone, Copy)]
struct End {
    blocks: [Block; 2],
    /// Whether it takes both.
    two: bool,
}

impl End {
    const EMPTY: Self = Self {
        blocks: [[0; BLOCK]; 2],
        two: false,
    };

    /// In place: to read back at once what was written byte by byte costs as much as a block.
    fn fill(&mut self, message: &[u8]) {
        let (_, rest) = message.as_chunks::<BLOCK>();
        self.blocks = [[0; BLOCK]; 2];
        self.two = rest.len() + 1 + 8 > BLOCK;
        let bytes = self.blocks.as_flattened_mut();
        if let Some((text, behind)) = bytes.split_at_mut_checked(rest.len()) {
            text.copy_from_slice(rest);
            if let Some(bit) = behind.first_mut() {
                *bit = 0x80;
            }
        }
        let [first, second] = &mut self.blocks;
        let last = if self.two { second } else { first };
        if let Some(length) = last.last_chunk_mut() {
            *length = (8 * message.len() as u64).to_be_bytes();
        }
    }

    fn blocks(&self) -> &[Block] {
        let [first, _] = &self.blocks;
        if self.two {
            &self.blocks
        } else {
            std::slice::from_ref(first)
        }
    }
}

/// A message on its way.
struct Lane<'m> {
    state: [u32; 8],
    /// What is left of its blocks: those that are read now, and those behind.
    now: &'m [Block],
    end: &'m [Block],
    digest: &'m mut Digest,
}

impl<'m> Lane<'m> {
    fn new(whole: &'m [Block], end: &'m [Block], digest: &'m mut Digest) -> Self {
        Self {
            state: INITIAL,
            now: whole,
            end,
            digest,
        }
    }

    #[inline]
    fn left(&self) -> usize {
        self.now.len() + self.end.len()
    }

    #[inline]
    fn step(&mut self) {
        if self.now.is_empty() {
            self.now = std::mem::take(&mut self.end);
        }
        if let Some((block, rest)) = self.now.split_first() {
            compress256(&mut self.state, std::slice::from_ref(block));
            self.now = rest;
        }
    }

    #[inline]
    fn finish(&mut self) {
        let words = self.digest.0.as_chunks_mut().0.iter_mut();
        for (bytes, word) in words.zip(self.state) {
            *bytes = word.to_be_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn held_to_the_library(messages: &[Vec<u8>]) {
        let known = Digest([7; 32]);
        let mut digests = vec![known];
        hash_all(messages, &mut digests);
        let mut want = vec![known];
        want.extend(messages.iter().map(|message| Digest::of(message)));
        assert_eq!(digests, want);
    }

    fn message(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n * 7 + length) as u8).collect()
    }

    #[test]
    fn every_length_has_the_digest_of_the_library_alone_and_beside_every_other() {
        held_to_the_library(&[]);
        for length in 0..300 {
            held_to_the_library(&[message(length)]);
        }
        for one in 0..200 {
            for other in [0, 1, 54, 55, 56, 63, 64, 65, 119, 120, 128, 183, 700] {
                held_to_the_library(&[message(one), message(other)]);
                held_to_the_library(&[message(other), message(one), message(other)]);
            }
        }
    }

    #[test]
    fn digests_stand_in_the_order_of_messages_across_batches() {
        for count in [BATCH - 1, BATCH, BATCH + 1, 3 * BATCH + 5] {
            let messages: Vec<_> = (0..count).map(|n| message(n * 37 % 500)).collect();
            held_to_the_library(&messages);
        }
    }

    proptest! {
        #[test]
        fn any_messages_have_the_digests_of_the_library(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 0..150),
        ) {
            held_to_the_library(&messages);
        }
    }
}
