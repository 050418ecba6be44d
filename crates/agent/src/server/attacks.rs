//! Which clients are under attack: those with a mitigation in force. Their sessions go by the other
//! set of parameters (RFC 9132 §4.5).

use std::collections::{BTreeMap, BTreeSet};

use super::SessionId;

/// SHA-256 of what a client proved to hold.
type Credential = [u8; 32];

/// The sessions and the active mitigations of each client.
#[derive(Debug, Default)]
pub(super) struct Attacks {
    sessions: BTreeMap<Credential, BTreeSet<SessionId>>,
    active: BTreeMap<Credential, usize>,
}

impl Attacks {
    /// A session came up. True: its client is under attack.
    pub(super) fn join(&mut self, credential: Credential, session: SessionId) -> bool {
        self.sessions.entry(credential).or_default().insert(session);
        self.active.contains_key(&credential)
    }

    pub(super) fn leave(&mut self, credential: &Credential, session: SessionId) {
        if let Some(sessions) = self.sessions.get_mut(credential) {
            sessions.remove(&session);
            if sessions.is_empty() {
                self.sessions.remove(credential);
            }
        }
    }

    /// Whether the client has a session.
    pub(super) fn has_session(&self, credential: &Credential) -> bool {
        self.sessions.contains_key(credential)
    }

    /// A mitigation of the client came into force. Returns the sessions that are under attack since.
    pub(super) fn begin(&mut self, credential: Credential) -> Vec<SessionId> {
        let count = self.active.entry(credential).or_default();
        *count += 1;
        if *count == 1 {
            self.sessions_of(&credential)
        } else {
            Vec::new()
        }
    }

    /// A mitigation of the client is over. Returns the sessions that are under attack no more.
    pub(super) fn end(&mut self, credential: &Credential) -> Vec<SessionId> {
        let Some(count) = self.active.get_mut(credential) else {
            return Vec::new();
        };
        *count = count.saturating_sub(1);
        if *count > 0 {
            return Vec::new();
        }
        self.active.remove(credential);
        self.sessions_of(credential)
    }

    fn sessions_of(&self, credential: &Credential) -> Vec<SessionId> {
        let sessions = self.sessions.get(credential);
        sessions.into_iter().flatten().copied().collect()
    }
}
