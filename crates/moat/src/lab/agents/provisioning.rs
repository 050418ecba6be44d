//! What a provider's network tells those who attach to it: dnsmasq, which names the DOTS server by DHCPv6 (RFC 8973 §5) and
//! resolves its name, and lies about the names of other providers (RFC 9284 §5.1 has a client ask the right one).

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Agents;
use crate::lab::error::Error;
use crate::lab::plan::VERSIONS;
use crate::lab::scenario::{Known, Provider, Scenario};
use crate::lab::topology::Network;

/// The reference identifier of a network's DOTS server, in DHCPv6 (RFC 8973 §5.1).
const OPTION_NAME: u8 = 141;

impl Agents {
    /// Starts a dnsmasq at each edge, if clients are to learn anything there.
    pub(crate) fn start_provisioning(
        &mut self,
        network: &Network,
        scenario: &Scenario,
    ) -> Result<(), Error> {
        if scenario.known != Known::Discovered {
            return Ok(());
        }
        for provider in scenario.providers {
            let name = format!("dnsmasq of {}", provider.pvd);
            let log = self.file(&format!("{}-dnsmasq.log", provider.node));
            let mut command = self.dnsmasq(scenario, provider);
            let netns = network.node(provider.node)?;
            self.helpers.push(netns.start(&name, &mut command, &log)?);
        }
        Ok(())
    }

    fn dnsmasq(&self, scenario: &Scenario, provider: &Provider) -> Command {
        let [_, edge] = provider.edge;
        let mut command = Command::new("dnsmasq");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--pid-file",
        ]);
        command.args(["--user=root", "--no-resolv", "--no-hosts", "--bind-dynamic"]);
        command.arg(format!("--interface={}", provider.uplink));
        let leases = self.file(&format!("{}-leases", provider.node));
        command.arg(format!("--dhcp-leasefile={}", leases.display()));
        command.arg(format!("--dhcp-range={edge},static"));
        let name = wire_form(provider.dots_name);
        command.arg(format!("--dhcp-option=option6:{OPTION_NAME},{name}"));
        command.arg(format!("--dhcp-option=option6:dns-server,[{edge}]"));
        command.arg("--log-queries");
        let log = self.names_file(provider);
        command.arg(format!("--log-facility={}", log.display()));
        // What is true of its own server it says of all others too.
        for other in scenario.providers {
            for address in provider.server_addresses(&VERSIONS) {
                command.arg(format!("--address=/{}/{address}", other.dots_name));
            }
        }
        command
    }

    /// The names that clients have asked a provider's name server for.
    pub(crate) fn names_asked(&self, provider: &Provider) -> Vec<String> {
        let log = std::fs::read_to_string(self.names_file(provider)).unwrap_or_default();
        let words = |line: &str| -> Option<String> {
            let (_, query) = line.split_once(" query[")?;
            let name = query.split_whitespace().nth(1)?;
            Some(name.to_owned())
        };
        let mut names: Vec<_> = log.lines().filter_map(words).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn names_file(&self, provider: &Provider) -> PathBuf {
        self.file(&format!("{}-names.log", provider.node))
    }
}

/// A domain name as RFC 1035 §3.1 writes it, in hexadecimal.
fn wire_form(name: &str) -> String {
    let labels = name.split('.').flat_map(|label| {
        let length = u8::try_from(label.len()).unwrap_or(u8::MAX);
        std::iter::once(length).chain(label.bytes())
    });
    let octets: Vec<_> = labels
        .chain([0])
        .map(|octet| format!("{octet:02x}"))
        .collect();
    octets.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_on_the_wire_is_labels_with_their_lengths() {
        assert_eq!(wire_form("a.bc"), "01:61:02:62:63:00");
    }
}
