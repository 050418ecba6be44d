//! A session secured by OpenSSL's DTLS 1.2.
//!
//! ```text
//! Handshaking --finished--> Established --close_notify, close, fatal alert--> Closed
//!      `------- deadline, alert, bad certificate, close ------------------------^
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use openssl::error::ErrorStack;
use openssl::ssl::{self, ErrorCode, ShutdownState, SslAlert, SslStream};
use openssl::x509::X509VerifyResult;

use crate::certificate::{credential, has_expired};
use crate::record::{plausible, raise_unprotected};
use crate::wire::Wire;
use crate::{
    AlertCode, CertificateFault, CertificateProblem, CloseReason, Output, Peer, ProtocolError,
    ResumptionState, Role, SendError, Session, SessionSettings, X509Code, ffi,
};

/// How many outputs wait for [`Session::poll_output`]; datagrams and data beyond are dropped and counted.
const MAX_OUTPUTS: usize = 256;
/// The longest plaintext of a record (RFC 5246 §6.2.1).
const MAX_RECORD: usize = 1 << 14;

const REASON_VERIFY_FAILED: i32 = 134;
const REASON_NO_PEER_CERTIFICATE: i32 = 199;

/// A session secured by OpenSSL's DTLS 1.2, of either end.
pub struct OpensslSession {
    stream: SslStream<Wire>,
    peer: Role,
    /// The name that the server's certificate has to have; empty at the server.
    server_name: String,
    settings: SessionSettings,
    /// How far OpenSSL's numbering of unprotected records lags behind the one that the peer expects.
    unprotected_shift: u64,
    phase: Phase,
    retransmit_at: Option<Instant>,
    outputs: VecDeque<Output>,
    counters: SessionCounters,
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
    /// Datagrams that came in.
    pub datagrams: u64,
    /// Datagrams of an established session that had no effect: forged, replayed, repeated or from before it.
    pub ignored: u64,
    /// Outputs dropped because the queue was full.
    pub overflowed: u64,
}

impl OpensslSession {
    /// `stream` has been told which end it is.
    pub(crate) fn start(
        stream: SslStream<Wire>,
        peer: Role,
        server_name: String,
        settings: SessionSettings,
        unprotected_shift: u64,
        now: Instant,
    ) -> Self {
        let deadline = now + settings.handshake_deadline;
        let mut session = Self {
            stream,
            peer,
            server_name,
            settings,
            unprotected_shift,
            phase: Phase::Handshaking { deadline },
            retransmit_at: None,
            outputs: VecDeque::new(),
            counters: SessionCounters::default(),
        };
        session.advance(now);
        session
    }

    /// What resumes this session later; `None` until it is established, and at the server.
    #[must_use]
    pub fn resumption(&self) -> Option<ResumptionState> {
        if self.phase != Phase::Established || self.peer != Role::Server {
            return None;
        }
        let ssl = self.stream.ssl();
        Some(ResumptionState {
            context: ssl.ssl_context().to_owned(),
            session: ssl.session()?.to_owned(),
            server_certificate: ssl.peer_certificate()?,
            server_name: self.server_name.clone(),
        })
    }

    /// The most octets that [`Session::send`] takes.
    #[must_use]
    pub fn data_limit(&self) -> usize {
        self.settings.path_mtu.data_limit()
    }

    /// What the session has seen so far.
    #[must_use]
    pub fn counters(&self) -> SessionCounters {
        self.counters
    }

    /// Lets OpenSSL work on what has arrived.
    fn advance(&mut self, now: Instant) {
        if let Phase::Handshaking { .. } = self.phase {
            clear_errors();
            match self.stream.do_handshake() {
                Ok(()) => self.establish(),
                Err(error) => self.judge(&error),
            }
        }
        if self.phase == Phase::Established {
            self.read();
        }
        self.collect();
        self.retransmit_at = match self.phase {
            Phase::Handshaking { .. } => {
                ffi::retransmit_in(self.stream.ssl()).map(|left| now + left)
            }
            Phase::Established | Phase::Closed => None,
        };
    }

    fn establish(&mut self) {
        self.collect();
        let ssl = self.stream.ssl();
        let resumed = ssl.session_reused();
        let peer = ssl.peer_certificate().and_then(|certificate| {
            // A resumed session repeats neither the certificate nor its validation.
            let expired = resumed && has_expired(&certificate);
            Some((
                expired,
                Peer {
                    credential: credential(&certificate)?,
                    resumed,
                },
            ))
        });
        match peer {
            Some((false, peer)) => {
                self.phase = Phase::Established;
                self.outputs.push_back(Output::Established(peer));
            }
            Some((true, _)) => self.refuse(CertificateFault::Expired(X509Code::EXPIRED)),
            None => self.refuse(CertificateFault::Missing),
        }
    }

