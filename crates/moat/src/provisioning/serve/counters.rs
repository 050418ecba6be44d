//! What the server has counted, for a line in the log now and then.

use std::fmt;

use super::accept::Form;
use super::answer::{Refusal, Verdict};

/// What happened since the server was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// Connections that were taken.
    pub(super) connections: u64,
    /// Of these, those that had to go for newer ones.
    pub(super) displaced: u64,
    /// Those that never were secured: another name, another version, silence.
    pub(super) handshakes_failed: u64,
    /// Those that ended without a whole request, or took too long over it.
    pub(super) broken: u64,
    served: u64,
    served_signed: u64,
    not_modified: u64,
    bad_request: u64,
    misdirected: u64,
    not_found: u64,
    method_not_allowed: u64,
    forbidden: u64,
    expired: u64,
    not_acceptable: u64,
}

impl Counters {
    /// Counts a request.
    pub(super) fn note(&mut self, verdict: Verdict) {
        let counter = match verdict {
            Verdict::Served(Form::Plain) => &mut self.served,
            Verdict::Served(Form::Signed) => &mut self.served_signed,
            Verdict::NotModified(_) => &mut self.not_modified,
            Verdict::Refused(Refusal::BadRequest) => &mut self.bad_request,
            Verdict::Refused(Refusal::Misdirected) => &mut self.misdirected,
            Verdict::Refused(Refusal::NotFound) => &mut self.not_found,
            Verdict::Refused(Refusal::MethodNotAllowed) => &mut self.method_not_allowed,
            Verdict::Refused(Refusal::Forbidden) => &mut self.forbidden,
            Verdict::Refused(Refusal::Expired) => &mut self.expired,
            Verdict::Refused(Refusal::NotAcceptable) => &mut self.not_acceptable,
        };
        *counter += 1;
    }
}

impl fmt::Display for Counters {
    /// What is not zero.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            ("connections", self.connections),
            ("displaced", self.displaced),
            ("handshakes_failed", self.handshakes_failed),
            ("broken", self.broken),
            ("served", self.served),
            ("served_signed", self.served_signed),
            ("not_modified", self.not_modified),
            ("bad_request", self.bad_request),
            ("misdirected", self.misdirected),
            ("not_found", self.not_found),
            ("method_not_allowed", self.method_not_allowed),
            ("forbidden", self.forbidden),
            ("expired", self.expired),
            ("not_acceptable", self.not_acceptable),
        ];
        let mut separator = "";
        for (name, count) in all.iter().filter(|(_, count)| *count > 0) {
            write!(formatter, "{separator}{name}={count}")?;
            separator = " ";
        }
        Ok(())
    }
}
