//! One request, from the client to the provider and back.

use coap::Code;

use super::{Network, text};
use crate::support::{MOAT, Outcome, body, delete, isolated, put, run, until};

/// What belongs to nobody upstream.
const FOREIGN: &str = "192.0.2.7/32";
/// What the mobile provider assigned.
const MOBILE: &str = "2001:db8:2::11/128";

fn socket(network: &Network) -> String {
    let path = network.site.path().join("gateway.sock");
    path.display().to_string()
}

/// What a command shows that is given the gateway's socket.
fn shown(network: &Network, command: &[&str]) -> Outcome<String> {
    let socket = socket(network);
    run(MOAT, &[command, &["--control", &socket]].concat())
}

/// Covers: G-001, G-018, M-012, M-017, M-021
#[test]
fn each_request_reaches_the_provider_that_can_help_and_its_status_comes_back() -> Outcome {
    isolated(&[], || {
        let network = Network::new()?;
        let _gateway = network.gateway()?;
        let mut peer = network.peer()?;
        let created = peer.ask(&put("inside", 1, &body(MOBILE, 3600)))?;
        assert_eq!(created.code, Code::CREATED, "{}", text(&created));
        assert_eq!(network.mitigated("mobile")?.len(), 1);
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
        let status = network.site.ask_at("gateway.sock", "status")?;
        assert_eq!(
            status["requests"][0]["relayed_for"][0],
            "neighbour inside mid 1"
        );
        assert!(shown(&network, &["status"])?.contains("neighbour inside mid 1"));
        let sessions = shown(&network, &["sessions"])?;
        let lines: Vec<&str> = sessions.lines().collect();
        assert_eq!(lines[0], "upstream");
        assert!(lines.contains(&"inside"), "{sessions}");
        let explained = shown(&network, &["explain", MOBILE])?;
        assert!(explained.contains("mobile.example"), "{explained}");
        let own = run(MOAT, &["mitigate", MOBILE, "--control", &socket(&network)]);
        let refusal = own.err().ok_or("a gateway asks for itself")?;
        assert!(refusal.to_string().contains("control socket of a gateway"));

        let deleted = peer.ask(&delete("inside", 1))?;
        assert_eq!(deleted.code, Code::DELETED);
        until("it is withdrawn upstream", || {
            Ok(network.mitigated("mobile")?.is_empty())
        })
    })
}
