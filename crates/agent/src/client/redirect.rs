//! Redirection to another server (RFC 9132 §4.6).
//!
//! ```text
//! provisioned --5.03, alt-server--> resolving --addresses--> alternate
//!      ^   (with alt-server-record: at once the alternate)     |
//!      |---TTL over, and no attack; or the one request is over-|
//!      |---no address, no session -----------------------------'
//!      '---contacted within 5 minutes: ignored, another server of the PvD is asked
//! ```
//!
//! A redirect is taken from authenticated sessions only, and the alternate has to prove the name
//! that the redirect gave, to the credentials of the same PvD's server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coap::{Code, Response};
use dots::SIGNAL_CHANNEL_PORT;
use dots::identifiers::Mid;
use dots::redirect::RedirectedSignal;

use super::action::Redirection;
use super::association::{Association, Effect};
use super::exchange;
use super::part::Part;
use super::parts;
use super::route::{Destination, Route};
use crate::time::Now;

/// A server that was contacted so recently is not gone to again (RFC 9132 §4.6).
const RECENT: Duration = Duration::from_secs(300);
/// Servers of recent contact that are remembered; with more of them a redirect is ignored.
const CONTACTS: usize = 8;
/// Addresses of an alternate server that are tried.
const RECORDS: usize = 8;
/// How long the addresses of an alternate server are waited for.
const RESOLUTION: Duration = Duration::from_secs(10);
/// Max-Age that means no end (RFC 9132 §4.6).
const FOREVER: u32 = u32::MAX;

/// For what a redirect holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Term {
    /// All requests, until the next redirect.
    UntilNext,
    /// All requests until then, and until no attack is going on.
    Until(Instant),
    /// These requests.
    Only(BTreeSet<Mid>),
}

/// The server that is asked instead of the provisioned one.
#[derive(Debug)]
pub(super) struct Alternate<R> {
    pub(super) term: Term,
    pub(super) route: Route<R>,
    /// Until when its addresses are waited for.
    pub(super) resolving: Option<Instant>,
}

/// The servers that were contacted recently.
#[derive(Debug)]
pub(super) struct Contacts {
    /// Those of all PvDs, which this client keeps in contact with all the time.
    configured: Arc<[String]>,
    /// The others, with the last time.
    recent: BTreeMap<String, Instant>,
}

impl Contacts {
    pub(super) fn new(configured: Arc<[String]>) -> Self {
        let recent = BTreeMap::new();
        Self { configured, recent }
    }

    /// The servers of all PvDs are these now.
    pub(super) fn set_configured(&mut self, configured: Arc<[String]>) {
        self.configured = configured;
    }

    fn is_configured(&self, name: &str) -> bool {
        let mut configured = self.configured.iter();
        configured.any(|known| known.eq_ignore_ascii_case(name))
    }

    pub(super) fn note(&mut self, now: Now, name: &str) {
        self.recent.retain(|_, at| now.monotonic < *at + RECENT);
        let has_room = self.recent.len() < CONTACTS || self.recent.contains_key(name);
        if has_room && !self.is_configured(name) {
            self.recent.insert(name.to_owned(), now.monotonic);
        }
    }

    fn allows(&self, now: Now, name: &str) -> bool {
        let mut recent = self
            .recent
            .iter()
            .filter(|(_, at)| now.monotonic < **at + RECENT);
        self.recent.len() < CONTACTS
            && !self.is_configured(name)
            && recent.all(|(known, _)| !known.eq_ignore_ascii_case(name))
    }
}

/// Where a part is asked, with this alternate.
pub(super) fn destination<R>(alternate: Option<&Alternate<R>>, mid: Mid) -> Destination {
    match alternate.map(|it| &it.term) {
        None => Destination::Provisioned,
        Some(Term::Only(mids)) if !mids.contains(&mid) => Destination::Provisioned,
        Some(_) => Destination::Alternate,
    }
}

impl<S: dtls::Session> Association<S> {
    /// The redirect in a response, if it is one.
    pub(super) fn redirect_in(response: &Response) -> Option<RedirectedSignal> {
        (response.code == Code::SERVICE_UNAVAILABLE)
            .then(|| RedirectedSignal::decode(&response.payload).ok())
            .flatten()
    }

    /// The server that is asked instead of the provisioned one.
    pub(super) fn alternate_name(&self) -> Option<String> {
        self.alternate.as_ref().map(|it| it.route.name.clone())
    }

    /// Where a part is asked.
    pub(super) fn destination_of(&self, mid: Mid) -> Destination {
        destination(self.alternate.as_ref(), mid)
    }

    /// Whether sessions with a destination are to be kept up.
    pub(super) fn is_wanted(&self, destination: Destination) -> bool {
        match (&self.alternate, destination) {
            (None, Destination::Alternate) => false,
            (None, Destination::Provisioned) => true,
            (Some(alternate), Destination::Provisioned) => {
                matches!(alternate.term, Term::Only(_)) || self.parts.are_left_behind()
            }
            (Some(_), Destination::Alternate) => true,
        }
    }

