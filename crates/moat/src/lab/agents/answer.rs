//! What the daemons answer to `moat ... --json`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::lab::error::Error;
use crate::lab::process::parse;
use crate::lab::report::{NotAsked, Request};

/// What came of telling a client of an attack.
#[derive(Debug)]
pub(crate) struct Told {
    /// The client.
    pub(crate) client: String,
    /// The number that `moat withdraw` takes, if anybody was asked.
    pub(crate) request: Option<u64>,
    /// Who was asked.
    pub(crate) requests: Vec<Request>,
    /// Who was not.
    pub(crate) not_asked: Vec<NotAsked>,
}

/// What a DOTS server has, and has counted since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// The targets of each mitigation.
    pub(crate) mitigations: Vec<Vec<String>>,
    /// Whose these are, without repetitions.
    pub(crate) mitigated_for: Vec<String>,
    /// The client identifiers under which they were asked for, without repetitions.
    pub(crate) cuids: Vec<String>,
    /// The customer of each session.
    pub(crate) customers: Vec<String>,
    /// Sessions that came up.
    pub(crate) established: u64,
    /// Sessions that did not, as those with credentials of another provider.
    pub(crate) failed: u64,
    /// Requests for a new mitigation that were accepted.
    pub(crate) accepted: u64,
    /// Requests of any kind that were refused.
    pub(crate) refused: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Outcome {
    Asked {
        request: u64,
        requests: Vec<Request>,
        not_asked: Vec<NotAsked>,
    },
    Nobody {
        error: Refusal,
    },
}

#[derive(Deserialize)]
struct Refusal {
    selection: Option<Selection>,
}

#[derive(Deserialize)]
struct Selection {
    not_asked: Vec<NotAsked>,
}

/// Reads the answer of a client to an alarm.
pub(super) fn told(client: &str, answer: &str) -> Result<Told, Error> {
    let (request, mut requests, mut not_asked) = match parse("moat mitigate", answer)? {
        Outcome::Asked {
            request,
            requests,
            not_asked,
        } => (Some(request), requests, not_asked),
        Outcome::Nobody { error } => {
            let selection = error.selection.map(|selection| selection.not_asked);
            (None, Vec::new(), selection.unwrap_or_default())
        }
    };
    for request in &mut requests {
        client.clone_into(&mut request.client);
    }
    for entry in &mut not_asked {
        client.clone_into(&mut entry.client);
    }
    Ok(Told {
        client: client.to_owned(),
        request,
        requests,
        not_asked,
    })
}

#[derive(Deserialize)]
struct ClientStatus {
    requests: Vec<Standing>,
}

#[derive(Deserialize)]
struct Standing {
    request: u64,
    requests: Vec<Request>,
}

/// Reads how the requests stand that came of an alarm.
pub(super) fn standing(told: &Told, answer: &str) -> Result<Vec<Request>, Error> {
    let ClientStatus { requests } = parse("moat status", answer)?;
    let mut wanted = requests.into_iter();
    let found = wanted.find(|one| Some(one.request) == told.request);
    let mut requests = found.map(|one| one.requests).unwrap_or_default();
    for request in &mut requests {
        request.client.clone_from(&told.client);
    }
    Ok(requests)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ClientSessions {
    OfGateway { upstream: Vec<ClientSession> },
    OfClient { sessions: Vec<ClientSession> },
}

#[derive(Deserialize)]
struct ClientSession {
    state: String,
}

/// With how many servers a client has a session.
pub(super) fn established(answer: &str) -> Result<usize, Error> {
    let (ClientSessions::OfGateway { upstream: sessions } | ClientSessions::OfClient { sessions }) =
        parse("moat sessions", answer)?;
    let established = sessions.iter().filter(|one| one.state == "established");
    Ok(established.count())
}

#[derive(Deserialize)]
struct Status {
    mitigations: Vec<Mitigation>,
}

#[derive(Deserialize)]
struct Mitigation {
    customer: String,
    cuid: String,
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct ServerSessions {
    sessions: Vec<ServerSession>,
    sockets: Sockets,
    requests: Requests,
}

#[derive(Deserialize)]
struct ServerSession {
    customer: Option<String>,
}

#[derive(Deserialize)]
struct Sockets {
    sessions_established: u64,
    sessions_failed: u64,
    sessions_refused: u64,
}

#[derive(Deserialize)]
struct Requests {
    accepted: u64,
    refused: BTreeMap<String, u64>,
}

/// Reads what a server says of itself.
pub(crate) fn held(status: &str, sessions: &str) -> Result<Held, Error> {
    let Status { mitigations } = parse("moat status", status)?;
    let ServerSessions {
        sessions,
        sockets,
        requests,
    } = parse("moat sessions", sessions)?;
    let once = |text: fn(&Mitigation) -> &String| -> Vec<String> {
        let texts: BTreeSet<_> = mitigations.iter().map(text).collect();
        texts.into_iter().cloned().collect()
    };
    Ok(Held {
        mitigated_for: once(|one| &one.customer),
        cuids: once(|one| &one.cuid),
        mitigations: mitigations.into_iter().map(|one| one.targets).collect(),
        customers: sessions
            .into_iter()
            .map(|one| one.customer.unwrap_or_default())
            .collect(),
        established: sockets.sessions_established,
        failed: sockets.sessions_failed + sockets.sessions_refused,
        accepted: requests.accepted,
        refused: requests.refused.values().sum(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_may_ask_nobody_says_why_of_each() {
        let answer = r#"{"error":{"reason":"no DOTS server","selection":{"asked":[],"unprotected":[],
            "not_asked":[{"pvd":"isp1.example","reason":"it assigned none of the targets"}]}}}"#;
        let told = told("c1", answer).unwrap();
        assert_eq!((told.request, told.requests.len()), (None, 0));
        assert_eq!(told.not_asked[0].pvd, "isp1.example");
        assert_eq!(told.not_asked[0].client, "c1");
    }
}
