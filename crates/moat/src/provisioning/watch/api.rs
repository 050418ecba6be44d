//! The local API: what this node knows of its PvDs, for every program on it.
//!
//! ```text
//! program --> {"command":"list"}\n   --> daemon
//!         <-- {"ok":[{"pvd":...},...]}\n
//! program --> {"command":"watch"}\n
//!         <-- {"event":"added","pvd":{...}}\n  for each one there is, then as things change:
//!         <-- {"event":"changed","pvd":{...}}\n  {"event":"removed","pvd":{...}}\n ...
//! program --> {"command":"shelf"}\n
//!         <-- {"ok":[{"pvd":...},...]}\n  signed objects, attached or not
//! program --> {"command":"signed","pvd":"cafe.example"}\n
//!         <-- {"ok":"eyJ..."}\n  the compact JWS of it, or null
//! program --> {"command":"tunnel-up","tunnel":{...}}\n   or tunnel-down, from root or the user of the daemon
//!         <-- {"ok":{"pvd":"office.example","interface":"ipsec0"}}\n
//!         <-- {"error":{"reason":"..."}}\n  to any of these
//! ```
//!
//! Everybody on the node may ask (mode 0666): what is told is heard by everybody on the link or shown by the kernel to every
//! program, except for what a server gave, which is for whoever is on the network. Only root and the user of the daemon change
//! anything (SO_PEERCRED). So that nobody keeps others away, one user has a quarter of all places.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{mpsc, oneshot, watch};

use super::view::{DomainView, Known, Revised};
use crate::control::Listener;
use crate::provisioning::tunnel::Told;

/// Callers at a time, feeds among them.
const MAX_CALLERS: usize = 128;
/// Of these, callers of one user.
const MAX_CALLERS_PER_USER: usize = 32;
/// Longest question, in bytes: a tunnel with all that it may have.
const MAX_QUESTION_BYTES: u64 = 16 * 1024;
/// How long a caller may take to ask, or to read a line of the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "command", deny_unknown_fields)]
pub(crate) enum Question {
    /// What there is now.
    List,
    /// The same, and then whatever changes.
    Watch,
    /// The signed objects that are there, whether their PvDs are attached or not.
    Shelf,
    /// The compact JWS in which the additional information of a PvD came.
    Signed {
        /// The PvD.
        pvd: String,
        /// The interface that it is on; none: any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        interface: Option<String>,
    },
    /// A tunnel is there.
    TunnelUp {
        /// It.
        tunnel: Told,
    },
    /// It is there no more.
    TunnelDown {
        /// It.
        tunnel: Told,
    },
}

/// What became of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    /// The PvD that it makes.
    pub(crate) pvd: String,
    /// Where it is; absent: nowhere, or not yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) interface: Option<String>,
}

/// Something to change, and where the answer goes.
#[derive(Debug)]
pub(super) struct Change {
    /// Whether the tunnel is there, or is no more.
    pub(super) is_up: bool,
    /// The tunnel.
    pub(super) tunnel: Told,
    /// What became of it, or why not.
    pub(super) answer: oneshot::Sender<Result<Taken, String>>,
}

/// What became of a PvD.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event", content = "pvd")]
pub(crate) enum Event<P = DomainView> {
    /// It is there.
    Added(P),
    /// Something of it is different; its lifetimes alone are not.
    Changed(P),
    /// It is gone; as it was.
    Removed(P),
}

/// What is known, as it changes.
pub(super) type Receiver = watch::Receiver<Arc<Known>>;

