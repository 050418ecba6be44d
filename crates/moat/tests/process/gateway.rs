//! A real `moat gateway` between inside clients and two real providers.
//!
//! ```text
//! peers --> gateway 127.0.0.3 --> fixed  127.0.0.1   2001:db8:1::/48
//!                             \-> mobile 127.0.0.2   2001:db8:2::/48
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use coap::{Code, Message};
use serde_json::Value;

use crate::support::{
    Daemon, Outcome, Peer, SERVER_NAME, Site, body, delete, get, isolated, put, until,
};

const GATEWAY: &str = "127.0.0.3:4646";
const PROVIDERS: [(&str, &str, &str); 2] = [
    ("fixed", "127.0.0.1", "2001:db8:1::/48"),
    ("mobile", "127.0.0.2", "2001:db8:2::/48"),
];
/// What belongs to nobody upstream.
const FOREIGN: &str = "192.0.2.7/32";

/// Inside clients, and how many mitigations each has. Ten of them share a session, as behind one more
/// gateway.
const CLIENTS: u32 = 100;
const EACH: u32 = 10;

fn credentials(name: &str) -> String {
    format!(
        "certificate = \"pki/{name}.pem\"\nprivate_key = \"pki/{name}-key.pem\"\ntrust_anchors = \"pki/ca.pem\"\n"
    )
}

/// The files of two providers, whose customer is `home`, and of the gateway, whose is `neighbour`.
fn write_files(folder: &Path) -> Outcome {
    let own = credentials(SERVER_NAME);
    let mut networks = String::new();
    for (name, address, prefix) in PROVIDERS {
        let file = format!(
            "listen = [\"{address}:4646\"]\n{own}state = \"state/{name}.db\"\ncontrol = \"{name}.sock\"\n\
             terminating = 0\n[[customer]]\nname = \"home\"\nmax_mitigations = 2000\nprefixes = [\"{prefix}\"]\n\
             [mitigator.nftables]\ntable = \"{name}\"\n"
        );
        fs::write(folder.join(format!("{name}.toml")), file)?;
        let client = credentials("home");
        networks.push_str(&format!(
            "[[pvd]]\nid = \"{name}.example\"\nprefixes = [\"{prefix}\"]\n[[pvd.dots]]\nname = \"{SERVER_NAME}\"\n\
             addresses = [\"{address}\"]\ntransports = [\"udp\"]\n{client}"
        ));
    }
    let prefixes = "prefixes = [\"2001:db8::/32\", \"192.0.2.0/24\"]\n";
    let gateway = format!(
        "listen = [\"{GATEWAY}\"]\n{own}state = \"state/gateway.db\"\ncontrol = \"gateway.sock\"\nrelay = \"gw1\"\n\
         [[customer]]\nname = \"neighbour\"\nmax_mitigations = 2000\n{prefixes}{networks}"
    );
    Ok(fs::write(folder.join("gateway.toml"), gateway)?)
}

/// All that runs.
struct Network {
    site: Site,
    _providers: Vec<Daemon>,
}

impl Network {
    fn new() -> Outcome<Self> {
        let site = Site::new()?;
        write_files(site.path())?;
        let mut providers = Vec::new();
        for (name, ..) in PROVIDERS {
            let file = site.path().join(format!("{name}.toml"));
            let mut provider = Daemon::launch("server", &file)?;
            provider.wait_for("moat server is ready")?;
            providers.push(provider);
        }
        Ok(Self {
            site,
            _providers: providers,
        })
    }

    /// Starts the gateway and waits for its sessions.
    fn gateway(&self) -> Outcome<Daemon> {
        let file = self.site.path().join("gateway.toml");
        let mut gateway = Daemon::launch("gateway", &file)?;
        gateway.wait_for("moat gateway is ready")?;
        until("both providers have a session", || {
            let sessions = self.site.ask_at("gateway.sock", "sessions")?;
            let upstream = sessions["upstream"].as_array().ok_or("no upstream")?;
            Ok(upstream.len() == 2 && upstream.iter().all(|it| it["state"] == "established"))
        })?;
        Ok(gateway)
    }

    fn peer(&self) -> Outcome<Peer> {
        Peer::connect(&self.site.identity("pki", "neighbour"), GATEWAY)
    }

