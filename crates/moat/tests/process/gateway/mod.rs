//! Real `moat gateway`s between inside clients and real providers.
//!
//! ```text
//! peers --> gateway 127.0.0.3 --> fixed  127.0.0.1   2001:db8:1::/48
//!                             \-> mobile 127.0.0.2   2001:db8:2::/48
//! ```

mod domains;
mod loops;
mod relaying;
mod scale;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use coap::Message;
use serde_json::Value;

use crate::support::{Daemon, Outcome, Peer, SERVER_NAME, Site, until};

const GATEWAY: &str = "127.0.0.3:4646";
const PROVIDERS: [(&str, &str, &str); 2] = [
    ("fixed", "127.0.0.1", "2001:db8:1::/48"),
    ("mobile", "127.0.0.2", "2001:db8:2::/48"),
];
/// More than any test here has.
const MITIGATIONS: u32 = 20_000;
/// All that come from one address here, which is one source to a server.
const LIMITS: &str = "[limits]\nsessions_per_source = 10000\nsessions_per_customer = 10000\n";

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
             terminating = 0\n[[customer]]\nname = \"home\"\nmax_mitigations = {MITIGATIONS}\nprefixes = [\"{prefix}\"]\n\
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
        "listen = [\"{GATEWAY}\"]\n{own}state = \"state/gateway.db\"\ncontrol = \"gateway.sock\"\nrelay = \"gw1\"\npatience = 50\n\
         [[customer]]\nname = \"neighbour\"\nmax_mitigations = {MITIGATIONS}\n{prefixes}{networks}{LIMITS}"
    );
    Ok(fs::write(folder.join("gateway.toml"), gateway)?)
}

/// All that runs.
struct Network {
    site: Site,
    providers: BTreeMap<&'static str, Daemon>,
}

impl Network {
    fn new() -> Outcome<Self> {
        let site = Site::new()?;
        write_files(site.path())?;
        let providers = BTreeMap::new();
        let mut network = Self { site, providers };
        for (name, ..) in PROVIDERS {
            network.restart(name)?;
        }
        Ok(network)
    }

    /// Starts a provider, again if it runs.
    fn restart(&mut self, name: &'static str) -> Outcome {
        if let Some(provider) = self.providers.remove(name) {
            provider.kill()?;
        }
        let file = self.site.path().join(format!("{name}.toml"));
        let mut provider = Daemon::launch("server", &file)?;
        provider.wait_for("moat server is ready")?;
        self.providers.insert(name, provider);
        Ok(())
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
