//! The local control API: one JSON object in, one JSON object out, over a Unix socket.
//!
//! ```text
//! moat mitigate ... --> {"command":"mitigate","targets":["203.0.113.7"]}\n --> daemon
//!                   <-- {"ok":{"request":1,"requests":[...]}}\n            <--
//!                   or  {"error":{"reason":"...","selection":{...}}}\n
//! ```
//!
//! The socket is for its owner alone (mode 0600): whoever may write to it may have traffic
//! dropped.

mod announcement;
mod caller;
mod listener;
pub(crate) mod text;
mod view;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub(crate) use announcement::Announcement;
pub(crate) use caller::{CallError, call};
pub(crate) use listener::{BindError, Call, Listener, bind, bind_for_everybody};
pub(crate) use view::{
    AskedView, Dropped, MitigationView, NotAskedView, NotStoredView, RequestView, SelectionView,
    ServerSessionView, SessionView, UnprotectedView, are_reached, end, status,
};

/// Longest command or answer, in bytes.
const MAX_MESSAGE_BYTES: u64 = 4 << 20;

/// What a daemon is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "command", deny_unknown_fields)]
pub(crate) enum Command {
    /// Ask the right servers to protect the targets.
    Mitigate {
        /// Addresses or prefixes.
        targets: Vec<String>,
        /// Ports or ranges of ports, as in `80` and `8000-8080`.
        #[serde(default)]
        ports: Vec<String>,
        /// Protocols by number or name.
        #[serde(default)]
        protocols: Vec<String>,
        /// Seconds, or "indefinite"; absent: the configured one.
        #[serde(default)]
        lifetime: Option<String>,
        /// Only to be started when the session with the server is lost (RFC 9132 §4.4.1.1).
        #[serde(default)]
        preconfigured: bool,
        /// The PvDs on which the attack was seen.
        #[serde(default)]
        seen_on: Vec<String>,
    },
    /// Tell the servers that mitigate for a request whether that helps (RFC 9132 §4.4.3).
    Efficacy {
        /// Its number.
        request: u64,
        /// How the attack looks from here.
        attack: Attack,
    },
    /// Withdraw a request.
    Withdraw {
        /// Its number.
        request: u64,
    },
    /// Say how all requests (client) or mitigations (server) stand.
    Status,
    /// Say who would be asked, and why.
    Explain {
        /// Addresses or prefixes.
        targets: Vec<String>,
        /// The PvDs on which the attack was seen.
        #[serde(default)]
        seen_on: Vec<String>,
    },
    /// Say how the sessions stand.
    Sessions,
    /// Take what a program on this node has learned of a network.
    Announce {
        /// The interface of the network.
        interface: String,
        /// What it is.
        announcement: Announcement,
    },
}

/// How an attack looks to its victim (RFC 9132 §4.4.3, Table 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Attack {
    /// It still comes through
    UnderAttack,
    /// It is not seen any more: the mitigation works
    Stopped,
}

/// What a daemon answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    /// What was asked for.
    Ok(serde_json::Value),
    /// Why not.
    Error(Failure),
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// For a person.
    pub(crate) reason: String,
    /// Who was considered, where that explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) selection: Option<Box<SelectionView>>,
    /// Whether the command was wrong, and not what it met.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_wrong_use: bool,
}

impl Answer {
    /// The answer that carries `view`.
    pub(crate) fn of(view: &impl Serialize) -> Self {
        match serde_json::to_value(view) {
            Ok(value) => Self::Ok(value),
            Err(error) => Self::failure(&error),
        }
    }

    /// The answer that says why not.
    pub(crate) fn failure(reason: &impl ToString) -> Self {
        Self::Error(Failure {
            reason: reason.to_string(),
            selection: None,
            is_wrong_use: false,
        })
    }

    /// The answer that says what is wrong with the command.
    pub(crate) fn wrong_use(reason: String) -> Self {
        Self::Error(Failure {
            reason,
            selection: None,
            is_wrong_use: true,
        })
    }
}