    fn refuse(&mut self, fault: CertificateFault) {
        self.notify_peer();
        self.finish(
            CertificateProblem {
                peer: self.peer,
                fault,
            }
            .into(),
        );
    }

    fn read(&mut self) {
        let mut buffer = [0; MAX_RECORD];
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

    /// Closes the session unless OpenSSL merely waits for the next datagram.
    fn judge(&mut self, error: &ssl::Error) {
        let reason = match error.code() {
            ErrorCode::WANT_READ | ErrorCode::WANT_WRITE => return,
            ErrorCode::ZERO_RETURN => {
                // RFC 5246 §7.2.1 asks for a close_notify in return.
                self.notify_peer();
                CloseReason::PeerClosed
            }
            _ => self.failure(error.ssl_error().map_or(&[], ErrorStack::errors)),
        };
        self.finish(reason);
    }

    fn failure(&self, errors: &[openssl::error::Error]) -> CloseReason {
        let peer = self.peer;
        let reasons = || errors.iter().map(openssl::error::Error::reason_code);
        if let Some(alert) = reasons().find_map(received_alert) {
            return CloseReason::Alert { peer, alert };
        }
        if reasons().any(|reason| reason == REASON_NO_PEER_CERTIFICATE) {
            return CertificateProblem {
                peer,
                fault: CertificateFault::Missing,
            }
            .into();
        }
        let verdict = self.stream.ssl().verify_result();
        if verdict != X509VerifyResult::OK && reasons().any(|reason| reason == REASON_VERIFY_FAILED)
        {
            let fault = CertificateFault::new(
                X509Code(verdict.as_raw()),
                verdict.error_string(),
                &self.server_name,
            );
            return CertificateProblem { peer, fault }.into();
        }
        let cause = errors.first();
        ProtocolError {
            peer,
            reason: cause.map_or(0, openssl::error::Error::reason_code),
            text: cause
                .and_then(openssl::error::Error::reason)
                .unwrap_or("no reason given"),
        }
        .into()
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
        while let Some(mut datagram) = self.stream.get_mut().pop_outbound() {
            if self.unprotected_shift > 0 {
                raise_unprotected(&mut datagram, self.unprotected_shift);
            }
            self.queue(Output::Transmit(datagram));
        }
        self.counters.overflowed += self.stream.get_mut().take_dropped();
    }

    fn queue(&mut self, output: Output) {
        if self.outputs.len() < MAX_OUTPUTS {
            self.outputs.push_back(output);
        } else {
            self.counters.overflowed += 1;
        }
    }
}

impl Session for OpensslSession {
    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        if self.phase == Phase::Closed {
            return;
        }
        self.counters.datagrams += 1;
        let was_established = self.phase == Phase::Established;
        let queued = self.outputs.len();
        let records = plausible(datagram);
        // To OpenSSL, reading nothing is the end of the stream.
        if !records.is_empty() {
            self.stream.get_mut().deliver(records);
            self.advance(now);
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
            return self.finish(CloseReason::HandshakeTimedOut);
        }
        if self.retransmit_at.is_some_and(|at| now >= at) {
            // OpenSSL looks at its timer whenever it goes on with the handshake.
            self.advance(now);
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
        clear_errors();
        if let Err(error) = self.stream.ssl_write(data) {
            self.judge(&error);
            return Err(SendError::Closed);
        }
        self.collect();
        Ok(())
    }

    fn close(&mut self, _now: Instant) {
        if self.phase == Phase::Closed {
            return;
        }
        self.notify_peer();
        self.finish(CloseReason::Local);
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Handshaking { deadline } => {
                Some(self.retransmit_at.map_or(deadline, |at| at.min(deadline)))
            }
            Phase::Established | Phase::Closed => None,
        }
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
            .field("peer", &self.peer)
            .field("phase", &self.phase)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// OpenSSL judges a call by the thread's error queue, which other calls may have left filled.
fn clear_errors() {
    drop(ErrorStack::get());
}

fn received_alert(reason: i32) -> Option<AlertCode> {
    let alert = SslAlert::from_reason_code(reason)?;
    let base = SslAlert::CLOSE_NOTIFY.reason_code();
    u8::try_from(alert.reason_code() - base).ok().map(AlertCode)
}
