//! The way to the authority: a queue for each customer, which take turns.
//!
//! ```text
//! sessions of customer A --> [ A ] --.
//! sessions of customer B --> [ B ] ---+-- one of each in turn --> authority
//! everything else -----------> [ ] --'
//! ```
//! What happened to a session always arrives, in order; a request may find no room, and is then lost
//! as if on the way: its client repeats it. Whoever asks much waits behind his own requests alone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agent::server::Input;

use super::message::ToAuthority;

/// Requests that wait for the authority. Everything else is bounded by what causes it: sessions by
/// their limits, filters by the mitigations (`scopes`), commands by the callers.
const MAX_REQUESTS: usize = 8192;
/// Those of one customer.
const MAX_REQUESTS_OF_CUSTOMER: usize = 2048;
/// So many find room even when others have taken all.
const RESERVED_FOR_CUSTOMER: usize = 16;

/// Who causes what the authority is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// This server itself.
    Server,
    /// Peers that are nobody's, or are not known yet.
    Strangers,
    /// The sessions of a customer.
    Customer(Arc<str>),
}

impl Source {
    pub(super) fn of(customer: Option<&str>) -> Self {
        customer.map_or(Self::Strangers, |name| Self::Customer(name.into()))
    }

    pub(super) fn customer(&self) -> Option<&str> {
        match self {
            Self::Server | Self::Strangers => None,
            Self::Customer(name) => Some(name),
        }
    }
}

/// The end that shards, enforcer and control socket hold.
#[derive(Clone, Debug)]
pub(crate) struct Inputs(Arc<Shared>);

