//! What the peer says: what ends here and what is the agent's.
//!
//! ```text
//! request  --heartbeat--------> answered here (RFC 9132 §4.7)
//!          --config-----------> ConfigurationServer (RFC 9132 §4.5)
//!          --anything else----> Event::Request
//! response --to a heartbeat---> the peer lives
//!          --to config--------> ConfigurationClient
//!          --anything else----> Event::Response
//! ```

use std::time::Instant;

use coap::{Code, Exchange, Request, Response, Token};
use dots::heartbeat::Heartbeat as HeartbeatMessage;
use dots::identifiers::Sid;
use dots::path::Resource;

use super::negotiation::Negotiator;
use super::{Event, Output, SignalSession};
use crate::content;

impl<S: dtls::Session> SignalSession<S> {
    pub(super) fn handle_event(&mut self, now: Instant, event: coap::Event) {
        let event = match event {
            coap::Event::Request {
                exchange,
                token,
                request,
            } => match resource_of(&request) {
                Ok(Resource::Heartbeat) => {
                    let response = self.answer_heartbeat(now, &request);
                    return self.endpoint.respond(now, exchange, response);
                }
                Ok(Resource::Config { sid }) if self.negotiator.is_server() => {
                    return self.on_configuration(now, (exchange, token), &request, sid);
                }
                _ => Event::Request {
                    exchange,
                    token,
                    request,
                },
            },
            coap::Event::Response {
                token, response, ..
            } => {
                let is_unauthorized = response.code == Code::UNAUTHORIZED;
                if self.heartbeat_token == Some(token) {
                    self.heartbeat_token = None;
                    self.refused.heartbeats = is_unauthorized;
                    return;
                }
                self.refused.requests = is_unauthorized;
                if let Negotiator::Client(client) = &mut self.negotiator
                    && client.is_pending(token)
                {
                    client.on_response(now, &response);
                    self.apply(now);
                    return self.negotiate(now);
                }
                Event::Response { token, response }
            }
            coap::Event::Failed { token, cause } => {
                if self.heartbeat_token == Some(token) {
                    self.heartbeat_token = None;
                    return;
                }
                if let Negotiator::Client(client) = &mut self.negotiator
                    && client.is_pending(token)
                {
                    return client.failed(now);
                }
                Event::RequestFailed { token, cause }
            }
            // Over a stream: say why, then close.
            coap::Event::Ended { .. } => {
                while let Some(octets) = self.endpoint.poll_transmit() {
                    self.send(now, &octets);
                }
                return self.secured.close(now);
            }
            coap::Event::NotificationRejected { token } => {
                if let Negotiator::Server(server) = &mut self.negotiator {
                    server.forget_observer(token);
                }
                Event::NotificationRejected { token }
            }
        };
        self.outputs.push_back(Output::Event(event));
    }

    /// RFC 9132 §4.5: what is negotiated here drives this session at once.
    fn on_configuration(
        &mut self,
        now: Instant,
        (exchange, token): (Exchange, Token),
        request: &Request,
        sid: Option<Sid>,
    ) {
        let Negotiator::Server(server) = &mut self.negotiator else {
            return;
        };
        let before = server.current();
        let response = server.answer(token, request, sid);
        self.endpoint.respond(now, exchange, response);
        if server.current() != before {
            for (token, notification) in server.notifications() {
                self.notifications.push(token, notification);
            }
            self.apply(now);
            self.send_notifications(now);
        }
    }

    /// RFC 9132 §4.7: 2.04 with an empty body.
    fn answer_heartbeat(&mut self, now: Instant, request: &Request) -> Response {
        if request.method != Code::PUT {
            return content::diagnostic(Code::METHOD_NOT_ALLOWED, "a heartbeat is a PUT");
        }
        if let Err(refusal) = content::check_format(request) {
            return refusal;
        }
        match HeartbeatMessage::decode(&request.payload) {
            Ok(_) => {
                if let Some(heartbeat) = &mut self.heartbeat {
                    heartbeat.on_peer_heartbeat(now);
                }
                content::empty(Code::CHANGED)
            }
            Err(error) => content::diagnostic(Code::BAD_REQUEST, &error.diagnostic()),
        }
    }
}

/// The resource a request names.
pub(crate) fn resource_of(request: &Request) -> Result<Resource, dots::path::PathError> {
    // A segment that is no text names nothing here.
    let segments: Result<Vec<&str>, _> = request.options.uri_path().collect();
    Resource::parse(segments.map_err(|_| dots::path::PathError::NotFound)?)
}
