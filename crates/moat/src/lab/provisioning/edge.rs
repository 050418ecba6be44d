//! What hosts have sent to a router: nothing of the other network, and nothing from its addresses.

use serde_json::json;

use super::network::Uplink;
use super::stage::Stage;
use crate::lab::error::Error;

impl Stage {
    /// Nothing may have crossed over. What must have come is looked for, too, or an empty capture would prove it.
    pub(super) fn look_at_edge(&mut self, uplink: &Uplink) -> Result<(), Error> {
        let Uplink { node, pvd, .. } = *uplink;
        let other = uplink.other().pvd;
        let captured = self.captured(uplink, &[pvd, other])?;
        // Probes ask for the root, which is no network's.
        let names = captured.questions.keys().filter(|name| !name.is_empty());
        let names: Vec<_> = names.collect();
        self.expect(&format!("names asked for at {node}"), [pvd], names);
        let found = captured.found.into_keys();
        let (own, others): (Vec<_>, Vec<_>) = found.partition(|text| !text.starts_with(other));
        // In a ClientHello, and in a question.
        let expected = [pvd.to_owned(), format!("{pvd} as a domain name")];
        self.expect(&format!("names in packets at {node}"), expected, own);
        let what = format!("names of {other} in packets at {node}");
        self.expect(&what, json!([]), others);
        let what = format!("packets that who listens at {node} has lost");
        self.expect(&what, 0, captured.lost);
        let wrong = uplink.counts(self.network.node(node)?)?.wrong_source;
        let what = format!("packets at {node} from addresses that are not its own");
        self.expect(&what, 0, wrong);
        Ok(())
    }
}