/// The end that the authority holds.
#[derive(Debug)]
pub(super) struct Waiting(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queues: Mutex<Queues>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Queues {
    /// None is empty.
    by_source: BTreeMap<Source, Queue>,
    /// Whose turn it is next: each source that has a queue, once.
    turns: VecDeque<Source>,
    requests: usize,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<ToAuthority>,
    requests: usize,
}

/// A request found no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Busy;

/// Both ends.
pub(super) fn queue() -> (Inputs, Waiting) {
    let shared = Arc::new(Shared::default());
    (Inputs(Arc::clone(&shared)), Waiting(shared))
}

impl Inputs {
    /// Tells the authority something that comes from this server itself.
    pub(super) fn send(&self, message: ToAuthority) {
        self.0.lock().push(Source::Server, message);
        self.0.arrived.notify_one();
    }

    /// Tells the authority something that comes from a session.
    ///
    /// # Errors
    /// [`Busy`], only for requests.
    pub(super) fn send_from(&self, source: Source, input: Input) -> Result<(), Busy> {
        let mut queues = self.0.lock();
        let is_request = matches!(input, Input::Request { .. });
        if is_request && !queues.has_room(&source) {
            return Err(Busy);
        }
        queues.push(source, ToAuthority::Input(input));
        self.0.arrived.notify_one();
        Ok(())
    }
}

impl Waiting {
    /// The next message, waited for no longer than this.
    pub(super) fn wait(&self, longest: Duration) -> Option<ToAuthority> {
        let queues = self.0.lock();
        let is_empty = |queues: &mut Queues| queues.turns.is_empty();
        let waited = self.0.arrived.wait_timeout_while(queues, longest, is_empty);
        waited.unwrap_or_else(PoisonError::into_inner).0.pop()
    }

    /// The next message, if there is one.
    pub(super) fn take(&self) -> Option<ToAuthority> {
        self.0.lock().pop()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        // Nothing in here panics half way.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queues {
    fn has_room(&self, source: &Source) -> bool {
        let own = self.by_source.get(source).map_or(0, |queue| queue.requests);
        own < RESERVED_FOR_CUSTOMER
            || (own < MAX_REQUESTS_OF_CUSTOMER && self.requests < MAX_REQUESTS)
    }

    fn push(&mut self, source: Source, message: ToAuthority) {
        let requests = requests_in(&message);
        if !self.by_source.contains_key(&source) {
            self.turns.push_back(source.clone());
        }
        let queue = self.by_source.entry(source).or_default();
        queue.messages.push_back(message);
        queue.requests += requests;
        self.requests += requests;
    }

    fn pop(&mut self) -> Option<ToAuthority> {
        let source = self.turns.pop_front()?;
        let queue = self.by_source.get_mut(&source)?;
        let message = queue.messages.pop_front()?;
        let requests = requests_in(&message);
        queue.requests -= requests;
        self.requests -= requests;
        if queue.messages.is_empty() {
            self.by_source.remove(&source);
        } else {
            self.turns.push_back(source);
        }
        Some(message)
    }
}

/// How many requests a message is: one, or none.
fn requests_in(message: &ToAuthority) -> usize {
    matches!(message, ToAuthority::Input(Input::Request { .. })).into()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use agent::server::SessionId;
    use coap::{Code, Endpoint, Event, Message, MessageId, MessageType, Options, Token};

    use super::*;

    /// A request as a session delivers it.
    fn request(session: SessionId) -> Input {
        let mut endpoint = Endpoint::new(Default::default(), Default::default(), 1);
        let message = Message {
            message_type: MessageType::NonConfirmable,
            code: Code::GET,
            message_id: MessageId(1),
            token: Token::new(&[1]).unwrap(),
            options: Options::default(),
            payload: Vec::new(),
        };
        endpoint.handle_datagram(Instant::now(), &message.encode());
        let Some(Event::Request {
            exchange,
            token,
            request,
        }) = endpoint.poll_event()
        else {
            panic!("no request");
        };
        Input::Request {
            session,
            exchange,
            token,
            request,
        }
    }

    /// How many of so many requests find room.
    fn accepted(inputs: &Inputs, customer: &str, requests: usize) -> usize {
        let source = Source::of(Some(customer));
        let send = |_: &usize| inputs.send_from(source.clone(), request(SessionId(1)));
        (0..requests).filter(|number| send(number).is_ok()).count()
    }

    /// Covers: X-013
    #[test]
    fn a_customer_waits_behind_its_own_requests_alone() {
        let (inputs, waiting) = queue();
        assert_eq!(accepted(&inputs, "home", 3000), MAX_REQUESTS_OF_CUSTOMER);
        let source = || Source::of(Some("home"));
        let closed = Input::SessionClosed(SessionId(1));
        assert_eq!(inputs.send_from(source(), closed), Ok(()));
        let branch = Source::of(Some("branch"));
        assert_eq!(inputs.send_from(branch, request(SessionId(2))), Ok(()));
        inputs.send(ToAuthority::Stop);
        let taken: Vec<_> = std::iter::from_fn(|| waiting.take()).collect();
        let is_of = |message: &ToAuthority, of| matches!(message, ToAuthority::Input(Input::Request { session, .. }) if session.0 == of);
        assert!(
            is_of(&taken[0], 1) && is_of(&taken[1], 2),
            "they take turns"
        );
        assert!(matches!(taken[2], ToAuthority::Stop));
        // What happened to a session comes in its order.
        assert_eq!(taken.len(), MAX_REQUESTS_OF_CUSTOMER + 3);
        let last = taken.last();
        assert!(matches!(
            last,
            Some(ToAuthority::Input(Input::SessionClosed(SessionId(1))))
        ));
        // And there is room again.
        assert_eq!(accepted(&inputs, "home", 1), 1);
    }

    /// Covers: X-013
    #[test]
    fn where_others_have_taken_all_room_a_customer_finds_some() {
        let (inputs, waiting) = queue();
        for customer in ["a", "b", "c", "d"] {
            assert_eq!(accepted(&inputs, customer, 2048), 2048);
        }
        assert_eq!(accepted(&inputs, "home", 100), RESERVED_FOR_CUSTOMER);
        let after = std::iter::from_fn(|| waiting.take()).count();
        assert_eq!(after, MAX_REQUESTS + RESERVED_FOR_CUSTOMER);
    }
}
