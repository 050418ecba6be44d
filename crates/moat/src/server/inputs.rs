//! The way to the authority. What happened to a session always arrives; a request may find no room,
//! and is then lost as if on the way: its client repeats it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use agent::server::Input;

use super::message::ToAuthority;

/// Requests that wait for the authority. Everything else is bounded by what causes it: sessions by
/// their limits, filters by the mitigations, commands by the callers.
const MAX_REQUESTS: usize = 8192;

/// The end that shards, enforcer and control socket hold.
#[derive(Clone, Debug)]
pub(super) struct Inputs {
    sender: Sender<ToAuthority>,
    requests: Arc<AtomicUsize>,
}

/// The end that the authority holds.
#[derive(Debug)]
pub(super) struct Waiting {
    receiver: Receiver<ToAuthority>,
    requests: Arc<AtomicUsize>,
}

/// A request found no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Busy;

/// Both ends.
pub(super) fn queue() -> (Inputs, Waiting) {
    let (sender, receiver) = channel();
    let requests = Arc::new(AtomicUsize::new(0));
    let inputs = Inputs {
        sender,
        requests: Arc::clone(&requests),
    };
    (inputs, Waiting { receiver, requests })
}

fn is_request(message: &ToAuthority) -> bool {
    matches!(message, ToAuthority::Input(Input::Request { .. }))
}

impl Inputs {
    /// Tells the authority. Once it has stopped there is nobody to tell.
    ///
    /// # Errors
    /// [`Busy`], only for requests.
    pub(super) fn send(&self, message: ToAuthority) -> Result<(), Busy> {
        if is_request(&message) && self.requests.fetch_add(1, Ordering::Relaxed) >= MAX_REQUESTS {
            self.requests.fetch_sub(1, Ordering::Relaxed);
            return Err(Busy);
        }
        let _stopped = self.sender.send(message);
        Ok(())
    }
}

impl Waiting {
    /// The next message, waited for.
    pub(super) fn wait(&self, longest: Duration) -> Result<ToAuthority, RecvTimeoutError> {
        self.receiver
            .recv_timeout(longest)
            .inspect(|message| self.taken(message))
    }

    /// The next message, if there is one.
    pub(super) fn take(&self) -> Option<ToAuthority> {
        self.receiver
            .try_recv()
            .ok()
            .inspect(|message| self.taken(message))
    }

    fn taken(&self, message: &ToAuthority) {
        if is_request(message) {
            self.requests.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
