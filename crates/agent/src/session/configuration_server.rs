//! The server's side of session configuration (RFC 9132 §4.5). It is between immediate peers, so it
//! ends in the session and no gateway relays it.

use std::collections::BTreeMap;

use coap::{Code, OptionNumber, Request, Response, Token};
use dots::DecodeError;
use dots::configuration::{
    AcceptableConfiguration, ConfigurationReport, ConfigurationRequest, SessionConfiguration,
};
use dots::identifiers::Sid;
use dtls::Transport;

use crate::content;

/// How long a configuration is valid before a client reads it again (RFC 9132 §4.5.3): long enough
/// to be no load, short enough that a change of the operator arrives on the same day.
const MAX_AGE: u32 = 3600;
/// Observations of the configuration in one session.
const MAX_OBSERVERS: usize = 8;
/// Observe sequence numbers have 24 bits (RFC 7641 §3.4).
const SEQUENCE_MASK: u32 = 0x00ff_ffff;

/// What a client negotiated, and who wants to be told.
#[derive(Debug)]
pub(super) struct ConfigurationServer {
    transport: Transport,
    default: SessionConfiguration,
    acceptable: AcceptableConfiguration,
    installed: Option<(Sid, SessionConfiguration)>,
    observers: BTreeMap<Token, u32>,
}

impl ConfigurationServer {
    pub(super) fn new(
        transport: Transport,
        default: SessionConfiguration,
        acceptable: AcceptableConfiguration,
    ) -> Self {
        Self {
            transport,
            default,
            acceptable,
            installed: None,
            observers: BTreeMap::new(),
        }
    }

    /// What the session goes by.
    pub(super) fn current(&self) -> SessionConfiguration {
        self.installed
            .map_or(self.default, |(_, configuration)| configuration)
    }

    /// Answers a request on `config`.
    pub(super) fn answer(&mut self, token: Token, request: &Request, sid: Option<Sid>) -> Response {
        match request.method {
            Code::GET => self.get(token, request, sid),
            Code::PUT => self.put(request, sid).unwrap_or_else(|refusal| refusal),
            Code::DELETE => self.delete(sid),
            _ => content::diagnostic(Code::METHOD_NOT_ALLOWED, "config takes GET, PUT and DELETE"),
        }
    }

    /// What each observer is to be told after a change (RFC 9132 §4.5.3).
    pub(super) fn notifications(&mut self) -> Vec<(Token, Response)> {
        let report = self.report();
        self.observers
            .iter_mut()
            .map(|(token, sequence)| {
                *sequence = (*sequence + 1) & SEQUENCE_MASK;
                let mut response = report.clone();
                response.options.push_uint(OptionNumber::OBSERVE, *sequence);
                (*token, response)
            })
            .collect()
    }

    pub(super) fn forget_observer(&mut self, token: Token) {
        self.observers.remove(&token);
    }

    fn get(&mut self, token: Token, request: &Request, sid: Option<Sid>) -> Response {
        if sid.is_some() && sid != self.installed.map(|(sid, _)| sid) {
            return unknown_sid();
        }
        let mut response = self.report();
        match request.options.observe() {
            Some(0)
                if self.observers.len() < MAX_OBSERVERS || self.observers.contains_key(&token) =>
            {
                let sequence = self.observers.entry(token).or_default();
                *sequence = (*sequence + 1) & SEQUENCE_MASK;
                response.options.push_uint(OptionNumber::OBSERVE, *sequence);
            }
            Some(1) => self.forget_observer(token),
            _ => {}
        }
        response
    }

    fn report(&self) -> Response {
        let mut report = ConfigurationReport::new(&self.current(), &self.acceptable);
        if self.transport == Transport::Stream {
            report = report.over_reliable_transport();
        }
        let mut response = content::body(Code::CONTENT, report.encode());
        response.options.push_uint(OptionNumber::MAX_AGE, MAX_AGE);
        response
    }

    /// RFC 9132 §4.5.2: a higher sid replaces what there is; a lower one is late, or a replay
    /// (RFC 9132 §7.2).
    fn put(&mut self, request: &Request, sid: Option<Sid>) -> Result<Response, Response> {
        content::check_format(request)?;
        let Some(sid) = sid else {
            return Err(bad_request("the Uri-Path lacks sid"));
        };
        let asked = ConfigurationRequest::decode(&request.payload).map_err(|error| {
            let code = match error {
                DecodeError::Unacceptable { .. } => Code::UNPROCESSABLE,
                _ => Code::BAD_REQUEST,
            };
            content::diagnostic(code, &error.diagnostic())
        })?;
        let asked = match self.transport {
            Transport::Datagram => asked,
            Transport::Stream => asked.over_reliable_transport().ok_or_else(|| {
                bad_request("TCP retransmits by itself; nothing else was asked for")
            })?,
        };
        let known = self.installed.map(|(installed, _)| installed);
        if known.is_some_and(|installed| sid < installed) {
            return Err(bad_request("a configuration with a higher sid is in place"));
        }
        self.acceptable
            .check(&asked)
            .map_err(|error| content::diagnostic(Code::UNPROCESSABLE, &error.to_string()))?;
        self.installed = Some((sid, asked.over(&self.default)));
        Ok(content::empty(if known == Some(sid) {
            Code::CHANGED
        } else {
            Code::CREATED
        }))
    }

    /// RFC 9132 §4.5.4: back to the defaults; without a sid after a reboot of the client.
    fn delete(&mut self, sid: Option<Sid>) -> Response {
        if sid.is_some() && sid != self.installed.map(|(sid, _)| sid) {
            return unknown_sid();
        }
        self.installed = None;
        content::empty(Code::DELETED)
    }
}

fn bad_request(text: &str) -> Response {
    content::diagnostic(Code::BAD_REQUEST, text)
}

fn unknown_sid() -> Response {
    content::diagnostic(Code::NOT_FOUND, "there is no configuration with this sid")
}
