use crate::option_number::OptionNumber;
use crate::options::Options;

/// Bits of the option's value below the block number.
const NUMBER_SHIFT: u32 = 4;

const MORE: u32 = 0b1000;

/// The largest block number three bytes can carry.
const LARGEST_NUMBER: usize = 0xf_ffff;

/// The size of a block, 16 to 1024 bytes: SZX 0 to 6 (RFC 7959 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockSize(u8);

impl BlockSize {
    const LARGEST: Self = Self(6);

    /// `None` for the reserved 7, which over TCP would be BERT (RFC 8323 §6).
    fn from_exponent(exponent: u8) -> Option<Self> {
        (exponent <= Self::LARGEST.0).then_some(Self(exponent))
    }

    /// The largest block of at most `room` bytes.
    pub(crate) fn largest_within(room: usize) -> Option<Self> {
        (0..=Self::LARGEST.0)
            .rev()
            .map(Self)
            .find(|size| size.bytes() <= room)
    }

    pub(crate) const fn bytes(self) -> usize {
        1 << (self.0 + 4)
    }
}

/// The value of a Block1 or Block2 option (RFC 7959 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) number: u32,
    pub(crate) more: bool,
    pub(crate) size: BlockSize,
}

/// A block size of 7, to be answered with 4.00 (RFC 7959 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReservedSize;

impl Block {
    pub(crate) const fn first(size: BlockSize) -> Self {
        let (number, more) = (0, false);
        Self { number, more, size }
    }

    /// The block that starts at `offset`; `None` if no block of this size does, or its number is
    /// too large for the option.
    pub(crate) fn at(offset: usize, more: bool, size: BlockSize) -> Option<Self> {
        let number = offset / size.bytes();
        if !offset.is_multiple_of(size.bytes()) || number > LARGEST_NUMBER {
            return None;
        }
        let number = u32::try_from(number).ok()?;
        Some(Self { number, more, size })
    }

    /// Reads the option, if it is there. Its length has been checked with the critical options.
    pub(crate) fn read(
        options: &Options,
        number: OptionNumber,
    ) -> Result<Option<Self>, ReservedSize> {
        let Some(value) = options.uint(number) else {
            return Ok(None);
        };
        let exponent = (value & 0b111).to_le_bytes()[0];
        Ok(Some(Self {
            number: value >> NUMBER_SHIFT,
            more: value & MORE != 0,
            size: BlockSize::from_exponent(exponent).ok_or(ReservedSize)?,
        }))
    }

    /// Puts the option in the place of any that is there.
    pub(crate) fn write(self, options: &mut Options, number: OptionNumber) {
        let more = if self.more { MORE } else { 0 };
        let value = self.number << NUMBER_SHIFT | more | u32::from(self.size.0);
        options.remove(&[number]);
        options.push_uint(number, value);
    }

    /// Where the block starts in the body, in bytes.
    pub(crate) fn offset(self) -> usize {
        usize::try_from(self.number)
            .unwrap_or(usize::MAX)
            .saturating_mul(self.size.bytes())
    }

    pub(crate) fn is_first(self) -> bool {
        self.number == 0
    }

    /// Whether a payload of `length` bytes may come with this option: blocks with others behind
    /// them are full (RFC 7959 §2.3), the last one is no longer than a block.
    pub(crate) fn describes(self, length: usize) -> bool {
        length == self.size.bytes() || (!self.more && length < self.size.bytes())
    }
}

/// Room that Block1 or Block2 may take in a message: a header of two bytes and a value of three.
pub(crate) const LONGEST_OPTION: usize = 5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(value: u32) -> Result<Option<Block>, ReservedSize> {
        let mut options = Options::new();
        options.push_uint(OptionNumber::BLOCK2, value);
        Block::read(&options, OptionNumber::BLOCK2)
    }

    /// Covers: B-001. RFC 7959 §2.2 and the values that RFC 8323 §6 explains: 33 is 2/0/32, 59 is
    /// 3/1/128.
    #[test]
    fn values_read_as_the_rfc_says() {
        let block = |number, more, exponent| {
            let size = BlockSize(exponent);
            Ok(Some(Block { number, more, size }))
        };
        assert_eq!(read(33), block(2, false, 1));
        assert_eq!(read(59), block(3, true, 3));
        assert_eq!(read(0), block(0, false, 0));
        assert_eq!(read(0xff_fffe), block(0xf_ffff, true, 6));
        assert_eq!(read(7), Err(ReservedSize));
        let absent = Block::read(&Options::new(), OptionNumber::BLOCK2);
        assert_eq!(absent, Ok(None));
    }

    /// Covers: B-001.
    #[test]
    fn sizes_go_from_16_to_1024_bytes() {
        let sizes: Vec<_> = (0..=7).map(BlockSize::from_exponent).collect();
        let bytes: Vec<_> = sizes
            .iter()
            .map(|size| size.map(BlockSize::bytes))
            .collect();
        let expected = [16, 32, 64, 128, 256, 512, 1024].map(Some);
        assert_eq!(bytes, [&expected[..], &[None]].concat());
        assert_eq!(BlockSize::largest_within(15), None);
        assert_eq!(BlockSize::largest_within(1023), Some(BlockSize(5)));
        assert_eq!(BlockSize::largest_within(9999), Some(BlockSize(6)));
    }

    #[test]
    fn only_the_last_block_may_be_short() {
        let block = |more| Block::at(32, more, BlockSize(1)).expect("a multiple of 32");
        assert!(block(true).describes(32) && block(false).describes(32));
        assert!(!block(true).describes(31) && block(false).describes(31));
        assert!(!block(true).describes(33) && !block(false).describes(33));
        assert_eq!(Block::at(33, false, BlockSize(1)), None);
        assert_eq!(Block::at(16 << 20, false, BlockSize(0)), None);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(value in 0..1_u32 << 24) {
            if let Ok(Some(block)) = read(value) {
                let mut options = Options::new();
                options.push_uint(OptionNumber::BLOCK1, 1);
                block.write(&mut options, OptionNumber::BLOCK1);
                prop_assert_eq!(options.uint(OptionNumber::BLOCK1), Some(value));
                prop_assert_eq!(Block::at(block.offset(), block.more, block.size), Some(block));
            } else {
                prop_assert_eq!(value & 7, 7);
            }
        }
    }
}
