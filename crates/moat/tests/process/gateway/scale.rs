//! Many clients, and `kill -9`.

use std::collections::BTreeMap;
use std::env;
use std::time::{Duration, Instant};

use coap::{Code, MessageType};
use dots::lifetime::RemainingLifetime;
use dots::mitigation::{MitigationReport, Status};
use serde_json::Value;

use super::{Network, PROVIDERS, text};
use crate::support::{Outcome, PATIENCE, Peer, body, get, isolated, put};

/// How many inside clients there are, each with a session of its own; 1000 take some minutes.
const CLIENTS: &str = "MOAT_GATEWAY_CLIENTS";
/// Mitigations of each.
const EACH: u32 = 10;
/// Longer than the test takes.
const LIFETIME: u32 = 20_000;

/// What a client asks for: no two the same.
fn target(client: u32, mid: u32) -> (&'static str, String) {
    let (name, _, prefix) = PROVIDERS[mid as usize % PROVIDERS.len()];
    let network = prefix.trim_end_matches("::/48");
    (name, format!("{network}::{:x}/128", client * 16 + mid))
}

/// Until when: no two of one client the same, and far from those of the next.
fn lifetime(client: u32, mid: u32) -> u32 {
    LIFETIME + (client % 10) * 4000 + mid * 300
}

fn cuid(client: u32) -> String {
    format!("client-{client}")
}

fn clients() -> Outcome<u32> {
    Ok(env::var(CLIENTS).map_or(Ok(100), |text| text.parse())?)
}

/// Asks for all that a client wants at once, and waits for every answer.
fn ask_for_all(peer: &mut Peer, client: u32) -> Outcome {
    let mut waiting = BTreeMap::new();
    for mid in 1..=EACH {
        let lifetime = u16::try_from(lifetime(client, mid))?;
        let request = put(&cuid(client), mid, &body(&target(client, mid).1, lifetime));
        let message = peer.message(MessageType::Confirmable, &request);
        peer.send(&message.encode())?;
        waiting.insert(message.token, mid);
    }
    let deadline = Instant::now() + PATIENCE;
    while !waiting.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = peer.receive(left)?.ok_or("not every request is answered")?;
        if answer.code != Code::EMPTY && waiting.remove(&answer.token).is_some() {
            assert_eq!(answer.code, Code::CREATED, "{}", text(&answer));
        }
    }
    Ok(())
}

/// A client is told how its own mitigations stand at their providers, which began `started` ago or
/// later.
fn knows_its_own(peer: &mut Peer, client: u32, started: Instant) -> Outcome {
    for mid in 1..=EACH {
        let found = peer.ask(&get(&cuid(client), mid))?;
        assert_eq!(found.code, Code::CONTENT, "{client} {mid}");
        let MitigationReport(report) = MitigationReport::decode(&found.payload)?;
        let [status] = report.as_slice() else {
            return Err(format!("{} mitigations under one mid", report.len()).into());
        };
        let own = target(client, mid).1.parse()?;
        assert_eq!(status.target.prefixes, [own], "{client} {mid}");
        let RemainingLifetime::Seconds(left) = status.lifetime else {
            return Err("a lifetime without an end".into());
        };
        let passed = u32::try_from(started.elapsed().as_secs())?;
        let wanted = lifetime(client, mid);
        assert!(
            (wanted.saturating_sub(passed + 2)..=wanted).contains(&left),
            "{client} {mid}: {left} s left of {wanted}"
        );
        assert_eq!(status.status, Status::AttackSuccessfullyMitigated);
    }
    Ok(())
}

/// Waits until the gateway knows that all is mitigated. Of most it asks its providers every 15 s, as one
/// session follows 64.
fn all_is_mitigated(network: &Network, clients: u32) -> Outcome {
    let deadline = Instant::now() + PATIENCE * (2 + clients / 50);
    while Instant::now() < deadline {
        let status = network.site.ask_at("gateway.sock", "status")?;
        let mitigations = status["mitigations"].as_array().ok_or("no mitigations")?;
        let is_mitigated = |it: &&Value| it["status"] == "attack-successfully-mitigated";
        if mitigations.iter().filter(is_mitigated).count() == (clients * EACH) as usize {
            return Ok(());
        }
    }
    Err("not all is mitigated".into())
}

/// Covers: G-001, G-016. Every status reaches its owner; `kill -9` loses none of what was acknowledged
/// and doubles nothing.
#[test]
fn a_killed_gateway_loses_nothing_of_many_clients_and_doubles_nothing() -> Outcome {
    isolated(&[], || {
        let clients = clients()?;
        let network = Network::new()?;
        let gateway = network.gateway()?;
        let mut wanted: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut peers = Vec::new();
        let mut watch = Watch::new();
        for client in 0..clients {
            peers.push(network.peer()?);
            for mid in 1..=EACH {
                let (name, prefix) = target(client, mid);
                wanted.entry(name).or_default().push(prefix);
            }
        }
        watch.lap("sessions");
        let started = Instant::now();
        for (client, peer) in (0..clients).zip(&mut peers) {
            ask_for_all(peer, client)?;
        }
        watch.lap("requests acknowledged");
        all_is_mitigated(&network, clients)?;
        watch.lap("mitigated, as the gateway knows");
        for (client, peer) in (0..clients).zip(&mut peers) {
            knows_its_own(peer, client, started)?;
        }
        watch.lap("statuses at their owners");
        let before: Vec<_> = wanted
            .keys()
            .map(|name| network.mitigated(name))
            .collect::<Outcome<_>>()?;
        for (found, wanted) in before.iter().zip(wanted.values()) {
            assert_eq!(found.len(), wanted.len());
            assert!(wanted.iter().all(|prefix| found.contains_key(prefix)));
        }
        watch.lap("compared with the providers");
        gateway.kill()?;
        let _gateway = network.gateway()?;
        watch.lap("killed and up again");
        all_is_mitigated(&network, clients)?;
        watch.lap("mitigated, as the gateway knows");
        for (client, peer) in (0..clients).zip(&mut peers) {
            *peer = network.peer()?;
            knows_its_own(peer, client, started)?;
        }
        watch.lap("sessions and statuses again");
        for (name, before) in wanted.keys().zip(&before) {
            assert_eq!(&network.mitigated(name)?, before, "under the same numbers");
        }
        watch.lap("compared with the providers again");
        Ok(())
    })
}

/// Says how long each step took.
struct Watch(Instant);

impl Watch {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn lap(&mut self, what: &str) {
        let now = Instant::now();
        let took: Duration = now - std::mem::replace(&mut self.0, now);
        println!("{:8.2} s  {what}", took.as_secs_f64());
    }
}