    /// What a provider mitigates, by target, with its number.
    fn mitigated(&self, provider: &str) -> Outcome<BTreeMap<String, u64>> {
        let status = self.site.ask_at(&format!("{provider}.sock"), "status")?;
        let mitigations = status["mitigations"].as_array().ok_or("no mitigations")?;
        let entry = |it: &Value| Some((it["targets"][0].as_str()?.to_owned(), it["mid"].as_u64()?));
        let entries: Option<BTreeMap<String, u64>> = mitigations.iter().map(entry).collect();
        entries.ok_or_else(|| "an entry without a target".into())
    }
}

fn text(message: &Message) -> String {
    String::from_utf8_lossy(&message.payload).into_owned()
}

fn target(client: u32, mid: u32) -> (&'static str, String) {
    let (name, _, prefix) = PROVIDERS[mid as usize % PROVIDERS.len()];
    let network = prefix.trim_end_matches("::/48");
    (name, format!("{network}::{:x}/128", client * 16 + mid))
}

fn cuid(client: u32) -> String {
    format!("client-{client}")
}

/// Covers: G-001, G-018, M-012, M-017, M-021
#[test]
fn each_request_reaches_the_provider_that_can_help_and_its_status_comes_back() -> Outcome {
    isolated(&[], || {
        let network = Network::new()?;
        let _gateway = network.gateway()?;
        let mut peer = network.peer()?;
        let (name, prefix) = target(1, 1);
        let created = peer.ask(&put("inside", 1, &body(&prefix, 3600)))?;
        assert_eq!(created.code, Code::CREATED, "{}", text(&created));
        assert_eq!(network.mitigated(name)?.len(), 1);
        assert!(network.mitigated("fixed")?.is_empty());

        let refused = peer.ask(&put("inside", 2, &body(FOREIGN, 3600)))?;
        assert_eq!(refused.code, Code::BAD_REQUEST);
        assert!(text(&refused).contains(FOREIGN), "{}", text(&refused));

        until("it is mitigated", || {
            let status = network.site.ask_at("gateway.sock", "status")?;
            let inside = &status["mitigations"][0];
            let is_upstream = status["requests"]
                .as_array()
                .is_some_and(|it| it.len() == 1);
            let word = inside["status"].as_str().unwrap_or_default();
            Ok(is_upstream && word.contains("successfully"))
        })?;
        let deleted = peer.ask(&delete("inside", 1))?;
        assert_eq!(deleted.code, Code::DELETED);
        until("it is withdrawn upstream", || {
            Ok(network.mitigated(name)?.is_empty())
        })
    })
}

/// Every status reaches its owner; `kill -9` loses none of what was acknowledged and doubles nothing.
#[test]
fn a_killed_gateway_loses_nothing_of_many_clients_and_doubles_nothing() -> Outcome {
    isolated(&[], || {
        let network = Network::new()?;
        let gateway = network.gateway()?;
        let mut wanted: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut peers = Vec::new();
        for client in 0..CLIENTS {
            if client % 10 == 0 {
                peers.push(network.peer()?);
            }
            let peer = peers.last_mut().ok_or("no peer")?;
            for mid in 1..=EACH {
                let (name, prefix) = target(client, mid);
                let created = peer.ask(&put(&cuid(client), mid, &body(&prefix, 7200)))?;
                assert_eq!(created.code, Code::CREATED, "{}", text(&created));
                wanted.entry(name).or_default().push(prefix);
            }
        }
        let before: Vec<_> = wanted
            .keys()
            .map(|name| network.mitigated(name))
            .collect::<Outcome<_>>()?;
        for (found, wanted) in before.iter().zip(wanted.values()) {
            assert_eq!(found.len(), wanted.len());
            assert!(wanted.iter().all(|prefix| found.contains_key(prefix)));
        }
        gateway.kill()?;
        let _gateway = network.gateway()?;
        let mut peer = network.peer()?;
        for client in 0..CLIENTS {
            for mid in 1..=EACH {
                let found = peer.ask(&get(&cuid(client), mid))?;
                assert_eq!(found.code, Code::CONTENT, "{client} {mid}");
            }
        }
        for (name, before) in wanted.keys().zip(&before) {
            assert_eq!(&network.mitigated(name)?, before, "under the same numbers");
        }
        Ok(())
    })
}
