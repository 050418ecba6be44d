//! A customer in good standing, whom nothing that others do may disturb.

use coap::Code;
use dots::mitigation::{MitigationReport, Status};

use super::{CUID, Daemon, Outcome, Peer, SERVER_V4, Site, body, get, is_filtered, put, until};

const ADDRESS: &str = "203.0.113.99";
const MID: u32 = 20;

/// Its session, with a mitigation of 203.0.113.99 in force under mid 20.
pub(crate) struct Legit {
    pub(crate) peer: Peer,
}

impl Legit {
    pub(crate) fn new(site: &Site) -> Outcome<Self> {
        let peer = Peer::connect(&site.identity("pki", "home"), SERVER_V4)?;
        let mut legit = Legit { peer };
        let request = put(CUID, MID, &body(&format!("{ADDRESS}/32"), 3600));
        assert_eq!(legit.peer.ask(&request)?.code, Code::CREATED);
        until("it is in force", || legit.is_protected())?;
        Ok(legit)
    }

    fn is_protected(&mut self) -> Outcome<bool> {
        let response = self.peer.ask(&get(CUID, MID))?;
        if response.code != Code::CONTENT {
            return Err(format!("GET was answered with {}", response.code).into());
        }
        let MitigationReport(entries) = MitigationReport::decode(&response.payload)?;
        let status = entries.first().map(|entry| entry.status);
        Ok(status == Some(Status::AttackSuccessfullyMitigated) && is_filtered(ADDRESS))
    }

    /// Nothing was lost, and nothing but its mitigation is there.
    pub(crate) fn check(&mut self, site: &Site, server: &mut Daemon) -> Outcome {
        assert!(server.is_running()?);
        assert!(self.is_protected()?);
        let status = site.ask("status")?;
        let mitigations = status["mitigations"].as_array().ok_or("no list")?;
        assert_eq!(mitigations.len(), 1, "{status}");
        Ok(())
    }
}

/// Neither a private key nor a part of one is in a log.
pub(crate) fn assert_no_secret_in(log: &str, site: &Site) -> Outcome {
    assert!(!log.contains("PRIVATE KEY") && !log.contains("-----BEGIN"));
    for name in ["dots.example", "home", "ca"] {
        let key = std::fs::read_to_string(site.identity("pki", name).private_key)?;
        let lines = key.lines().filter(|line| !line.starts_with("-----"));
        assert!(!lines.clone().collect::<String>().is_empty());
        assert!(!lines.into_iter().any(|line| log.contains(line)));
    }
    Ok(())
}
