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
