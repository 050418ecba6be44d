//! Customers that are sent to another server (RFC 9132 §4.6).
//!
//! ```text
//! PUT --------------------> 5.03  alt-server, Max-Age: how long to stay there
//! SetRedirect, observed --> 5.03  the same as a notification, the last one
//! ```
//!
//! Who is sent away can still look at what he has here, and withdraw it.

use std::net::IpAddr;

use coap::{Code, OptionNumber, Response};
use dots::redirect::RedirectedSignal;
use dots::target::DomainName;

use super::outcome::Outcome;
use super::{Action, Server};
use crate::content;

/// Where a customer is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    signal: RedirectedSignal,
    ttl: u32,
}

/// More addresses than fit a datagram beside the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {} addresses of the other server", Redirect::MOST_ADDRESSES)]
pub struct TooManyAddresses;

impl Redirect {
    /// How many addresses of the other server are told.
    pub const MOST_ADDRESSES: usize = 8;

    /// To a server of this name for `ttl` seconds: 0 for the one request, `u32::MAX` until the
    /// other server sends the client elsewhere. Without addresses the client looks the name up.
    ///
    /// # Errors
    /// With more than [`Redirect::MOST_ADDRESSES`].
    pub fn new(
        alt_server: DomainName,
        addresses: Vec<IpAddr>,
        ttl: u32,
    ) -> Result<Self, TooManyAddresses> {
        if addresses.len() > Self::MOST_ADDRESSES {
            return Err(TooManyAddresses);
        }
        let signal = RedirectedSignal {
            alt_server,
            alt_server_records: addresses,
        };
        Ok(Self { signal, ttl })
    }

    /// The response, or notification.
    fn response(&self) -> Response {
        let mut response = content::body(Code::SERVICE_UNAVAILABLE, self.signal.encode());
        response.options.push_uint(OptionNumber::MAX_AGE, self.ttl);
        response
    }
}

impl Server {
    /// Sends a mitigation request elsewhere, if its customer is to go there.
    pub(super) fn check_redirect(&self, customer: &str) -> Result<(), Response> {
        let redirect = self.customers.get(customer);
        match redirect.and_then(|customer| customer.redirect.as_ref()) {
            Some(redirect) => Err(redirect.response()),
            None => Ok(()),
        }
    }

    /// The operator sends a customer elsewhere, or takes it back.
    pub(super) fn set_redirect(&mut self, name: &str, redirect: Option<Redirect>) {
        let Some(customer) = self.customers.get_mut(name) else {
            return;
        };
        if customer.redirect == redirect {
            return;
        }
        customer.redirect.clone_from(&redirect);
        let name = name.to_ascii_lowercase();
        if let Some(redirect) = &redirect {
            for observer in self.observations.of_customer(&name) {
                self.observations.deregister(observer);
                let (session, token) = observer;
                self.act(Action::Notify(session, token, redirect.response()));
            }
        }
        self.act(Action::Decided(Outcome::Redirected {
            customer: name,
            alt_server: redirect.map(|redirect| redirect.signal.alt_server),
        }));
    }
}
