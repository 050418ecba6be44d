//! Commands that a daemon carries out.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use pvd::InterfaceName;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{AskArgs, EXIT_FAILED, EXIT_WRONG, failed, show};
use crate::control::{
    Announcement, Attack, CallError, Command, MitigationView, NotStoredView, RequestView,
    SelectionView, ServerSessionView, SessionView, are_reached, call,
};
use crate::terminal::{self, say};

/// How often `status --watch` looks.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// What `status` gets from a gateway, a client or a server.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Status {
    Gateway {
        mitigations: Vec<MitigationView>,
        requests: Vec<RequestView>,
        #[serde(default)]
        not_stored: Option<NotStoredView>,
    },
    Client {
        requests: Vec<RequestView>,
        #[serde(default)]
        not_stored: Option<NotStoredView>,
    },
    Server {
        mitigations: Vec<MitigationView>,
    },
}

/// What `sessions` gets from a gateway, a client or a server.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Sessions {
    Gateway {
        sessions: Vec<ServerSessionView>,
        upstream: Vec<SessionView>,
        sockets: BTreeMap<String, serde_json::Value>,
        requests: BTreeMap<String, serde_json::Value>,
    },
    Server {
        sessions: Vec<ServerSessionView>,
        sockets: BTreeMap<String, serde_json::Value>,
        requests: BTreeMap<String, serde_json::Value>,
    },
    Client {
        sessions: Vec<SessionView>,
    },
}

/// Done when every server that was asked has accepted, or another in its place, and nothing is left unprotected.
pub(super) fn mitigate(ask: &AskArgs, command: &Command) -> ExitCode {
    answered(ask, command, show::mitigated, |view: &RequestView| {
        let accepted = |asked: &crate::control::AskedView| {
            asked.accepted == Some(true) || asked.moved_to.is_some()
        };
        view.unprotected.is_empty() && view.requests.iter().all(accepted)
    })
}

/// Done when some server mitigates and is told.
pub(super) fn efficacy(ask: &AskArgs, request: u64, attack: Attack) -> ExitCode {
    let command = Command::Efficacy { request, attack };
    answered(ask, &command, show::told, |_: &RequestView| true)
}

/// Done when every server has confirmed; otherwise the daemon goes on telling them.
pub(super) fn withdraw(ask: &AskArgs, request: u64) -> ExitCode {
    let command = Command::Withdraw { request };
    answered(ask, &command, show::request, |view: &RequestView| {
        let waiting = |asked: &crate::control::AskedView| {
            asked
                .status
                .as_deref()
                .is_some_and(|status| status == "withdrawing")
        };
        !view.requests.iter().any(waiting)
    })
}

pub(super) fn explain(ask: &AskArgs, targets: Vec<String>, seen_on: Vec<String>) -> ExitCode {
    let command = Command::Explain { targets, seen_on };
    answered(ask, &command, show::selection, |_: &SelectionView| true)
}

/// Done when a server of each PvD has a session.
pub(super) fn sessions(ask: &AskArgs) -> ExitCode {
    let show = |view: &Sessions| match view {
        Sessions::Gateway {
            sessions,
            upstream,
            sockets,
            requests,
        } => {
            say!("upstream");
            show::client_sessions(upstream);
            say!("\ninside");
            show::server_sessions(sessions);
            show::counters(sockets.iter().chain(requests));
        }
        Sessions::Client { sessions } => show::client_sessions(sessions),
        Sessions::Server {
            sessions,
            sockets,
            requests,
        } => {
            show::server_sessions(sessions);
            show::counters(sockets.iter().chain(requests));
        }
    };
    answered(ask, &Command::Sessions, show, |view| match view {
        Sessions::Gateway { upstream, .. } => are_reached(upstream),
        Sessions::Client { sessions } => are_reached(sessions),
        Sessions::Server { .. } => true,
    })
}

pub(super) fn announce(
    control: &Path,
    interface: &InterfaceName,
    announcement: Announcement,
) -> ExitCode {
    let command = Command::Announce {
        interface: interface.to_string(),
        announcement,
    };
    match call(control, &command) {
        Ok(_) => ExitCode::SUCCESS,
        Err(CallError::Refused(failure)) => {
            show::failure(&failure, false);
            ExitCode::from(EXIT_FAILED)
        }
        Err(error) => failed(&error, EXIT_FAILED, false),
    }
}

pub(super) fn status(ask: &AskArgs, watch: bool) -> ExitCode {
    let show = |view: &Status| match view {
        Status::Gateway {
            mitigations,
            requests,
            not_stored,
        } => {
            say!("upstream");
            show::requests(requests);
            not_stored.iter().for_each(show::not_stored);
            say!("\ninside");
            show::mitigations(mitigations);
        }
        Status::Client {
            requests,
            not_stored,
        } => {
            show::requests(requests);
            if let Some(trouble) = not_stored {
                show::not_stored(trouble);
            }
        }
        Status::Server { mitigations } => show::mitigations(mitigations),
    };
    let mut is_first = true;
    let on_a_screen = watch && !ask.json.json && std::io::stdout().is_terminal();
    loop {
        if on_a_screen {
            // Clears the screen and goes to its top left corner (ECMA-48 ED, CUP).
            terminal::clear();
        } else if !is_first && !ask.json.json {
            say!("");
        }
        is_first = false;
        let code = answered(ask, &Command::Status, show, |_| true);
        if !watch || code != ExitCode::SUCCESS {
            return code;
        }
        std::thread::sleep(WATCH_INTERVAL);
    }
}

/// Asks, shows the answer (as it came, with `--json`), and exits 0 if `is_yes`.
fn answered<T: DeserializeOwned>(
    ask: &AskArgs,
    command: &Command,
    show_view: impl FnOnce(&T),
    is_yes: impl FnOnce(&T) -> bool,
) -> ExitCode {
    let value = match call(&ask.control, command) {
        Ok(value) => value,
        Err(CallError::Refused(failure)) => {
            show::failure(&failure, ask.json.json);
            return ExitCode::from(match failure.is_wrong_use {
                true => EXIT_WRONG,
                false => EXIT_FAILED,
            });
        }
        Err(error) => return failed(&error, EXIT_FAILED, ask.json.json),
    };
    let view = match T::deserialize(&value) {
        Ok(view) => view,
        Err(error) => return failed(&error, EXIT_FAILED, ask.json.json),
    };
    if ask.json.json {
        show::json(&value);
    } else {
        show_view(&view);
    }
    if is_yes(&view) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_FAILED)
    }
}
