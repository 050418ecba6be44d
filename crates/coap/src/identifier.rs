use std::fmt;

use fastrand::Rng;

/// Tells messages of one sender apart: pairs an Acknowledgement or Reset with what it answers and
/// reveals duplicates (RFC 7252 §4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u16);

/// The client's name for a request, echoed in each response to it; 0 to 8 bytes (RFC 7252 §5.3.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    length: u8,
    bytes: [u8; Self::MAX_LENGTH],
}

impl Token {
    /// The longest token the header can announce, in bytes.
    pub const MAX_LENGTH: usize = 8;

    /// The token of no bytes.
    pub const EMPTY: Self = Self {
        length: 0,
        bytes: [0; Self::MAX_LENGTH],
    };

    /// The token made of these bytes; `None` if there are more than [`Token::MAX_LENGTH`].
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut token = Self::EMPTY;
        token.length = u8::try_from(bytes.len()).ok()?;
        token.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(token)
    }

    /// The bytes of the token.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }

    /// The value of the header's Token Length field.
    pub(crate) fn length(self) -> u8 {
        self.length
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({self})")
    }
}

/// A received request, as a handle to answer it with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exchange(pub(crate) u64);

/// Source of Message IDs, tokens and jitter, all from one seed.
#[derive(Debug)]
pub(crate) struct Identifiers {
    rng: Rng,
    next_message_id: MessageId,
}

impl Identifiers {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let next_message_id = MessageId(rng.u16(..));
        Self {
            rng,
            next_message_id,
        }
    }

    /// The next Message ID. One variable that counts up, as RFC 7252 §4.4 suggests.
    pub(crate) fn message_id(&mut self) -> MessageId {
        let id = self.next_message_id;
        self.next_message_id = MessageId(id.0.wrapping_add(1));
        id
    }

    /// A token that `taken` does not know. Four bytes are plenty inside a secured session (RFC 7252
    /// §5.3.1).
    pub(crate) fn token(&mut self, taken: impl Fn(&Token) -> bool) -> Token {
        let mut token = Token {
            length: 4,
            bytes: [0; Token::MAX_LENGTH],
        };
        loop {
            let [a, b, c, d] = self.rng.u32(..).to_be_bytes();
            token.bytes = [a, b, c, d, 0, 0, 0, 0];
            if !taken(&token) {
                return token;
            }
        }
    }

    /// A number in `0.0..1.0` for jitter.
    pub(crate) fn fraction(&mut self) -> f64 {
        self.rng.f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_up_to_eight_bytes() {
        assert_eq!(
            Token::new(&[0xde, 0xad, 0x01])
                .expect("three bytes")
                .to_string(),
            "dead01"
        );
        assert_eq!(Token::new(&[7; 8]).expect("eight bytes").as_bytes(), [7; 8]);
        assert_eq!(Token::new(&[7; 9]), None);
        assert_ne!(
            Token::new(&[0]),
            Token::new(&[]),
            "length is part of the token"
        );
    }

    #[test]
    fn identifiers_follow_from_the_seed_and_avoid_taken_tokens() {
        let mut one = Identifiers::new(7);
        let mut other = Identifiers::new(7);
        assert_eq!(one.message_id(), other.message_id());
        let first = one.token(|_| false);
        let second = other.token(|token| *token == first);
        assert_ne!(first, second);
    }

    #[test]
    fn message_ids_wrap_around() {
        let mut identifiers = Identifiers::new(1);
        let first = identifiers.message_id();
        for _ in 0..u16::MAX {
            assert_ne!(identifiers.message_id(), first);
        }
        assert_eq!(identifiers.message_id(), first);
    }
}
