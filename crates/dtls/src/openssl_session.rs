//! A session secured by OpenSSL: DTLS 1.2 over datagrams, TLS 1.3 or 1.2 over a stream.
//!
//! ```text
//! Handshaking --finished--> Established --close_notify, close, fatal alert, end of stream--> Closed
//!      `------- deadline, alert, bad credential, close, end of stream ------------------------^
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use openssl::error::ErrorStack;
use openssl::ssl::{self, ErrorCode, ShutdownState, SslStream};

use crate::authentication::{authenticate, is_tls13};
use crate::failure::{clear_errors, close_reason, timed_out};
use crate::record::{plausible, raise_unprotected};
use crate::wire::Wire;
use crate::{
    CloseReason, Output, PskIdentity, ResumptionState, Role, SendError, Session, SessionSettings,
    Transport, ffi,
};

/// How many outputs of a session over datagrams wait for [`Session::poll_output`]; datagrams and data beyond are dropped
/// and counted.
const MAX_OUTPUTS: usize = 256;
/// How many octets of a stream may wait for [`Session::poll_output`] before [`Session::send`] refuses more.
const MAX_WAITING: usize = 256 * 1024;
/// How many may wait if the peer adds to them: then the session ends, because a stream can leave nothing out.
const MAX_UNTAKEN: usize = 4 * MAX_WAITING;
/// The longest plaintext of a record (RFC 5246 §6.2.1).
const MAX_RECORD: usize = 1 << 14;

/// A session secured by OpenSSL's DTLS 1.2 or TLS, of either end.
pub struct OpensslSession {
    stream: SslStream<Wire>,
    transport: Transport,
    side: Side,
    settings: SessionSettings,
    phase: Phase,
    retransmit_at: Option<Instant>,
    outputs: VecDeque<Output>,
    /// Octets in `outputs`.
    waiting: usize,
    counters: SessionCounters,
}

/// Which end of the session this is.
#[derive(Debug)]
pub(crate) enum Side {
    Client {
        /// The name that the server's certificate has to have.
        server_name: String,
        /// Whose key this side authenticates with, if it does not with a certificate.
        psk: Option<PskIdentity>,
    },
    Server {
        /// How far OpenSSL's numbering of unprotected records lags behind the one that the peer expects.
        unprotected_shift: u64,
    },
}

impl Side {
    pub(crate) fn peer(&self) -> Role {
        match self {
            Self::Client { .. } => Role::Server,
            Self::Server { .. } => Role::Client,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Handshaking { deadline: Instant },
    Established,
    Closed,
}

/// What a session has seen so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionCounters {
    /// Datagrams, or chunks of the stream, that came in.
    pub datagrams: u64,
    /// Datagrams of an established session that had no effect: forged, replayed, repeated or from before it.
    pub ignored: u64,
    /// Outputs dropped because the queue was full.
    pub overflowed: u64,
}

impl OpensslSession {
    /// `stream` has been told which end it is.
    pub(crate) fn start(
        mut stream: SslStream<Wire>,
        transport: Transport,
        side: Side,
        settings: SessionSettings,
        now: Instant,
    ) -> Self {
        if transport == Transport::Datagram {
            ffi::hasten_retransmission(&mut stream);
        }
        let deadline = now + settings.handshake_deadline;
        let mut session = Self {
            stream,
            transport,
            side,
            settings,
            phase: Phase::Handshaking { deadline },
            retransmit_at: None,
            outputs: VecDeque::new(),
            waiting: 0,
            counters: SessionCounters::default(),
        };
        session.advance(now, MAX_RECORD);
        session
    }

    /// What the session has seen so far.
    #[must_use]
    pub fn counters(&self) -> SessionCounters {
        self.counters
    }

