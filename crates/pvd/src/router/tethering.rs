//! A PvD that was learned upstream, advertised downstream (RFC 8801 §3.4.3).

use crate::bindings::router_advertisement::{Header, NdOption, PvdOption, RouterAdvertisement};

/// The Source Link-Layer Address option (RFC 4861 §4.6.1).
const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;

/// Who is to see a PvD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All hosts.
    Everybody,
    /// Hosts that know PvDs.
    PvdAware,
}

/// How connectivity is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// With whom.
    pub audience: Audience,
    /// IPv4 connectivity of the same upstream interface is shared, too.
    pub has_ipv4: bool,
    /// What this node says of itself as a router downstream.
    pub header: Header,
}

/// What is advertised downstream of an advertisement from upstream; `None` where it has no PvD option. `passes` says which of its
/// options hold there as well; what is of the upstream link itself (its MTU, the router's link-layer address) never does.
pub fn tether(
    upstream: &RouterAdvertisement,
    sharing: Sharing,
    passes: impl Fn(&NdOption) -> bool,
) -> Option<RouterAdvertisement> {
    let pvd = upstream.pvd.as_ref()?;
    let kept = |options: &[NdOption]| -> Vec<NdOption> {
        let kept = options.iter().filter(|it| !is_of_link(it) && passes(it));
        kept.cloned().collect()
    };
    let (mut outer_options, mut options) = (kept(&upstream.outer_options), kept(&pvd.options));
    let (outer, header) = match sharing.audience {
        Audience::Everybody => (sharing.header, None),
        Audience::PvdAware => {
            outer_options.append(&mut options);
            options = std::mem::take(&mut outer_options);
            (Header::default(), Some(sharing.header))
        }
    };
    Some(RouterAdvertisement {
        outer,
        outer_options,
        pvd: Some(PvdOption {
            id: pvd.id.clone(),
            additional_information: pvd.additional_information,
            has_legacy: sharing.has_ipv4,
            header,
            options,
        }),
    })
}

fn is_of_link(option: &NdOption) -> bool {
    match option {
        NdOption::Mtu(_) => true,
        NdOption::Other { kind, .. } => *kind == SOURCE_LINK_LAYER_ADDRESS,
        _ => false,
    }
}