/// Serves callers for ever.
pub(super) async fn serve(listener: Listener, known: Receiver, changes: mpsc::Sender<Change>) {
    let callers = Arc::new(Mutex::new(BTreeMap::new()));
    loop {
        match listener.accept().await {
            Ok(stream) => {
                let Some(place) = Place::take(&callers, &stream) else {
                    continue;
                };
                let (known, changes) = (known.clone(), changes.clone());
                tokio::task::spawn_local(async move {
                    if let Err(error) = serve_one(stream, known, changes).await {
                        tracing::debug!(%error, "a caller went away");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the socket takes no caller");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// The number of callers by user.
type Callers = Arc<Mutex<BTreeMap<u32, usize>>>;

/// A caller's place, free again when it is dropped.
struct Place {
    user: u32,
    callers: Callers,
}

impl Place {
    fn take(callers: &Callers, stream: &UnixStream) -> Option<Self> {
        let user = stream.peer_cred().ok()?.uid();
        let mut counts = callers.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = counts.values().sum();
        let own = counts.entry(user).or_default();
        if all >= MAX_CALLERS || *own >= MAX_CALLERS_PER_USER {
            return None;
        }
        *own += 1;
        drop(counts);
        let callers = Arc::clone(callers);
        Some(Self { user, callers })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let left = counts
            .get(&self.user)
            .map_or(0, |own| own.saturating_sub(1));
        match left {
            0 => counts.remove(&self.user),
            left => counts.insert(self.user, left),
        };
    }
}

async fn serve_one(
    stream: UnixStream,
    mut known: Receiver,
    changes: mpsc::Sender<Change>,
) -> io::Result<()> {
    let user = stream.peer_cred()?.uid();
    let (reading, mut writing) = stream.into_split();
    let mut line = String::new();
    let mut reader = BufReader::new(reading.take(MAX_QUESTION_BYTES));
    tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await??;
    match serde_json::from_str(&line) {
        Ok(Question::List) => {
            let known = Arc::clone(&known.borrow());
            let list: Vec<_> = known.domains.iter().map(|known| &known.view).collect();
            say(&mut writing, &serde_json::json!({ "ok": list })).await
        }
        Ok(Question::Shelf) => {
            let known = Arc::clone(&known.borrow());
            say(&mut writing, &serde_json::json!({ "ok": *known.shelf })).await
        }
        Ok(Question::Signed { pvd, interface }) => {
            let known = Arc::clone(&known.borrow());
            let signed = known.signed(&pvd, interface.as_deref());
            let signed = signed.map(|signed| &**signed);
            say(&mut writing, &serde_json::json!({ "ok": signed })).await
        }
        Ok(Question::Watch) => {
            let mut told = Arc::<Known>::default();
            // A caller says no more; that it is gone shows when it is read from.
            let mut rest = reader.into_inner().into_inner();
            loop {
                let now = Arc::clone(&known.borrow_and_update());
                for event in news(&told.domains, &now.domains) {
                    say(&mut writing, &event).await?;
                }
                told = now;
                tokio::select! {
                    changed = known.changed() => changed.map_err(io::Error::other)?,
                    _ = rest.read_u8() => return Ok(()),
                }
            }
        }
        Ok(Question::TunnelUp { tunnel }) => {
            tell(&mut writing, request(user, true, tunnel, &changes).await).await
        }
        Ok(Question::TunnelDown { tunnel }) => {
            tell(&mut writing, request(user, false, tunnel, &changes).await).await
        }
        Err(error) => {
            let reason = format!("this is no command: {error}");
            tell(&mut writing, Err(reason)).await
        }
    }
}

/// Has the daemon change something, if the caller may.
async fn request(
    user: u32,
    is_up: bool,
    tunnel: Told,
    changes: &mpsc::Sender<Change>,
) -> Result<Taken, String> {
    permit(user, rustix::process::geteuid().as_raw())?;
    let (answer, answered) = oneshot::channel();
    let change = Change {
        is_up,
        tunnel,
        answer,
    };
    let stopping = || "the daemon is stopping".to_owned();
    changes.send(change).await.map_err(|_| stopping())?;
    answered.await.unwrap_or_else(|_| Err(stopping()))
}

/// Whether this user may change something, for a daemon of that one.
fn permit(user: u32, own: u32) -> Result<(), String> {
    match user == 0 || user == own {
        true => Ok(()),
        false => Err(format!(
            "tunnels are taken from root and from the user of the daemon (id {own}), and not from the user with id {user}"
        )),
    }
}

async fn tell(writing: &mut OwnedWriteHalf, outcome: Result<Taken, String>) -> io::Result<()> {
    let answer = match outcome {
        Ok(taken) => serde_json::json!({ "ok": taken }),
        Err(reason) => serde_json::json!({ "error": { "reason": reason } }),
    };
    say(writing, &answer).await
}

async fn say(writing: &mut OwnedWriteHalf, what: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string(what)?;
    text.push('\n');
    tokio::time::timeout(PATIENCE, writing.write_all(text.as_bytes())).await?
}

/// What a caller does not know yet who was told this.
fn news<'a>(told: &'a [Revised], now: &'a [Revised]) -> Vec<Event<&'a DomainView>> {
    let find = |all: &[Revised], one: &Revised| {
        let same = all.iter().find(|it| it.view.key() == one.view.key());
        same.map(|same| same.revision)
    };
    let gone = told.iter().filter(|known| find(now, known).is_none());
    let gone = gone.map(|known| Event::Removed(&known.view));
    let new = now.iter().filter_map(|it| match find(told, it) {
        None => Some(Event::Added(&it.view)),
        Some(known) if known != it.revision => Some(Event::Changed(&it.view)),
        Some(_) => None,
    });
    gone.chain(new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_user_of_the_daemon_tell_of_tunnels_and_nobody_else() {
        assert!(permit(0, 0).is_ok() && permit(0, 1000).is_ok() && permit(1000, 1000).is_ok());
        assert!(permit(1000, 0).is_err_and(|why| why.contains("user with id 1000")));
        assert!(permit(1001, 1000).is_err());
    }
}