    /// Lets OpenSSL work on what has arrived, of which no record yields more than `longest` octets.
    fn advance(&mut self, now: Instant, longest: usize) {
        if let Phase::Handshaking { .. } = self.phase {
            clear_errors();
            match self.stream.do_handshake() {
                Ok(()) => self.establish(),
                Err(error) => self.judge(&error),
            }
        }
        if self.phase == Phase::Established {
            self.read(longest);
            ffi::free_buffers(&mut self.stream);
        }
        self.collect();
        self.retransmit_at = match self.phase {
            Phase::Handshaking { .. } if self.transport == Transport::Datagram => {
                ffi::retransmit_in(self.stream.ssl()).map(|left| now + left)
            }
            _ => None,
        };
    }

    fn handle_chunk(&mut self, now: Instant, chunk: &[u8]) {
        if chunk.is_empty() {
            return self.finish(CloseReason::StreamEnded {
                peer: self.side.peer(),
            });
        }
        self.counters.datagrams += 1;
        self.stream.get_mut().deliver(chunk);
        self.advance(now, chunk.len());
        if self.waiting > MAX_UNTAKEN && self.phase != Phase::Closed {
            self.finish(CloseReason::Overrun);
        }
    }

    fn establish(&mut self) {
        self.collect();
        match authenticate(self.stream.ssl(), self.transport, &self.side) {
            Ok(peer) => {
                self.phase = Phase::Established;
                self.outputs.push_back(Output::Established(peer));
            }
            Err(reason) => {
                self.notify_peer();
                self.finish(reason);
            }
        }
    }

    fn read(&mut self, longest: usize) {
        let mut buffer = vec![0; longest.clamp(1, MAX_RECORD)];
        loop {
            clear_errors();
            match self.stream.ssl_read(&mut buffer) {
                Ok(length) => {
                    let data = buffer.get(..length).unwrap_or_default().to_vec();
                    self.queue(Output::Data(data));
                }
                Err(error) => return self.judge(&error),
            }
        }
    }

    /// Closes the session unless OpenSSL merely waits for more.
    fn judge(&mut self, error: &ssl::Error) {
        let reason = match error.code() {
            ErrorCode::WANT_READ | ErrorCode::WANT_WRITE => return,
            ErrorCode::ZERO_RETURN => {
                // RFC 5246 §7.2.1 asks for a close_notify in return.
                self.notify_peer();
                CloseReason::PeerClosed
            }
            _ => {
                let handshaking = matches!(self.phase, Phase::Handshaking { .. });
                let errors = error.ssl_error().map_or(&[][..], ErrorStack::errors);
                close_reason(self.stream.ssl(), &self.side, handshaking, errors)
            }
        };
        self.finish(reason);
    }

    /// Sends close_notify; OpenSSL refuses to before the handshake has finished.
    fn notify_peer(&mut self) {
        clear_errors();
        // Whether it could be sent makes no difference: the session is over either way.
        let _ = self.stream.shutdown();
    }

    fn finish(&mut self, reason: CloseReason) {
        self.collect();
        self.phase = Phase::Closed;
        self.retransmit_at = None;
        self.outputs.push_back(Output::Closed(reason));
    }

    /// Moves what OpenSSL wrote to the outputs.
    fn collect(&mut self) {
        while let Some(mut octets) = self.stream.get_mut().pop_outbound() {
            if let Side::Server { unprotected_shift } = self.side
                && unprotected_shift > 0
            {
                raise_unprotected(&mut octets, unprotected_shift);
            }
            self.queue(Output::Transmit(octets));
        }
        self.counters.overflowed += self.stream.get_mut().take_dropped();
    }

