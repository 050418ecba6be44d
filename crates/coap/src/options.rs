//! The options of a message and their encoding, which UDP and TCP framing share (RFC 7252 §3.1, RFC
//! 8323 §3.2).

use std::str::{self, Utf8Error};

use crate::option_number::OptionNumber;

/// Options accepted in one message.
pub const MAX_OPTIONS: usize = 128;

/// The longest option value the encoding can carry, in bytes (RFC 7252 §3.1).
pub const MAX_VALUE_LENGTH: usize = 269 + u16::MAX as usize;

const PAYLOAD_MARKER: u8 = 0xff;

/// The options of a message, in the order of their numbers; those with one number keep the order
/// they were added in.
#[derive(Clone, Default)]
pub struct Options {
    /// Ordered by number. The values lie in `values`, in the order they were added.
    entries: Vec<Entry>,
    values: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Entry {
    number: OptionNumber,
    start: usize,
    end: usize,
}

impl Options {
    /// No options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an option after those with the same or a lower number. A value longer than
    /// [`MAX_VALUE_LENGTH`] cannot be encoded, and no message that carries one is sent.
    pub fn push(&mut self, number: OptionNumber, value: &[u8]) {
        let start = self.values.len();
        self.values.extend_from_slice(value);
        let position = self.entries.partition_point(|entry| entry.number <= number);
        self.entries.insert(
            position,
            Entry {
                number,
                start,
                end: self.values.len(),
            },
        );
    }

    /// Adds an option whose value is an unsigned integer, in as few bytes as possible (RFC 7252
    /// §3.2).
    pub fn push_uint(&mut self, number: OptionNumber, value: u32) {
        let bytes = value.to_be_bytes();
        self.push(number, without_leading_zeros(&bytes));
    }

    /// All options in the order of the wire.
    pub fn iter(&self) -> impl Iterator<Item = (OptionNumber, &[u8])> {
        self.entries
            .iter()
            .map(|entry| (entry.number, self.value(entry)))
    }

    /// The values of one option, in the order of the wire.
    pub fn get_all(&self, number: OptionNumber) -> impl Iterator<Item = &[u8]> {
        let from = self.entries.partition_point(|entry| entry.number < number);
        let of_number = self
            .entries
            .iter()
            .skip(from)
            .take_while(move |entry| entry.number == number);
        of_number.map(|entry| self.value(entry))
    }

    /// The first value of an option.
    #[must_use]
    pub fn get_first(&self, number: OptionNumber) -> Option<&[u8]> {
        self.get_all(number).next()
    }

    /// The first value of an option as an unsigned integer; leading zero bytes are allowed (RFC
    /// 7252 §3.2).
    ///
    /// `None` if the option is absent or its length is not one its definition permits, which is the
    /// same thing for an elective option (RFC 7252 §5.4.3). Requests with such a critical option
    /// never reach the application.
    #[must_use]
    pub fn uint(&self, number: OptionNumber) -> Option<u32> {
        let value = self
            .get_first(number)
            .filter(|value| number.permits_length(value.len()))?;
        let significant = without_leading_zeros(value);
        if significant.len() > size_of::<u32>() {
            return None;
        }
        Some(
            significant
                .iter()
                .fold(0, |sum, byte| sum << 8 | u32::from(*byte)),
        )
    }

    /// The segments of the path. A segment that is not UTF-8 is the caller's to answer with 4.00.
    pub fn uri_path(&self) -> impl Iterator<Item = Result<&str, Utf8Error>> {
        self.get_all(OptionNumber::URI_PATH).map(str::from_utf8)
    }

    /// The arguments of the query. An argument that is not UTF-8 is the caller's to answer with
    /// 4.00.
    pub fn uri_query(&self) -> impl Iterator<Item = Result<&str, Utf8Error>> {
        self.get_all(OptionNumber::URI_QUERY).map(str::from_utf8)
    }

    /// Content-Format (RFC 7252 §5.10.3).
    #[must_use]
    pub fn content_format(&self) -> Option<u16> {
        self.uint(OptionNumber::CONTENT_FORMAT)
            .and_then(|value| u16::try_from(value).ok())
    }

    /// Observe: 0 registers and 1 deregisters in a request, a 24-bit sequence number in a response
    /// (RFC 7641 §2).
    #[must_use]
    pub fn observe(&self) -> Option<u32> {
        self.uint(OptionNumber::OBSERVE)
    }

    /// Max-Age in seconds; `None` stands for its default of 60 s (RFC 7252 §5.10.5).
    #[must_use]
    pub fn max_age(&self) -> Option<u32> {
        self.uint(OptionNumber::MAX_AGE)
    }

    /// Hop-Limit; `None` stands for a request that no proxy has limited yet (RFC 8768 §3).
    ///
    /// # Errors
    /// If it is not 1 to 255 in one byte: to be answered with 4.00.
    #[must_use]
    pub fn hop_limit(&self) -> Option<Result<u8, HopLimitError>> {
        let value = self.get_first(OptionNumber::HOP_LIMIT)?;
        Some(match value {
            [] | [0] => Err(HopLimitError::Zero),
            [hops] => Ok(*hops),
            longer => Err(HopLimitError::TooLong(longer.len())),
        })
    }

    /// The first critical option that is not recognised, has a length it must not have, or occurs
    /// too often (RFC 7252 §5.4.1, §5.4.3, §5.4.5).
    pub(crate) fn unrecognised_critical(
        &self,
        recognised: impl Fn(OptionNumber) -> bool,
    ) -> Option<OptionNumber> {
        let mut previous = None;
        self.iter().find_map(|(number, value)| {
            let surplus = previous.replace(number) == Some(number) && !number.is_repeatable();
            let acceptable = recognised(number) && number.permits_length(value.len()) && !surplus;
            (number.is_critical() && !acceptable).then_some(number)
        })
    }

