//! Where sessions leave from, by RFC 6724 and RFC 4862 (RFC 9284 §5.1).

use pvd::source_address::{Kind, Stage};
use pvd::{OwnAddress, PvdSet};

use super::home::{FIXED6, alter, changed, own};
use super::rig::Rig;
use crate::world::seconds;

/// The fixed PvD has these addresses.
fn with(addresses: &[OwnAddress]) -> PvdSet {
    changed(|set| alter(set, "fixed.example", |it| it.addresses = addresses.to_vec()))
}

fn deprecated(address: &str) -> OwnAddress {
    OwnAddress {
        stage: Stage::Deprecated,
        ..own(address)
    }
}

/// From where the fixed provider's server has been spoken to, the latest last.
fn sources(rig: &Rig) -> Vec<String> {
    let opened = rig.opened.iter().filter(|it| it.remote == FIXED6);
    opened.filter_map(|it| it.source.clone()).collect()
}

fn change(rig: &mut Rig, pvds: PvdSet) {
    let now = rig.now();
    rig.client.set_pvds(now, pvds);
    rig.settle();
    rig.advance(seconds(5));
}

/// Covers: M-002, M-011
#[test]
fn a_session_leaves_from_the_preferred_public_address() {
    let temporary = OwnAddress {
        kind: Kind::Temporary,
        ..own("2001:db8:f::e1")
    };
    let addresses = [
        deprecated("2001:db8:f::d1"),
        temporary,
        own("2001:db8:f::1"),
    ];
    let mut rig = Rig::home(with(&addresses));
    rig.advance(seconds(5));
    assert_eq!(sources(&rig), ["2001:db8:f::1"]);
}

/// Covers: M-002, M-028. What goes on in peace is not begun anew from elsewhere, least of all in an attack.
#[test]
fn a_session_goes_on_from_an_address_that_is_deprecated_until_that_is_gone() {
    let (old, new) = ("2001:db8:f::1", "2001:db8:f::2");
    let mut rig = Rig::home(with(&[own(old)]));
    rig.advance(seconds(5));
    change(&mut rig, with(&[deprecated(old), own(new)]));
    change(&mut rig, with(&[own(new), deprecated(old)]));
    assert_eq!(sources(&rig), [old]);
    change(&mut rig, with(&[own(new)]));
    assert_eq!(sources(&rig), [old, new]);
    assert!(rig.paths.values().any(|remote| remote == FIXED6));
}
