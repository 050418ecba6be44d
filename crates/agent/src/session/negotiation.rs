//! What a session begins with, and which side of its configuration it negotiates (RFC 9132 §4.5).

use coap::TransmissionParameters;
use dots::configuration::{AcceptableConfiguration, ConfigurationRequest, SessionConfiguration};
use dtls::Transport;

use super::configuration_client::ConfigurationClient;
use super::configuration_server::ConfigurationServer;

/// How a session begins.
#[derive(Clone, Debug, Default)]
pub struct SessionParameters {
    /// What it goes by until something else is negotiated.
    pub configuration: SessionConfiguration,
    /// Whether and how something else may be negotiated.
    pub negotiation: Negotiation,
    /// What of the CoAP message layer is not negotiated.
    pub transmission: TransmissionParameters,
    /// The bounds of the CoAP endpoint.
    pub limits: coap::Limits,
}

/// Most requests that [`SessionParameters::with_requests`] lets wait for an answer at a time.
const OUTSTANDING: usize = 1024;

impl SessionParameters {
    /// The same, with room for so many requests of ours that wait for an answer at a time, up to 1024.
    /// While an attack keeps all answers back, a request for help still leaves at once (RFC 9132 §4.4);
    /// copies are paced together, however many there are.
    #[must_use]
    pub fn with_requests(mut self, requests: usize) -> Self {
        let limits = &mut self.limits;
        let before = limits.outstanding_requests;
        limits.outstanding_requests = before.max(requests.min(OUTSTANDING));
        limits.queued_datagrams += limits.outstanding_requests - before;
        self
    }
}

/// The part that an agent has in session configuration (RFC 9132 §4.5).
#[derive(Clone, Debug, Default)]
pub enum Negotiation {
    /// None: the session goes by what it began with.
    #[default]
    Fixed,
    /// The client's: it learns what the server goes by, and may wish for something else.
    Client(Option<ConfigurationRequest>),
    /// The server's: it accepts values within these limits.
    Server(AcceptableConfiguration),
}

/// The machine that negotiates.
#[derive(Debug)]
pub(super) enum Negotiator {
    Fixed(SessionConfiguration),
    Client(ConfigurationClient),
    Server(ConfigurationServer),
}

impl Negotiator {
    pub(super) fn new(transport: Transport, parameters: &SessionParameters) -> Self {
        let begin = parameters.configuration;
        match &parameters.negotiation {
            Negotiation::Fixed => Self::Fixed(begin),
            Negotiation::Client(wish) => {
                Self::Client(ConfigurationClient::new(transport, begin, *wish))
            }
            Negotiation::Server(acceptable) => {
                Self::Server(ConfigurationServer::new(transport, begin, *acceptable))
            }
        }
    }

    pub(super) fn is_server(&self) -> bool {
        matches!(self, Self::Server(_))
    }

    pub(super) fn current(&self) -> SessionConfiguration {
        match self {
            Self::Fixed(configuration) => *configuration,
            Self::Client(client) => client.current(),
            Self::Server(server) => server.current(),
        }
    }
}