    fn value(&self, entry: &Entry) -> &[u8] {
        self.values.get(entry.start..entry.end).unwrap_or_default()
    }

    /// Removes all options with these numbers.
    pub(crate) fn remove(&mut self, numbers: &[OptionNumber]) {
        self.entries
            .retain(|entry| !numbers.contains(&entry.number));
    }

    /// Bytes that [`encode_body`] writes for these options.
    pub(crate) fn encoded_length(&self) -> usize {
        let mut previous = 0;
        let lengths = self.iter().map(|(number, value)| {
            let delta = usize::from(number.0 - previous);
            previous = number.0;
            let value = value.len().min(MAX_VALUE_LENGTH);
            let extensions = nibble(delta).1.as_slice().len() + nibble(value).1.as_slice().len();
            1 + extensions + value
        });
        lengths.sum()
    }
}

impl PartialEq for Options {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Options {}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(number, value)| (number.0, value)))
            .finish()
    }
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

/// What is wrong with a Hop-Limit option (RFC 8768 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HopLimitError {
    /// It says that the request should not have been forwarded here.
    #[error("Hop-Limit is 0")]
    Zero,
    /// Its value takes more than a byte.
    #[error("Hop-Limit of {0} bytes")]
    TooLong(usize),
}

/// What is wrong with the part of a message after the token. `at` counts bytes from the first
/// option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// An option delta of 15 outside a payload marker (RFC 7252 §3.1).
    #[error("reserved option delta at byte {at}")]
    ReservedDelta {
        /// Where the option starts.
        at: usize,
    },
    /// An option length of 15 (RFC 7252 §3.1).
    #[error("reserved option length at byte {at}")]
    ReservedLength {
        /// Where the option starts.
        at: usize,
    },
    /// The message ends inside an option.
    #[error("option at byte {at} is cut short")]
    CutShort {
        /// Where the option starts.
        at: usize,
    },
    /// The deltas add up to more than an option number can be.
    #[error("option number at byte {at} exceeds 65535")]
    NumberOverflow {
        /// Where the option starts.
        at: usize,
    },
    /// More options than [`MAX_OPTIONS`].
    #[error("more than {MAX_OPTIONS} options")]
    TooMany,
    /// A payload marker with nothing behind it (RFC 7252 §3).
    #[error("payload marker without payload")]
    EmptyPayload,
}

/// Appends options and payload.
pub(crate) fn encode_body(options: &Options, payload: &[u8], out: &mut Vec<u8>) {
    let mut previous = 0;
    for (number, value) in options.iter() {
        let value = value.get(..MAX_VALUE_LENGTH).unwrap_or(value);
        let (delta, delta_extension) = nibble(usize::from(number.0 - previous));
        let (length, length_extension) = nibble(value.len());
        out.push(delta << 4 | length);
        out.extend(delta_extension.as_slice());
        out.extend(length_extension.as_slice());
        out.extend_from_slice(value);
        previous = number.0;
    }
    if !payload.is_empty() {
        out.push(PAYLOAD_MARKER);
        out.extend_from_slice(payload);
    }
}

enum Extension {
    None,
    One([u8; 1]),
    Two([u8; 2]),
}

impl Extension {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::None => &[],
            Self::One(bytes) => bytes,
            Self::Two(bytes) => bytes,
        }
    }
}

/// The four bits for a delta or length, and the bytes that follow when four bits are too few.
fn nibble(value: usize) -> (u8, Extension) {
    match (u8::try_from(value), value.checked_sub(13).map(u8::try_from)) {
        (Ok(small), None) => (small, Extension::None),
        (_, Some(Ok(byte))) => (13, Extension::One([byte])),
        _ => {
            let word = u16::try_from(value.saturating_sub(269)).unwrap_or(u16::MAX);
            (14, Extension::Two(word.to_be_bytes()))
        }
    }
}

/// Splits what follows the token into options and payload.
pub(crate) fn decode_body(bytes: &[u8]) -> Result<(Options, &[u8]), OptionsError> {
    let mut options = Options::default();
    let mut number = 0;
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        if first == PAYLOAD_MARKER {
            return if after.is_empty() {
                Err(OptionsError::EmptyPayload)
            } else {
                Ok((options, after))
            };
        }
        let at = bytes.len() - rest.len();
        if options.entries.len() == MAX_OPTIONS {
            return Err(OptionsError::TooMany);
        }
        let (delta, after) =
            extended(first >> 4, after, at)?.ok_or(OptionsError::ReservedDelta { at })?;
        let (length, after) =
            extended(first & 0xf, after, at)?.ok_or(OptionsError::ReservedLength { at })?;
        let sum = usize::from(number) + delta;
        number = u16::try_from(sum).map_err(|_| OptionsError::NumberOverflow { at })?;
        let (value, after) = after
            .split_at_checked(length)
            .ok_or(OptionsError::CutShort { at })?;
        options.push(OptionNumber(number), value);
        rest = after;
    }
    Ok((options, &[]))
}

/// A delta or length with its extension bytes, and what is left; `Ok(None)` for the reserved 15.
fn extended(nibble: u8, rest: &[u8], at: usize) -> Result<Option<(usize, &[u8])>, OptionsError> {
    let cut_short = OptionsError::CutShort { at };
    Ok(match nibble {
        15 => None,
        14 => {
            let (word, rest) = rest.split_first_chunk().ok_or(cut_short)?;
            Some((269 + usize::from(u16::from_be_bytes(*word)), rest))
        }
        13 => {
            let (byte, rest) = rest.split_first().ok_or(cut_short)?;
            Some((13 + usize::from(*byte), rest))
        }
        small => Some((usize::from(small), rest)),
    })
}
