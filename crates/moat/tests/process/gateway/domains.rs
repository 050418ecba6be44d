//! A gateway of the provider's, which says with a cdid for whom it asks (RFC 9132 §4.4.1.2).

use std::fs;

use coap::Code;

use super::{Network, PROVIDERS, text};
use crate::support::{Outcome, body, isolated, put};

const OWN: &str = "2001:db8:1::7/128";

/// Covers: G-002, G-003, G-013. What the refusal names is what the operator has to write.
#[test]
fn a_trusted_gateway_asks_for_its_customers_by_their_cdid() -> Outcome {
    isolated(&[], || {
        let mut network = Network::new()?;
        let folder = network.site.path().to_owned();
        let [fixed, gateway] = ["fixed.toml", "gateway.toml"].map(|name| folder.join(name));
        let written = fs::read_to_string(&gateway)?;
        fs::write(&gateway, format!("cdid = true\n{written}"))?;
        let written = fs::read_to_string(&fixed)?;
        let customer = "[[customer]]\nname = \"home\"\n";
        let trusting = |cdid: &str| {
            let new =
                format!("[[gateway]]\nname = \"home\"\n[[customer]]\nname = \"site\"\n{cdid}");
            fs::write(&fixed, written.replace(customer, &new))
        };

        trusting("")?;
        network.restart(PROVIDERS[0].0)?;
        let running = network.gateway()?;
        let refused = network.peer()?.ask(&put("inside", 1, &body(OWN, 600)))?;
        assert_eq!(refused.code, Code::BAD_GATEWAY, "{}", text(&refused));
        let said = text(&refused);
        let cdid = said.split("cdid ").nth(1).ok_or("no cdid")?;
        let cdid = cdid.split_whitespace().next().ok_or("no cdid")?;
        running.kill()?;

        trusting(&format!("cdid = [\"{cdid}\"]\n"))?;
        network.restart(PROVIDERS[0].0)?;
        let _gateway = network.gateway()?;
        let created = network.peer()?.ask(&put("inside", 2, &body(OWN, 600)))?;
        assert_eq!(created.code, Code::CREATED, "{}", text(&created));
        let status = network.site.ask_at("fixed.sock", "status")?;
        assert_eq!(status["mitigations"][0]["customer"], "site");
        Ok(())
    })
}
