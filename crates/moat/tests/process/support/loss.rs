//! A link that loses datagrams.

use super::{Outcome, run};

/// While it lives, so many of a hundred datagrams to the server, and as many from it, are lost: on
/// their way in, so that whoever sends them does not notice.
pub(crate) struct Loss;

impl Loss {
    pub(crate) fn of(percent: u8) -> Outcome<Self> {
        let lose = match percent {
            100.. => "drop".to_owned(),
            _ => format!("numgen random mod 100 < {percent} drop"),
        };
        let chain = "inet loss incoming";
        let ruleset = [
            "add table inet loss".to_owned(),
            format!("add chain {chain} {{ type filter hook prerouting priority -500; }}"),
            format!("add rule {chain} udp dport 4646 {lose}"),
            format!("add rule {chain} udp sport 4646 {lose}"),
        ];
        run("nft", &[&ruleset.join("; ")])?;
        Ok(Loss)
    }
}

impl Drop for Loss {
    fn drop(&mut self) {
        // The namespace goes with the test in any case.
        drop(run("nft", &["delete table inet loss"]));
    }
}
