//! Looks up the names of customers beside everything else (RFC 9132 §4.4.1.1).

use agent::server::{Input, Resolution, ResolutionError};
use dots::target::DomainName;
use tokio::sync::mpsc::UnboundedReceiver;

use super::inputs::Inputs;
use super::message::ToAuthority;
use crate::resolver::{Failure, Resolver};

/// Looks up each name that the authority wants; how many that are at a time, the authority bounds.
pub(super) async fn look_up(
    resolver: Option<Resolver>,
    mut names: UnboundedReceiver<DomainName>,
    inputs: Inputs,
) {
    while let Some(name) = names.recv().await {
        let (resolver, inputs) = (resolver.clone(), inputs.clone());
        tokio::spawn(async move {
            let found = resolve(resolver.as_ref(), &name).await;
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
