//! dnsmasq: names the DOTS server by DHCPv6 (RFC 8973 §5), and resolves its name.

use std::process::Command;

use crate::lab::agents::Agents;
use crate::lab::error::Error;
use crate::lab::plan::VERSIONS;
use crate::lab::scenario::{Provider, Scenario};

/// The reference identifier of a network's DOTS server, in DHCPv6 (RFC 8973 §5.1).
const OPTION_NAME: u8 = 141;

impl Agents {
    pub(super) fn dnsmasq(
        &self,
        scenario: &Scenario,
        provider: &Provider,
    ) -> Result<Command, Error> {
        let [_, edge] = provider.edge;
        let mut command = self.system_program("dnsmasq")?;
        command.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--pid-file",
        ]);
        // Without a group of its own: nobody may change groups in a user namespace.
        command.args(["--user=root", "--group="]);
        command.args(["--no-resolv", "--no-hosts", "--bind-dynamic"]);
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
        Ok(command)
    }
}

/// The name that a line of its log is about.
pub(super) fn name_asked(line: &str) -> Option<String> {
    let (_, query) = line.split_once(" query[")?;
    let name = query.split_whitespace().nth(1)?;
    Some(name.to_owned())
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

    #[test]
    fn a_line_of_the_log_names_what_was_asked() {
        let line = "Nov 22 16:00:00 dnsmasq[7]: query[AAAA] dots.a.example from 2001:db8::1";
        assert_eq!(name_asked(line), Some("dots.a.example".to_owned()));
        assert_eq!(name_asked("dnsmasq[7]: started, version 2.90"), None);
    }
}
