use std::ops::RangeInclusive;

/// The number of an option (RFC 7252 §12.2). Numbers this crate has no name for are kept as they
/// came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OptionNumber(pub u16);

impl OptionNumber {
    /// If-Match (RFC 7252 §5.10.8.1).
    pub const IF_MATCH: Self = Self(1);
    /// Uri-Host (RFC 7252 §5.10.1).
    pub const URI_HOST: Self = Self(3);
    /// ETag (RFC 7252 §5.10.6).
    pub const ETAG: Self = Self(4);
    /// If-None-Match (RFC 7252 §5.10.8.2).
    pub const IF_NONE_MATCH: Self = Self(5);
    /// Observe (RFC 7641 §2).
    pub const OBSERVE: Self = Self(6);
    /// Uri-Port (RFC 7252 §5.10.1).
    pub const URI_PORT: Self = Self(7);
    /// Uri-Path, one per segment (RFC 7252 §5.10.1).
    pub const URI_PATH: Self = Self(11);
    /// Content-Format (RFC 7252 §5.10.3).
    pub const CONTENT_FORMAT: Self = Self(12);
    /// Max-Age, seconds (RFC 7252 §5.10.5).
    pub const MAX_AGE: Self = Self(14);
    /// Uri-Query, one per argument (RFC 7252 §5.10.1).
    pub const URI_QUERY: Self = Self(15);
    /// Hop-Limit (RFC 8768 §3).
    pub const HOP_LIMIT: Self = Self(16);
    /// Accept (RFC 7252 §5.10.4).
    pub const ACCEPT: Self = Self(17);
    /// Q-Block1 (RFC 9177 §4.1).
    pub const Q_BLOCK1: Self = Self(19);
    /// Block2 (RFC 7959 §2.1).
    pub const BLOCK2: Self = Self(23);
    /// Block1 (RFC 7959 §2.1).
    pub const BLOCK1: Self = Self(27);
    /// Size2, bytes (RFC 7959 §4).
    pub const SIZE2: Self = Self(28);
    /// Q-Block2 (RFC 9177 §4.1).
    pub const Q_BLOCK2: Self = Self(31);
    /// Size1, bytes (RFC 7252 §5.10.9).
    pub const SIZE1: Self = Self(60);
    /// Request-Tag (RFC 9175 §3.2).
    pub const REQUEST_TAG: Self = Self(292);

    /// Whether a recipient that does not know this option must refuse the message (RFC 7252
    /// §5.4.6).
    #[must_use]
    pub const fn is_critical(self) -> bool {
        self.0 & 1 == 1
    }

    /// Whether requests that differ in this option alone ask for the same (RFC 7252 §5.4.6).
    #[must_use]
    pub const fn is_no_cache_key(self) -> bool {
        self.0 & 0b1_1110 == 0b1_1100
    }

    /// Whether a value of `length` bytes is within the option's definition (RFC 7252 §5.4.3). An
    /// option without a name here has no definition to break, and Hop-Limit may run over its one
    /// byte, because its recipient has to answer that (RFC 8768 §3).
    #[must_use]
    pub fn permits_length(self, length: usize) -> bool {
        let permitted: RangeInclusive<usize> = match self {
            Self::IF_MATCH | Self::REQUEST_TAG => 0..=8,
            Self::URI_HOST => 1..=255,
            Self::ETAG => 1..=8,
            Self::IF_NONE_MATCH => 0..=0,
            Self::URI_PORT | Self::CONTENT_FORMAT | Self::ACCEPT => 0..=2,
            Self::URI_PATH | Self::URI_QUERY => 0..=255,
            Self::OBSERVE | Self::Q_BLOCK1 | Self::BLOCK2 | Self::BLOCK1 | Self::Q_BLOCK2 => 0..=3,
            Self::MAX_AGE | Self::SIZE2 | Self::SIZE1 => 0..=4,
            _ => return true,
        };
        permitted.contains(&length)
    }

    /// Whether the option may occur more than once in a message (RFC 7252 §5.4.5). An option
    /// without a name here may.
    #[must_use]
    pub const fn is_repeatable(self) -> bool {
        !matches!(
            self,
            Self::URI_HOST
                | Self::IF_NONE_MATCH
                | Self::OBSERVE
                | Self::URI_PORT
                | Self::CONTENT_FORMAT
                | Self::MAX_AGE
                | Self::HOP_LIMIT
                | Self::ACCEPT
                | Self::Q_BLOCK1
                | Self::BLOCK2
                | Self::BLOCK1
                | Self::SIZE2
                | Self::SIZE1
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7252 §5.4.6: odd numbers are critical.
    #[test]
    fn odd_numbers_are_critical() {
        assert!(OptionNumber::URI_PATH.is_critical());
        assert!(OptionNumber::Q_BLOCK2.is_critical());
        assert!(!OptionNumber::OBSERVE.is_critical());
        assert!(!OptionNumber::HOP_LIMIT.is_critical());
    }

    /// RFC 7959 §4, RFC 7252 §12.2.
    #[test]
    fn the_size_options_are_no_part_of_the_cache_key() {
        assert!(OptionNumber::SIZE1.is_no_cache_key());
        assert!(OptionNumber::SIZE2.is_no_cache_key());
        assert!(!OptionNumber::URI_QUERY.is_no_cache_key());
        assert!(!OptionNumber::REQUEST_TAG.is_no_cache_key());
    }
}
