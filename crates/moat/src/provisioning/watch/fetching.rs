//! Carries out an order to fetch, and sorts what can go wrong by whether it may be tried again (RFC 8801 §4.1).

use std::error::Error as _;
use std::io;

use pvd::host::{Failure, FailureKind, FetchOrder, Fetched};

use crate::provisioning::fetch::{Environment, Error, Place, fetch};

/// Fetches what is ordered.
pub(super) async fn carry_out(order: FetchOrder, environment: &Environment) -> Fetched {
    let place = Place {
        interface: order.interface,
        resolvers: order.resolvers,
        sources: order.sources,
        next_hops: Some(order.next_hops),
    };
    match fetch(&order.pvd, &place, environment).await {
        Ok(fetched) => {
            if let Some(forged) = fetched.forged {
                tracing::warn!(pvd = %order.pvd, from = fetched.from, %forged, "the signature proves nothing");
            }
            Fetched::Object {
                bytes: fetched.object,
                data: fetched.data,
                signed: fetched.signed.map(Into::into),
            }
        }
        Err(error) => Fetched::Failed(Failure::new(kind(&error), &error)),
    }
}

fn kind(error: &Error) -> FailureKind {
    match error {
        Error::NoAddress(_)
        | Error::Unresolved { .. }
        | Error::Unreachable { .. }
        | Error::OtherWay { .. }
        | Error::Slow(_)
        | Error::Broken(_)
        | Error::Library(_) => FailureKind::Unreachable,
        // What the network cuts off says nothing of the server.
        Error::Http(error)
            if error.is_incomplete_message()
                || error.is_closed()
                || error.source().is_some_and(|cause| cause.is::<io::Error>()) =>
        {
            FailureKind::Unreachable
        }
        Error::Tls { .. } => FailureKind::Tls,
        // A name that leads to this node or its link is not asked again, either.
        Error::Forbidden { .. }
        | Error::Http(_)
        | Error::Status(_)
        | Error::Astray { .. }
        | Error::Redirects
        | Error::Unspeakable => FailureKind::Http,
        Error::MediaType(_) | Error::Encoded(_) | Error::TooLarge(_) | Error::NotCompact => {
            FailureKind::Object
        }
    }
}
