//! Bytes that look random and are the same in every run.

use std::io::{self, Write};

/// How much is written at once, in bytes.
const BLOCK: usize = 64 * 1024;

/// A sequence of numbers: `SplitMix64`, <https://doi.org/10.1145/2660193.2660195>.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Gives a number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Writes this many bytes.
    pub(super) fn write(&mut self, mut length: u64, to: &mut impl Write) -> io::Result<()> {
        let mut block = vec![0; usize::try_from(length).map_or(BLOCK, |all| all.min(BLOCK))];
        while length > 0 {
            let part = usize::try_from(length).map_or(BLOCK, |left| left.min(BLOCK));
            block.truncate(part);
            for eight in block.chunks_mut(8) {
                for (byte, random) in eight.iter_mut().zip(self.next().to_le_bytes()) {
                    *byte = random;
                }
            }
            to.write_all(&block)?;
            length -= part as u64;
        }
        Ok(())
    }
}
