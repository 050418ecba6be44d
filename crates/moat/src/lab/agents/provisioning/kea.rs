//! kea: the DHCP servers of a network, for both families (RFC 8973 §5).

use std::process::Command;

use serde_json::{Value, json};

use crate::lab::agents::Agents;
use crate::lab::error::Error;
use crate::lab::plan::{Nets, VERSIONS};
use crate::lab::scenario::{Known, Provider, Router, Scenario};
use crate::lab::topology::ROUTER_LAN;

/// The programs.
const V4: &str = "kea-dhcp4";
const V6: &str = "kea-dhcp6";

/// The DOTS options of DHCPv6 (RFC 8973 §5.1).
const NAME_V6: u8 = 141;
const ADDRESS_V6: u8 = 142;
/// Those of DHCPv4 (RFC 8973 §5.2).
const NAME_V4: u8 = 147;
const ADDRESS_V4: u8 = 148;

/// A server, as its process is called, with its configuration.
type Server = (&'static str, Value);

impl Agents {
    /// The servers of a provider at the link to its customer. They name its DOTS server, or only where names are resolved. Where
    /// they name it, the first provider does so by DHCPv6 alone, the second by DHCPv4.
    pub(super) fn kea(
        &self,
        scenario: &Scenario,
        provider: &Provider,
    ) -> Result<Vec<(&'static str, Command)>, Error> {
        let [edge_v4, edge_v6] = provider.edge;
        let (name, mut servers) = (provider.dots_name, provider.server_addresses(&VERSIONS));
        let [v4, v6] = match scenario.known {
            Known::Addressed => {
                let mut option = |name_code: u8, address_code: u8, is_v4: bool| {
                    let own = servers.extract_if(.., |address| address.is_ipv4() == is_v4);
                    let own: Vec<_> = own.map(|address| address.to_string()).collect();
                    json!([
                        { "code": name_code, "data": name },
                        { "code": address_code, "data": own.join(", ") },
                    ])
                };
                [
                    option(NAME_V4, ADDRESS_V4, true),
                    option(NAME_V6, ADDRESS_V6, false),
                ]
            }
            _ => [
                json!([
                    { "name": "domain-name-servers", "data": edge_v4 },
                    { "name": "domain-name", "data": name },
                ]),
                json!([
                    { "name": "dns-servers", "data": edge_v6 },
                    { "name": "domain-search", "data": name },
                ]),
            ],
        };
        let servers = servers_at(provider.uplink, &[provider.assigned], [v4, v6]);
        let mut commands = self.commands(provider.node, servers)?;
        if scenario.known == Known::Addressed {
            let is_first = scenario.providers.first() == Some(provider);
            let own = if is_first { V6 } else { V4 };
            commands.retain(|(program, _)| *program == own);
        }
        Ok(commands)
    }

    /// The servers of a site, at a router: they know nothing of DOTS, and say so.
    pub(super) fn kea_of_site(
        &self,
        scenario: &Scenario,
        router: &Router,
    ) -> Result<Vec<(&'static str, Command)>, Error> {
        let nets = scenario.all_nets();
        let servers = servers_at(ROUTER_LAN, &nets, [json!([]), json!([])]);
        self.commands(router.node, servers)
    }

    fn commands(
        &self,
        node: &str,
        servers: [Server; 2],
    ) -> Result<Vec<(&'static str, Command)>, Error> {
        let folder = self.folder_of(node, "kea")?;
        let commands = servers.map(|(program, config)| {
            let file = folder.join(program);
            std::fs::write(&file, config.to_string())
                .map_err(Error::io(format!("write {}", file.display())))?;
            let mut command = self.system_program(program)?;
            command.arg("-c").arg(&file);
            command.env("KEA_PIDFILE_DIR", &folder);
            command.env("KEA_LOCKFILE_DIR", &folder);
            Ok((program, command))
        });
        commands.into_iter().collect()
    }
}

/// For these networks, at an interface, with these options for DHCPv4 and DHCPv6. Nobody gets addresses.
fn servers_at(interface: &str, nets: &[Nets], [v4, v6]: [Value; 2]) -> [Server; 2] {
    let numbers = 1_u32..;
    let subnets = |is_v4: bool| -> Vec<Value> {
        let nets = nets.iter().zip(numbers.clone());
        let subnet = |(nets, id): (&Nets, u32)| {
            let net = if is_v4 { nets.v4 } else { nets.v6 };
            json!({ "id": id, "subnet": net.to_string(), "interface": interface })
        };
        nets.map(subnet).collect()
    };
    let definition = |code: u8, kind: &str, space: &str| json!({ "name": format!("dots-{code}"), "code": code, "type": kind, "array": kind != "fqdn", "space": space });
    let dhcp4 = json!({ "Dhcp4": {
        "interfaces-config": { "interfaces": [interface] },
        "lease-database": { "type": "memfile", "persist": false },
        "option-def": [
            definition(NAME_V4, "fqdn", "dhcp4"),
            definition(ADDRESS_V4, "ipv4-address", "dhcp4"),
        ],
        "option-data": v4,
        "subnet4": subnets(true),
    }});
    let dhcp6 = json!({ "Dhcp6": {
        "interfaces-config": { "interfaces": [interface] },
        "server-id": { "type": "LL", "persist": false },
        "lease-database": { "type": "memfile", "persist": false },
        "option-def": [
            definition(NAME_V6, "fqdn", "dhcp6"),
            definition(ADDRESS_V6, "ipv6-address", "dhcp6"),
        ],
        "option-data": v6,
        "subnet6": subnets(false),
    }});
    [(V4, dhcp4), (V6, dhcp6)]
}
