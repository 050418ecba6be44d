//! bind: S-NAPTR, SRV and address records of a DOTS server (RFC 8973 §6).

use std::process::Command;

use crate::lab::agents::Agents;
use crate::lab::error::Error;
use crate::lab::plan::{DOTS_PORT, VERSIONS};
use crate::lab::scenario::{Provider, Scenario};

/// What it logs when it answers.
const READY: &str = ": running";

impl Agents {
    pub(super) fn bind(&self, scenario: &Scenario, provider: &Provider) -> Result<Command, Error> {
        let [v4, v6] = provider.edge;
        let folder = self.folder_of(provider.node, "named")?;
        let mut config = format!(
            "options {{
    directory {folder:?}; pid-file none; session-keyfile none; lock-file none;
    listen-on {{ {v4}; }}; listen-on-v6 {{ {v6}; }};
    recursion no; dnssec-validation no; notify no; querylog yes;
}};
controls {{ }};
"
        );
        let zone = zone(provider);
        for other in scenario.providers {
            // What is true of its own server it says of all others too.
            let name = other.dots_name;
            config += &format!("zone \"{name}\" {{ type primary; file \"zone\"; }};\n");
        }
        let file = folder.join("named.conf");
        for (file, text) in [(&folder.join("zone"), &zone), (&file, &config)] {
            std::fs::write(file, text).map_err(Error::io(format!("write {}", file.display())))?;
        }
        let mut command = self.system_program("named")?;
        command.arg("-f").arg("-c").arg(&file);
        command.arg("-L").arg(self.names_file(provider));
        Ok(command)
    }

    pub(super) fn binds_are_ready(&self, scenario: &Scenario) -> bool {
        scenario.providers.iter().all(|provider| {
            let log = std::fs::read_to_string(self.names_file(provider));
            log.is_ok_and(|log| log.contains(READY))
        })
    }
}

/// The zone of a provider's DOTS service, whatever it is called.
fn zone(provider: &Provider) -> String {
    let mut zone = format!(
        "$TTL 3600
@ IN SOA ns.invalid. host.invalid. 1 3600 600 86400 60
@ IN NS ns.invalid.
@ IN NAPTR 10 10 \"s\" DOTS:signal.udp \"\" _dots-signal._udp
@ IN NAPTR 20 10 \"s\" DOTS:signal.tcp \"\" _dots-signal._tcp
_dots-signal._udp IN SRV 0 0 {DOTS_PORT} s1
_dots-signal._tcp IN SRV 0 0 {DOTS_PORT} s1
"
    );
    for address in provider.server_addresses(&VERSIONS) {
        let kind = if address.is_ipv4() { "A" } else { "AAAA" };
        zone += &format!("s1 IN {kind} {address}\n");
    }
    zone
}

/// The name that a line of its log is about.
pub(super) fn name_asked(line: &str) -> Option<String> {
    let (_, query) = line.split_once(": query: ")?;
    Some(query.split_whitespace().next()?.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_names_what_was_asked() {
        let line = "client @0x7f 203.0.113.1#4711 (Dots.a.example): query: Dots.a.example IN NAPTR +E(0) (203.0.113.254)";
        assert_eq!(name_asked(line), Some("dots.a.example".to_owned()));
        assert_eq!(name_asked("all zones loaded"), None);
    }
}
