//! Gateways that take one another for the way out (RFC 8768).
//!
//! ```text
//! peer --> gw1 127.0.0.11 --> gw2 127.0.0.12 --> gw3 127.0.0.13 --.
//!           ^-----------------------------------------------------'
//! ```

use std::fs;

use coap::{Code, OptionNumber};

use super::{credentials, text};
use crate::support::{Daemon, Loss, Outcome, Peer, SERVER_NAME, Site, body, isolated, put, until};

const GATEWAYS: [(&str, &str); 3] = [
    ("gw1", "127.0.0.11"),
    ("gw2", "127.0.0.12"),
    ("gw3", "127.0.0.13"),
];
const PREFIX: &str = "203.0.113.0/24";
const TARGET: &str = "203.0.113.7/32";

/// Three gateways, each of which takes the next for the server of its network.
struct Circle {
    site: Site,
    gateways: Vec<Daemon>,
}

impl Circle {
    fn new() -> Outcome<Self> {
        let site = Site::new()?;
        // Nobody is refused by one who is not there yet: who has no answer repeats his question soon.
        let silence = Loss::of(100)?;
        let mut gateways = Vec::new();
        for (place, (name, address)) in GATEWAYS.iter().enumerate() {
            let (_, next) = GATEWAYS[(place + 1) % GATEWAYS.len()];
            let (server, client) = (credentials(SERVER_NAME), credentials("neighbour"));
            let file = format!(
                "listen = [\"{address}:4646\"]\n{server}state = \"state/{name}.db\"\ncontrol = \"{name}.sock\"\n\
                 relay = \"{name}\"\npatience = 50\n[[customer]]\nname = \"home\"\nprefixes = [\"{PREFIX}\"]\n\
                 [[customer]]\nname = \"neighbour\"\nprefixes = [\"{PREFIX}\"]\n\
                 [[pvd]]\nid = \"next.example\"\nprefixes = [\"{PREFIX}\"]\n[[pvd.dots]]\nname = \"{SERVER_NAME}\"\n\
                 addresses = [\"{next}\"]\ntransports = [\"udp\"]\n{client}"
            );
            let path = site.path().join(format!("{name}.toml"));
            fs::write(&path, file)?;
            let mut gateway = Daemon::launch("gateway", &path)?;
            gateway.wait_for("moat gateway is ready")?;
            gateways.push(gateway);
        }
        drop(silence);
        let circle = Self { site, gateways };
        until("each has a session with the next", || {
            let mut is_up = true;
            for (name, _) in GATEWAYS {
                let sessions = circle.site.ask_at(&format!("{name}.sock"), "sessions")?;
                is_up &= sessions["upstream"][0]["state"] == "established";
            }
            Ok(is_up)
        })?;
        Ok(circle)
    }

    fn peer(&self) -> Outcome<Peer> {
        let first = format!("{}:4646", GATEWAYS[0].1);
        Peer::connect(&self.site.identity("pki", "home"), &first)
    }

    /// Waits until none keeps or asks for anything.
    fn comes_to_rest(&self) -> Outcome {
        until("nobody keeps what goes in circles", || {
            let mut is_silent = true;
            for (name, _) in GATEWAYS {
                let status = self.site.ask_at(&format!("{name}.sock"), "status")?;
                let mitigations = status["mitigations"].as_array();
                is_silent &= mitigations.is_some_and(Vec::is_empty);
            }
            Ok(is_silent)
        })
    }
}

/// Covers: G-008, G-009, G-010. The path is named, the gateway nearest to the client first.
#[test]
fn a_loop_of_three_gateways_gives_5_08_and_names_the_path() -> Outcome {
    isolated(&[], || {
        let circle = Circle::new()?;
        let mut peer = circle.peer()?;
        let request = put("inside", 1, &body(TARGET, 3600));
        let request = request.with_option(OptionNumber::HOP_LIMIT, &[3]);
        let answer = peer.ask(&request)?;
        assert_eq!(answer.code, Code::HOP_LIMIT_REACHED, "{}", text(&answer));
        assert_eq!(text(&answer), "gw1 gw2 gw3");
        circle.comes_to_rest()
    })
}

/// Covers: G-010. A request that says nothing of hops goes round until a gateway finds its own name in
/// the path: it says so in its log, and to its client that there is a loop.
#[test]
fn a_request_that_comes_back_to_its_gateway_is_logged_with_its_path() -> Outcome {
    isolated(&[], || {
        let mut circle = Circle::new()?;
        let mut peer = circle.peer()?;
        let answer = peer.ask(&put("inside", 1, &body(TARGET, 3600)))?;
        assert_eq!(answer.code, Code::BAD_GATEWAY, "{}", text(&answer));
        assert!(text(&answer).contains("loop"), "{}", text(&answer));
        let mut logs = String::new();
        circle.comes_to_rest()?;
        for gateway in circle.gateways.drain(..) {
            logs.push_str(&gateway.kill()?);
        }
        let is_named = |line: &&str| {
            line.contains("there is a loop of gateways")
                && GATEWAYS.iter().all(|(name, _)| line.contains(name))
        };
        assert!(logs.lines().any(|line| is_named(&line)), "{logs}");
        Ok(())
    })
}
