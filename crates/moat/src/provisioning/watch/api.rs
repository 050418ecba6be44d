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
//! ```
//!
//! Everybody on the node may ask (mode 0666): what is told is heard by everybody on the link or shown by the kernel to every
//! program, except for what a server gave, which is for whoever is on the network. Nothing can be changed here. So that nobody
//! keeps others away, one user has a quarter of all places.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::watch;

use super::view::{DomainView, Known, Revised};
use crate::control::Listener;

/// Callers at a time, feeds among them.
const MAX_CALLERS: usize = 128;
/// Of these, callers of one user.
const MAX_CALLERS_PER_USER: usize = 32;
/// Longest question, in bytes.
const MAX_QUESTION_BYTES: u64 = 1024;
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
pub(super) async fn serve(listener: Listener, known: Receiver) {
    let callers = Arc::new(Mutex::new(BTreeMap::new()));
    loop {
        match listener.accept().await {
            Ok(stream) => {
                let Some(place) = Place::take(&callers, &stream) else {
                    continue;
                };
                let known = known.clone();
                tokio::task::spawn_local(async move {
                    if let Err(error) = serve_one(stream, known).await {
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

async fn serve_one(stream: UnixStream, mut known: Receiver) -> io::Result<()> {
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
            say(&mut writing, &serde_json::json!({ "ok": known.shelf })).await
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
        Err(error) => {
            let reason = format!("this is no command: {error}");
            say(
                &mut writing,
                &serde_json::json!({ "error": { "reason": reason } }),
            )
            .await
        }
    }
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
