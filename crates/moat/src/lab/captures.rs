//! What came to each provider's edge from its customer, and what of it must not have been there: anything that belongs to
//! another provider (RFC 9284 §5.1, §6), or to the inside of the site.

use std::path::Path;

use super::agents::customer;
use super::error::Error;
use super::hosts::traffic;
use super::measure::Snapshot;
use super::process::Conversation;
use super::report::{Capture, Server};
use super::run::Lab;
use super::scenario::{Provider, Scenario};
use super::topology::Network;
use super::topology::edge::{self, Counter};
use super::traffic::{Captured, Wanted, to_hexadecimal};
use super::window::Windows;

/// What the name of the provider's own customer is called in a search.
const OWN_IDENTITY: &str = "own identity";

/// One who listens at each edge.
#[derive(Debug)]
pub(super) struct Captures(Vec<Conversation>);

impl Captures {
    /// Begins to listen, at the end of each link between an edge and the site.
    pub(super) fn start(
        network: &Network,
        scenario: &Scenario,
        folder: &Path,
    ) -> Result<Self, Error> {
        let providers = scenario.providers.iter();
        let conversations = providers.map(|provider| {
            let mut command = traffic("capture")?;
            command.args(["--interface", provider.uplink]);
            let name = format!("who listens at {}", provider.uplink);
            let log = folder.join(format!("{}-capture.log", provider.uplink));
            let netns = network.node(provider.node)?;
            let mut conversation = netns.converse(&name, &mut command, &log)?;
            // Once it answers, it listens.
            let _: Captured = conversation.ask("{}")?;
            Ok(conversation)
        });
        conversations.collect::<Result<_, _>>().map(Captures)
    }
}

impl Lab {
    /// What was captured up to now.
    pub(super) fn captures(
        &mut self,
        servers: &[Server],
        windows: &Windows,
    ) -> Result<Vec<Capture>, Error> {
        let (scenario, agents, network) = (self.scenario, &self.agents, &self.network);
        let mut captures = Vec::new();
        let listeners = self.captures.0.iter_mut().zip(scenario.providers);
        for (number, (listener, provider)) in listeners.enumerate() {
            let mut wanted = Wanted::default();
            let mut want = |name: String, octets: &[u8]| {
                wanted.0.insert(name, to_hexadecimal(octets));
            };
            want(OWN_IDENTITY.to_owned(), customer(provider).as_bytes());
            let others = scenario.servers().into_iter().zip(servers);
            for (other, server) in others.filter(|(other, _)| other.node != provider.node) {
                let pvd = other.pvd;
                // Part of the names of the server, of the customer and of the CA.
                want(pvd.to_owned(), pvd.as_bytes());
                for (number, key) in agents.public_keys(scenario, other)?.iter().enumerate() {
                    want(format!("public key {number} for {pvd}"), key);
                }
                for cuid in &server.cuids {
                    want(format!("cuid {cuid} of {pvd}"), cuid.as_bytes());
                }
            }
            // What is inside a site is nobody's business outside (RFC 9132 §11).
            for gateway in scenario.gateways {
                want(gateway.pvd.to_owned(), gateway.pvd.as_bytes());
            }
            let question = serde_json::to_string(&wanted).unwrap_or_default();
            let mut counted = windows.questions(number);
            let mut captured: Captured = listener.ask(&question)?;
            if captured.questions.values().sum::<u64>() != counted {
                // One may have come in between; that two do so is less likely than that one was missed.
                let edge = network.node(provider.node)?;
                let now = Snapshot::take(edge, &edge::table(provider))?;
                counted = now.packets(Counter::Questions);
                captured = listener.ask(&question)?;
            }
            captures.push(capture(provider, captured, counted));
        }
        Ok(captures)
    }
}

fn capture(provider: &Provider, captured: Captured, counted: u64) -> Capture {
    let mut found = captured.found;
    Capture {
        pvd: provider.pvd,
        packets: captured.packets,
        lost: captured.lost,
        question_packets: captured.questions.values().sum(),
        questions: captured.questions.into_keys().collect(),
        question_packets_counted: counted,
        own_identity_packets: found.remove(OWN_IDENTITY).unwrap_or_default(),
        of_others: found.into_keys().collect(),
    }
}
