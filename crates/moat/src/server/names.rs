//! Looks up the names of customers beside everything else (RFC 9132 §4.4.1.1).

use std::sync::Arc;
use std::time::Duration;

use agent::server::{Input, Resolution, ResolutionError};
use dots::target::DomainName;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;

use super::inputs::Inputs;
use super::message::ToAuthority;
use crate::resolver::{Failure, Resolver};

/// Names that are looked up at a time; each takes a few sockets. Those beyond fail, and their requests are
/// made again.
const LOOKUPS: usize = 64;
/// How long a lookup may take.
const PATIENCE: Duration = Duration::from_secs(6);

/// Looks up each name that the authority wants.
pub(super) async fn look_up(
    resolver: Option<Resolver>,
    mut names: UnboundedReceiver<DomainName>,
    inputs: Inputs,
) {
    let places = Arc::new(Semaphore::new(LOOKUPS));
    while let Some(name) = names.recv().await {
        let (resolver, inputs) = (resolver.clone(), inputs.clone());
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            let busy =
                ResolutionError::Unavailable("too many names are being looked up".to_owned());
            let _told = inputs.send(ToAuthority::Input(Input::Resolved(name, Err(busy))));
            continue;
        };
        tokio::spawn(async move {
            let _place = place;
            let looking = resolve(resolver.as_ref(), &name);
            let found = tokio::time::timeout(PATIENCE, looking).await;
            let found = found.unwrap_or_else(|_| {
                let late = "no name server answered in time".to_owned();
                Err(ResolutionError::Unavailable(late))
            });
            // Only requests can find no room.
            let _told = inputs.send(ToAuthority::Input(Input::Resolved(name, found)));
        });
    }
}

async fn resolve(
    resolver: Option<&Resolver>,
    name: &DomainName,
) -> Result<Resolution, ResolutionError> {
    let resolver = resolver.ok_or(ResolutionError::NoResolver)?;
    let found = resolver.resolve(name.as_str()).await;
    let found = found.map_err(|failure| match failure {
        Failure::NoAddress => ResolutionError::NoAddress,
        Failure::Unavailable(reason) => ResolutionError::Unavailable(reason),
    })?;
    Ok(Resolution {
        addresses: found.addresses,
        ttl: u32::try_from(found.ttl.as_secs()).unwrap_or(u32::MAX),
    })
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::super::inputs::queue;
    use super::*;
    use crate::resolver::Link;

    /// Names that nobody answers for do not pile up.
    #[test]
    fn names_beyond_the_places_fail_at_once() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let servers = [silent.local_addr().unwrap()];
            let resolver = Resolver::of_pvd(&servers, Link::default()).unwrap();
            let (inputs, waiting) = queue();
            let (names, asked) = unbounded_channel();
            for number in 0..=LOOKUPS {
                let name: DomainName = format!("n{number}.example").parse().unwrap();
                names.send(name).unwrap();
            }
            drop(names);
            look_up(Some(resolver), asked, inputs).await;
            let Some(ToAuthority::Input(Input::Resolved(name, Err(error)))) = waiting.take() else {
                panic!("all were looked up");
            };
            let last = format!("n{LOOKUPS}.example");
            assert_eq!(name.to_string(), last);
            assert!(error.to_string().contains("too many"), "{error}");
            assert!(waiting.take().is_none());
        });
    }
}
