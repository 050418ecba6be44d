//! The hosts between which traffic goes: the attacker, the victim and the visitor, each a process of this program.

use std::fmt::Display;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use super::error::Error;
use super::netns::Netns;
use super::plan::{
    ATTACKER, ATTACKER_NETS, Nets, SOURCES, TARGET_PORT, VICTIM, VICTIM_NUMBER, VISITOR,
    VISITOR_NETS,
};
use super::process::Conversation;
use super::scenario::Scenario;
use super::topology::Network;
use super::traffic::{Flow, Pair, Received};

/// Packets per second of each attack flow.
pub(super) const FLOOD_RATE: u32 = 5_000;

/// Requests per second on each of the visitor's paths.
pub(super) const VISIT_RATE: u32 = 25;

/// The attack's flows, in the order of their numbers.
pub(super) fn flows(scenario: &Scenario) -> Vec<Pair> {
    pairs(ATTACKER_NETS, &scenario.victims(scenario.attacked))
}

/// The flows of which nothing has arrived, in words: what is not there cannot be filtered.
pub(super) fn missing(flows: &[Pair], arrived: &[Received]) -> Vec<String> {
    let numbered = (0..).map(Flow).zip(flows);
    let missing = numbered.filter(|(flow, _)| arrived.iter().all(|one| one.flow != *flow));
    let words = missing.map(|(_, Pair { from, to })| {
        format!("nothing of the attack from {from} to {to} arrived before the alarm")
    });
    words.collect()
}

/// Begins the attack; it ends with what is returned.
pub(super) fn start_flood(
    network: &Network,
    scenario: &Scenario,
    folder: &Path,
) -> Result<Conversation, Error> {
    let rate = ["--rate", &FLOOD_RATE.to_string()];
    let flows = flows(scenario).into_iter().map(|flow| ("--flow", flow));
    let attacker = network.node(ATTACKER)?;
    start(attacker, ("attacker", "flood"), &rate, flows, folder)
}

pub(super) fn start_victim(
    network: &Network,
    scenario: &Scenario,
    folder: &Path,
) -> Result<Conversation, Error> {
    let nets = scenario.all_nets();
    let own = nets.iter().flat_map(|nets| nets.hosts(VICTIM_NUMBER));
    let own = own.map(|address| ("--address", address));
    let victim = network.node(VICTIM)?;
    start(victim, ("victim", "victim"), &[], own, folder)
}

pub(super) fn start_visitor(
    network: &Network,
    scenario: &Scenario,
    folder: &Path,
) -> Result<Conversation, Error> {
    let rate = ["--rate", &VISIT_RATE.to_string()];
    let paths = pairs(VISITOR_NETS, &scenario.victims(&scenario.spaces()));
    let paths = paths.into_iter().map(|path| ("--path", path));
    let visitor = network.node(VISITOR)?;
    start(visitor, ("visitor", "visitor"), &rate, paths, folder)
}

/// Has a host, with this name, play a role of [`super::traffic`].
pub(super) fn start<T: Display>(
    host: &Netns,
    (name, role): (&str, &str),
    options: &[&str],
    more: impl Iterator<Item = (&'static str, T)>,
    folder: &Path,
) -> Result<Conversation, Error> {
    let mut command = traffic(role)?;
    command.args(options);
    for (option, value) in more {
        command.args([option, &value.to_string()]);
    }
    let log = folder.join(format!("{role}.log"));
    host.converse(&format!("the {name}"), &mut command, &log)
}

/// This program in a role of [`super::traffic`].
pub(super) fn traffic(role: &str) -> Result<Command, Error> {
    let mut command =
        Command::new(std::env::current_exe().map_err(Error::io("find this program's own file"))?);
    command.args(["lab-traffic", role, "--port", &TARGET_PORT.to_string()]);
    Ok(command)
}

/// From each source of `from` to each of these addresses, within a family.
fn pairs(from: Nets, targets: &[IpAddr]) -> Vec<Pair> {
    let sources = SOURCES.into_iter().flat_map(|number| from.hosts(number));
    let pairs = sources.flat_map(|from| targets.iter().map(move |to| Pair { from, to: *to }));
    pairs
        .filter(|pair| pair.from.is_ipv4() == pair.to.is_ipv4())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_that_does_not_arrive_is_named() {
        let flows = ["192.0.2.11,203.0.113.7", "2001:db8:bad::11,2001:db8:f::7"];
        let flows = flows.map(|pair| pair.parse().unwrap());
        let arrived = [0, 1].map(|number| Received {
            flow: Flow(number),
            packets: 1,
            last_sent_at: 0,
        });
        assert_eq!(missing(&flows, &arrived), Vec::<String>::new());
        let [said] = &missing(&flows, &arrived[..1])[..] else {
            panic!("one flow is missing");
        };
        assert!(said.contains("2001:db8:bad::11"), "{said}");
    }
}
