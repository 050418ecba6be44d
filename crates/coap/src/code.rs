use std::fmt;

/// A method or response code, three bits of class and five of detail (RFC 7252 §12.1).
///
/// Codes this crate has no name for are kept as they came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u8);

impl Code {
    /// 0.00, an Empty message: neither request nor response (RFC 7252 §4.1).
    pub const EMPTY: Self = Self::new(0, 0);

    /// 0.01 (RFC 7252 §5.8.1).
    pub const GET: Self = Self::new(0, 1);
    /// 0.02 (RFC 7252 §5.8.2).
    pub const POST: Self = Self::new(0, 2);
    /// 0.03 (RFC 7252 §5.8.3).
    pub const PUT: Self = Self::new(0, 3);
    /// 0.04 (RFC 7252 §5.8.4).
    pub const DELETE: Self = Self::new(0, 4);
    /// 0.05 (RFC 8132 §2).
    pub const FETCH: Self = Self::new(0, 5);

    /// 2.01 (RFC 7252 §5.9.1.1).
    pub const CREATED: Self = Self::new(2, 1);
    /// 2.02 (RFC 7252 §5.9.1.2).
    pub const DELETED: Self = Self::new(2, 2);
    /// 2.03 (RFC 7252 §5.9.1.3).
    pub const VALID: Self = Self::new(2, 3);
    /// 2.04 (RFC 7252 §5.9.1.4).
    pub const CHANGED: Self = Self::new(2, 4);
    /// 2.05 (RFC 7252 §5.9.1.5).
    pub const CONTENT: Self = Self::new(2, 5);
    /// 2.31 (RFC 7959 §2.9.1).
    pub const CONTINUE: Self = Self::new(2, 31);

    /// 4.00 (RFC 7252 §5.9.2.1).
    pub const BAD_REQUEST: Self = Self::new(4, 0);
    /// 4.01 (RFC 7252 §5.9.2.2).
    pub const UNAUTHORIZED: Self = Self::new(4, 1);
    /// 4.02 (RFC 7252 §5.9.2.3).
    pub const BAD_OPTION: Self = Self::new(4, 2);
    /// 4.03 (RFC 7252 §5.9.2.4).
    pub const FORBIDDEN: Self = Self::new(4, 3);
    /// 4.04 (RFC 7252 §5.9.2.5).
    pub const NOT_FOUND: Self = Self::new(4, 4);
    /// 4.05 (RFC 7252 §5.9.2.6).
    pub const METHOD_NOT_ALLOWED: Self = Self::new(4, 5);
    /// 4.06 (RFC 7252 §5.9.2.7).
    pub const NOT_ACCEPTABLE: Self = Self::new(4, 6);
    /// 4.08 (RFC 7959 §2.9.2).
    pub const REQUEST_ENTITY_INCOMPLETE: Self = Self::new(4, 8);
    /// 4.09 (RFC 8132 §4).
    pub const CONFLICT: Self = Self::new(4, 9);
    /// 4.12 (RFC 7252 §5.9.2.8).
    pub const PRECONDITION_FAILED: Self = Self::new(4, 12);
    /// 4.13 (RFC 7252 §5.9.2.9, RFC 7959 §2.9.3).
    pub const REQUEST_ENTITY_TOO_LARGE: Self = Self::new(4, 13);
    /// 4.15 (RFC 7252 §5.9.2.10).
    pub const UNSUPPORTED_CONTENT_FORMAT: Self = Self::new(4, 15);
    /// 4.22 (RFC 8132 §4).
    pub const UNPROCESSABLE: Self = Self::new(4, 22);
    /// 4.29 (RFC 8516 §3).
    pub const TOO_MANY_REQUESTS: Self = Self::new(4, 29);

    /// 5.00 (RFC 7252 §5.9.3.1).
    pub const INTERNAL_SERVER_ERROR: Self = Self::new(5, 0);
    /// 5.01 (RFC 7252 §5.9.3.2).
    pub const NOT_IMPLEMENTED: Self = Self::new(5, 1);
    /// 5.02 (RFC 7252 §5.9.3.3).
    pub const BAD_GATEWAY: Self = Self::new(5, 2);
    /// 5.03 (RFC 7252 §5.9.3.4).
    pub const SERVICE_UNAVAILABLE: Self = Self::new(5, 3);
    /// 5.04 (RFC 7252 §5.9.3.5).
    pub const GATEWAY_TIMEOUT: Self = Self::new(5, 4);
    /// 5.08 (RFC 8768 §6).
    pub const HOP_LIMIT_REACHED: Self = Self::new(5, 8);

    /// 7.01, Capabilities and Settings (RFC 8323 §5.3).
    pub const CSM: Self = Self::new(7, 1);
    /// 7.02 (RFC 8323 §5.4).
    pub const PING: Self = Self::new(7, 2);
    /// 7.03 (RFC 8323 §5.4).
    pub const PONG: Self = Self::new(7, 3);
    /// 7.04 (RFC 8323 §5.5).
    pub const RELEASE: Self = Self::new(7, 4);
    /// 7.05 (RFC 8323 §5.6).
    pub const ABORT: Self = Self::new(7, 5);

    const fn new(class: u8, detail: u8) -> Self {
        Self(class << 5 | detail)
    }

    /// The code a byte on the wire means. Every byte is a code.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// The byte on the wire.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self.0
    }

    /// The class, 0 to 7: the digit before the dot.
    #[must_use]
    pub const fn class(self) -> u8 {
        self.0 >> 5
    }

    /// The detail, 0 to 31: the digits after the dot.
    #[must_use]
    pub const fn detail(self) -> u8 {
        self.0 & 0b1_1111
    }

    /// Whether this is a method: class 0, but not 0.00.
    #[must_use]
    pub const fn is_request(self) -> bool {
        self.class() == 0 && self.detail() != 0
    }

    /// Whether this is a response code: class 2, 4 or 5.
    #[must_use]
    pub const fn is_response(self) -> bool {
        matches!(self.class(), 2 | 4 | 5)
    }

    /// Whether this is a signaling code: class 7, over streams only (RFC 8323 §5.1).
    #[must_use]
    pub const fn is_signaling(self) -> bool {
        self.class() == 7
    }

    /// Whether this is a response code of the Success class.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.class() == 2
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.class(), self.detail())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_read_as_in_the_registry() {
        assert_eq!(Code::CONFLICT.to_string(), "4.09");
        assert_eq!(Code::CONTINUE.to_string(), "2.31");
        assert_eq!(Code::PUT.to_string(), "0.03");
        assert_eq!(Code::HOP_LIMIT_REACHED.to_byte(), 0xa8);
    }

    #[test]
    fn every_byte_is_at_most_one_of_request_and_response() {
        for byte in 0..=u8::MAX {
            let code = Code::from_byte(byte);
            assert_eq!(code.to_byte(), byte);
            assert!(!(code.is_request() && code.is_response()));
            assert!(code.is_response() || !code.is_success());
        }
        assert!(!Code::EMPTY.is_request());
        assert!(Code::CSM.is_signaling() && !Code::CSM.is_response());
    }
}
