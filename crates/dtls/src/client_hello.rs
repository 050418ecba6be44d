//! The ClientHello as far as the cookie door reads it (RFC 6347 §4.2.1).
//!
//! ```text
//! record     type 22 | version 0xfeXX | epoch 0 | sequence (6) | length (2)
//! handshake  type 1 | length (3) | message_seq (2) | fragment_offset 0 (3) | fragment_length (3)
//! body       version (2) | random (32) | session_id <1> | cookie <1> | cipher_suites <2> | compression <1> | extensions
//! ```
//! The hello may be the first fragment of a longer one (a ticket can make it outgrow a datagram); what the cookie covers
//! has to be inside.

const CONTENT_HANDSHAKE: u8 = 22;
const DTLS_MAJOR: u8 = 0xfe;
const CLIENT_HELLO: u8 = 1;

/// Whether a datagram begins a handshake. Seen on an established session, it is from a peer that
/// started anew and has to be handed to the [`Acceptor`](crate::Acceptor), which finds out whether
/// it is really that peer (RFC 6347 §4.2.8).
#[must_use]
pub fn is_initial_client_hello(datagram: &[u8]) -> bool {
    ClientHello::parse(datagram).is_ok()
}

/// What makes the door drop a datagram of a source that has no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum HelloError {
    /// Not a DTLS handshake record in epoch 0: stray traffic, or records of a session that is gone.
    #[error("not an initial DTLS handshake record")]
    NotAHandshakeRecord,
    /// The record's length is not that of the datagram.
    #[error("the record's length does not match the datagram")]
    RecordLength,
    /// A handshake message other than ClientHello.
    #[error("not a ClientHello")]
    NotAClientHello,
    /// A fragment other than the first, or one whose lengths contradict each other.
    #[error("not a first fragment")]
    Fragment,
    /// A message_seq that no initial ClientHello has: 0 without cookie, 1 with one.
    #[error("a message sequence number that no initial ClientHello has")]
    MessageSequence,
    /// The body ends early or breaks a length that RFC 5246 §7.4.1.2 gives.
    #[error("malformed ClientHello body")]
    Body,
}

/// The parts of a ClientHello that the cookie is bound to, and what the answer repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientHello<'a> {
    pub(crate) record_sequence: &'a [u8; 6],
    pub(crate) version: &'a [u8; 2],
    pub(crate) random: &'a [u8; 32],
    pub(crate) session_id: &'a [u8],
    pub(crate) cookie: &'a [u8],
    pub(crate) cipher_suites: &'a [u8],
    pub(crate) compression_methods: &'a [u8],
}

impl<'a> ClientHello<'a> {
    pub(crate) fn parse(datagram: &'a [u8]) -> Result<Self, HelloError> {
        let mut record = Reader(datagram);
        let [content, major, _minor, 0, 0] =
            record.array().ok_or(HelloError::NotAHandshakeRecord)?
        else {
            return Err(HelloError::NotAHandshakeRecord);
        };
        if *content != CONTENT_HANDSHAKE || *major != DTLS_MAJOR {
            return Err(HelloError::NotAHandshakeRecord);
        }
        let record_sequence = record.array().ok_or(HelloError::RecordLength)?;
        let mut message = Reader(record.vector16().ok_or(HelloError::RecordLength)?);
        if !record.0.is_empty() {
            return Err(HelloError::RecordLength);
        }

        let [kind] = message.array().ok_or(HelloError::NotAClientHello)?;
        if *kind != CLIENT_HELLO {
            return Err(HelloError::NotAClientHello);
        }
        let length = message.uint24().ok_or(HelloError::Fragment)?;
        let message_sequence = message
            .array()
            .copied()
            .map(u16::from_be_bytes)
            .ok_or(HelloError::Fragment)?;
        let offset = message.uint24().ok_or(HelloError::Fragment)?;
        let fragment_length = message.uint24().ok_or(HelloError::Fragment)?;
        if offset != 0
            || fragment_length > length
            || usize::try_from(fragment_length) != Ok(message.0.len())
        {
            return Err(HelloError::Fragment);
        }

        let hello = Self::parse_body(record_sequence, message).ok_or(HelloError::Body)?;
        if message_sequence != u16::from(!hello.cookie.is_empty()) {
            return Err(HelloError::MessageSequence);
        }
        Ok(hello)
    }

    fn parse_body(record_sequence: &'a [u8; 6], mut body: Reader<'a>) -> Option<Self> {
        let hello = Self {
            record_sequence,
            version: body.array()?,
            random: body.array()?,
            session_id: body.vector8()?,
            cookie: body.vector8()?,
            cipher_suites: body.vector16()?,
            compression_methods: body.vector8()?,
        };
        let suites = hello.cipher_suites.len();
        (hello.version[0] == DTLS_MAJOR
            && hello.session_id.len() <= 32
            && suites >= 2
            && suites.is_multiple_of(2)
            && !hello.compression_methods.is_empty())
        .then_some(hello)
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(array)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn uint24(&mut self) -> Option<u32> {
        self.array()
            .map(|[high, middle, low]| u32::from_be_bytes([0, *high, *middle, *low]))
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let [length] = self.array()?;
        self.take(usize::from(*length))
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.array().copied().map(u16::from_be_bytes)?;
        self.take(usize::from(length))
    }
}
