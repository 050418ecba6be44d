//! What the ends of a connection tell each other about it (RFC 8323 §5).
//!
//! ```text
//! CSM  <->  CSM      first in both directions, later ones change it
//! Ping -->  Pong
//! Release -> the peer closes when it has answered;  Abort -> at once
//! ```

use crate::code::Code;
use crate::frame::{Frame, FrameError};
use crate::identifier::Token;
use crate::option_number::OptionNumber;
use crate::options::Options;
use crate::parameters::Limits;

/// Of a CSM (RFC 8323 §5.3.1).
const MAX_MESSAGE_SIZE: OptionNumber = OptionNumber(2);
/// Of a CSM (RFC 8323 §5.3.2).
const BLOCK_WISE_TRANSFER: OptionNumber = OptionNumber(4);
/// Of an Abort message (RFC 8323 §5.6).
const BAD_CSM_OPTION: OptionNumber = OptionNumber(2);

/// Bytes a message may have unless a CSM says otherwise. To announce more would announce BERT, which
/// is not supported here (RFC 8323 §5.3.1, §5.3.2).
const BASE_MESSAGE_SIZE: usize = 1152;

/// Why this end aborts a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The bytes are no message (RFC 8323 §5.6).
    #[error("malformed message: {0}")]
    Malformed(#[from] FrameError),
    /// The first message was something else than a CSM (RFC 8323 §3.3).
    #[error("the first message is {0} and not a CSM")]
    NoCsm(Code),
    /// An option of a CSM that is critical and unknown, or has an impossible value (RFC 8323 §5.6).
    #[error("cannot process CSM option {}", .0.0)]
    BadCsmOption(OptionNumber),
    /// A critical option in another signaling message (RFC 8323 §5.2).
    #[error("cannot process option {} of {code}", option.0)]
    UnknownCriticalOption {
        /// The kind of message.
        code: Code,
        /// The option.
        option: OptionNumber,
    },
    /// More messages than [`Limits::queued_datagrams`](crate::Limits::queued_datagrams) wait to be
    /// sent.
    #[error("too many messages wait to be sent")]
    Congested,
}

/// What the peer's CSMs have said so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// Bytes of the largest message it takes.
    pub(crate) max_message_size: usize,
    /// Whether it takes bodies in blocks; `None` until it had a chance to say.
    pub(crate) block_wise: Option<bool>,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            max_message_size: BASE_MESSAGE_SIZE,
            block_wise: None,
        }
    }
}

impl Capabilities {
    /// Takes a CSM. What it does not mention stays as it was (RFC 8323 §5.3).
    pub(crate) fn update(&mut self, csm: &Frame) -> Result<(), StreamError> {
        if let Some(option) = csm.options.unrecognised_critical(|_| false) {
            return Err(StreamError::BadCsmOption(option));
        }
        if csm.options.get_first(MAX_MESSAGE_SIZE).is_some() {
            let size = csm.options.uint(MAX_MESSAGE_SIZE);
            let size = size.ok_or(StreamError::BadCsmOption(MAX_MESSAGE_SIZE))?;
            self.max_message_size = usize::try_from(size).unwrap_or(usize::MAX);
        }
        let said = csm.options.get_first(BLOCK_WISE_TRANSFER).is_some();
        self.block_wise = Some(said || self.block_wise == Some(true));
        Ok(())
    }
}

/// The CSM of this end.
pub(crate) fn own_csm(limits: &Limits) -> Frame {
    let mut csm = signal(Code::CSM, Token::EMPTY);
    let size = BASE_MESSAGE_SIZE.min(limits.max_received_size);
    if let Ok(size) = u32::try_from(size) {
        csm.options.push_uint(MAX_MESSAGE_SIZE, size);
    }
    csm.options.push(BLOCK_WISE_TRANSFER, &[]);
    csm
}

/// The answer to a Ping. It promises nothing about requests under way: no Custody (RFC 8323 §5.4.1).
pub(crate) fn pong(ping: &Frame) -> Frame {
    signal(Code::PONG, ping.token)
}

/// The Abort message that says why.
pub(crate) fn abort(error: &StreamError) -> Frame {
    let mut abort = signal(Code::ABORT, Token::EMPTY);
    if let StreamError::BadCsmOption(option) = error {
        let number = u32::from(option.0);
        abort.options.push_uint(BAD_CSM_OPTION, number);
    }
    abort.payload = error.to_string().into_bytes();
    abort
}

/// No critical option of any signaling message but CSM is known here.
pub(crate) fn check_critical(frame: &Frame) -> Result<(), StreamError> {
    match frame.options.unrecognised_critical(|_| false) {
        Some(option) => {
            let code = frame.code;
            Err(StreamError::UnknownCriticalOption { code, option })
        }
        None => Ok(()),
    }
}

fn signal(code: Code, token: Token) -> Frame {
    Frame {
        code,
        token,
        options: Options::new(),
        payload: Vec::new(),
    }
}
