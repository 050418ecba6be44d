//! One request, from the client to the provider and back.

use coap::Code;

use super::{Network, text};
use crate::support::{Outcome, body, delete, isolated, put, until};

/// What belongs to nobody upstream.
const FOREIGN: &str = "192.0.2.7/32";
/// What the mobile provider assigned.
const MOBILE: &str = "2001:db8:2::11/128";

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
        let deleted = peer.ask(&delete("inside", 1))?;
        assert_eq!(deleted.code, Code::DELETED);
        until("it is withdrawn upstream", || {
            Ok(network.mitigated("mobile")?.is_empty())
        })
    })
}