    /// A server redirects a request, in an answer or a notification. An alternate that redirects
    /// to itself is a server just contacted, like any other.
    pub(super) fn on_redirect(
        &mut self,
        now: Now,
        (origin, mid): (Destination, Mid),
        signal: &RedirectedSignal,
        response: &Response,
    ) {
        let name = signal.alt_server.to_string();
        if origin == Destination::Provisioned
            && let Some(alternate) = &mut self.alternate
            && alternate.route.name.eq_ignore_ascii_case(&name)
        {
            if let Term::Only(mids) = &mut alternate.term {
                mids.insert(mid);
                self.parts
                    .change([mid], |part| part.leave_behind(now, true));
            }
            return;
        }
        let up: Vec<String> = self.established_names();
        for server in up {
            self.contacts.note(now, &server);
        }
        if !self.contacts.allows(now, &name) {
            let pause = exchange::max_age(response);
            if let Some(mut part) = self.parts.get_mut(mid) {
                part.redirected(now, pause);
            }
            let ignored = Redirection::Ignored { to: name };
            return self.effects.push_back(Effect::Redirect(ignored));
        }
        let term = match response.options.max_age().unwrap_or(60) {
            0 => Term::Only(BTreeSet::from([mid])),
            FOREVER => Term::UntilNext,
            seconds => Term::Until(now.monotonic + Duration::from_secs(seconds.into())),
        };
        if origin == Destination::Provisioned {
            let gone = match &term {
                Term::Only(mids) => mids.iter().copied().collect(),
                Term::UntilNext | Term::Until(_) => parts::mids(self.parts.iter()),
            };
            self.parts
                .change(gone, |part| part.leave_behind(now, part.mid == mid));
        }
        self.retire_alternate(now);
        let followed = Redirection::Followed { to: name.clone() };
        self.effects.push_back(Effect::Redirect(followed));
        self.contacts.note(now, &name);
        self.alternate = Some(Alternate {
            term,
            route: Route::new(now.monotonic, name.clone(), Vec::new()),
            resolving: None,
        });
        if !self.reach_alternate(now, &signal.alt_server_records)
            && let Some(alternate) = &mut self.alternate
        {
            alternate.resolving = Some(now.monotonic + RESOLUTION);
            self.effects.push_back(Effect::Resolve(name));
        }
        self.look_again();
    }

    /// The addresses of an alternate server, or why there are none.
    pub(super) fn handle_resolved(
        &mut self,
        now: Now,
        name: &str,
        addresses: Result<Vec<IpAddr>, String>,
    ) {
        let awaited = |it: &Alternate<_>| it.resolving.is_some() && it.route.name == name;
        if !self.alternate.as_ref().is_some_and(awaited) {
            return;
        }
        match addresses {
            Ok(addresses) if self.reach_alternate(now, &addresses) => {}
            Ok(_) => self.leave_alternate(now, "none of its addresses can be used"),
            Err(reason) => self.leave_alternate(now, &reason),
        }
    }

    /// Begins to set up a session with the alternate at these addresses. Returns whether any of
    /// them can be used.
    fn reach_alternate(&mut self, now: Now, addresses: &[IpAddr]) -> bool {
        let sound = |address: &&IpAddr| {
            !(address.is_unspecified() || address.is_loopback() || address.is_multicast())
        };
        let addresses: Vec<SocketAddr> = addresses
            .iter()
            .filter(sound)
            .take(RECORDS)
            .map(|address| SocketAddr::new(*address, SIGNAL_CHANNEL_PORT))
            .collect();
        let candidates = self.ways.candidates(&addresses);
        let can = !candidates.is_empty();
        if can && let Some(alternate) = &mut self.alternate {
            let name = alternate.route.name.clone();
            alternate.route = Route::new(now.monotonic, name, candidates);
            alternate.resolving = None;
        }
        can
    }

    /// When the redirect changes by itself.
    pub(super) fn redirect_timeout(&self) -> Option<Instant> {
        let alternate = self.alternate.as_ref()?;
        let over = match alternate.term {
            Term::Until(at) if !self.is_under_attack() => Some(at),
            _ => None,
        };
        alternate.resolving.into_iter().chain(over).min()
    }

    /// Goes back to the provisioned server when the redirect is over (RFC 9132 §4.6).
    pub(super) fn settle_redirect(&mut self, now: Now) {
        let Some(alternate) = &self.alternate else {
            return;
        };
        if alternate.resolving.is_some_and(|at| at <= now.monotonic) {
            return self.leave_alternate(now, "its addresses were not found in time");
        }
        let is_over = match &alternate.term {
            Term::UntilNext => false,
            Term::Until(at) => *at <= now.monotonic && !self.is_under_attack(),
            Term::Only(mids) => mids
                .iter()
                .all(|mid| self.parts.get(*mid).is_none_or(Part::is_over)),
        };
        if is_over {
            self.leave_alternate(now, "the redirect is over");
        }
    }

    /// Goes back to the provisioned server.
    pub(super) fn leave_alternate(&mut self, now: Now, reason: &str) {
        self.retire_alternate(now);
        if let Some(alternate) = self.alternate.take() {
            self.contacts.note(now, &alternate.route.name);
            self.effects.push_back(Effect::Redirect(Redirection::Left {
                from: alternate.route.name,
                reason: reason.to_owned(),
            }));
            let all = parts::mids(self.parts.iter());
            self.parts.change(all, Part::come_back);
            self.look_again();
        }
    }

    /// What was put off with the server before is due with the other.
    fn look_again(&mut self) {
        let all = parts::mids(self.parts.iter());
        self.parts.change(all, Part::look_again);
    }

    fn retire_alternate(&mut self, now: Now) {
        for live in &mut self.sessions {
            if live.destination == Destination::Alternate {
                live.retire(now);
            }
        }
    }
}