    fn queue(&mut self, output: Output) {
        let waiting = self.waiting + output.octets();
        match self.transport {
            Transport::Datagram if self.outputs.len() >= MAX_OUTPUTS => {
                self.counters.overflowed += 1;
                return;
            }
            Transport::Datagram => self.outputs.push_back(output),
            Transport::Stream => match (self.outputs.back_mut(), output) {
                (Some(Output::Transmit(chunk)), Output::Transmit(more))
                | (Some(Output::Data(chunk)), Output::Data(more)) => chunk.extend(more),
                (_, output) => self.outputs.push_back(output),
            },
        }
        self.waiting = waiting;
    }
}

impl Session for OpensslSession {
    type Resumption = ResumptionState;

    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        if self.phase == Phase::Closed {
            return;
        }
        if self.transport == Transport::Stream {
            return self.handle_chunk(now, datagram);
        }
        self.counters.datagrams += 1;
        let was_established = self.phase == Phase::Established;
        let queued = self.outputs.len();
        let records = plausible(datagram, self.stream.ssl().current_cipher());
        // To OpenSSL, reading nothing is the end of the stream.
        if !records.is_empty() {
            self.stream.get_mut().deliver(records);
            // What came early waits in OpenSSL for the end of the handshake.
            let longest = if was_established {
                records.len()
            } else {
                MAX_RECORD
            };
            self.advance(now, longest);
        }
        if was_established && self.outputs.len() == queued {
            self.counters.ignored += 1;
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        let Phase::Handshaking { deadline } = self.phase else {
            return;
        };
        if now >= deadline {
            return self.finish(timed_out(self.stream.ssl()));
        }
        if self.retransmit_at.is_some_and(|at| now >= at) {
            // OpenSSL looks at its timer whenever it goes on with the handshake.
            self.advance(now, MAX_RECORD);
        }
    }

    fn send(&mut self, _now: Instant, data: &[u8]) -> Result<(), SendError> {
        match self.phase {
            Phase::Handshaking { .. } => return Err(SendError::NotEstablished),
            Phase::Closed => return Err(SendError::Closed),
            Phase::Established => {}
        }
        let limit = self.data_limit();
        if data.len() > limit {
            return Err(SendError::TooLarge { limit });
        }
        if self.transport == Transport::Stream && self.waiting + data.len() > MAX_WAITING {
            return Err(SendError::Backlog);
        }
        clear_errors();
        if let Err(error) = self.stream.ssl_write(data) {
            self.judge(&error);
            return Err(SendError::Closed);
        }
        self.collect();
        Ok(())
    }

    fn transport(&self) -> Transport {
        self.transport
    }

    fn data_limit(&self) -> usize {
        match self.transport {
            Transport::Datagram => self.settings.path_mtu.data_limit(),
            Transport::Stream => MAX_WAITING,
        }
    }

    fn close(&mut self, _now: Instant) {
        if self.phase == Phase::Closed {
            return;
        }
        self.notify_peer();
        self.finish(CloseReason::Local);
    }

    fn poll_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        self.waiting -= output.as_ref().map_or(0, Output::octets);
        output
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Handshaking { deadline } => {
                Some(self.retransmit_at.map_or(deadline, |at| at.min(deadline)))
            }
            Phase::Established | Phase::Closed => None,
        }
    }

    fn resumption(&self) -> Option<ResumptionState> {
        let Side::Client { server_name, psk } = &self.side else {
            return None;
        };
        let ssl = self.stream.ssl();
        // With TLS 1.3 a pre-shared key does by itself all that a ticket does.
        if !ssl.is_init_finished() || (psk.is_some() && is_tls13(ssl)) {
            return None;
        }
        let session = ssl.session().filter(|session| ffi::is_resumable(session))?;
        Some(ResumptionState {
            context: ssl.ssl_context().to_owned(),
            session: session.to_owned(),
            server_certificate: ssl.peer_certificate(),
            server_name: server_name.clone(),
        })
    }
}

/// OpenSSL forbids to resume a session that was dropped without close_notify, which is how sessions end when the network
/// fails (RFC 5246 §7.2.1 no longer asks for that).
impl Drop for OpensslSession {
    fn drop(&mut self) {
        self.stream
            .set_shutdown(ShutdownState::SENT | ShutdownState::RECEIVED);
    }
}

impl fmt::Debug for OpensslSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpensslSession")
            .field("transport", &self.transport)
            .field("side", &self.side)
            .field("phase", &self.phase)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}
