//! Two uplinks at once: one advertised by radvd, with a PvD that only scapy knows of, the other by moat.

use serde_json::json;

use super::network::{BROADBAND, HOME, HOME_NUMBER, MOBILE, PLAIN, PLAIN_NUMBER, UPLINKS, Uplink};
use super::routers::{Form, object};
use super::stage::Stage;
use super::{Scenario, no_more};
use crate::lab::error::Error;
use crate::lab::plan::Net;
use crate::provisioning::watch::DomainView;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "pvd-two-uplinks",
    figure: "RFC 8801 §3.4",
    summary: "a host learns the PvDs of two uplinks, from advertisements of scapy and of moat, and fetches from each what it says of itself",
    programs: &[
        ("named", "bind9"),
        ("radvd", "radvd"),
        ("scapy", "python3-scapy"),
    ],
    more: no_more,
    play,
};

fn play(stage: &mut Stage) -> Result<(), Error> {
    stage.progress("starting name servers and PvD servers");
    for uplink in UPLINKS {
        stage.issue(uplink)?;
        stage.start_names(uplink, &[])?;
    }
    stage.serve(&BROADBAND, &object(&BROADBAND), Form::Signed)?;
    stage.serve(&MOBILE, &object(&MOBILE), Form::Plain)?;
    stage.progress("starting who advertises: radvd, scapy and moat");
    stage.start_radvd(&BROADBAND)?;
    stage.start_scapy(&BROADBAND)?;
    stage.advertise(&MOBILE)?;
    stage.watch(&[])?;

    stage.await_that(
        "explicit PvDs, each on its interface",
        UPLINKS.map(|uplink| (uplink.pvd, uplink.interface)),
        |stage| {
            let pvds = stage.pvds()?.into_iter();
            let explicit = pvds.filter_map(|it| Some((it.pvd?, it.interface)));
            Ok(explicit.collect::<Vec<_>>())
        },
    )?;
    let signed = "signature, certificate for the name";
    // Kernels have the first of these from radvd.
    let hidden = [BROADBAND.assigned, BROADBAND.spare];
    look_at(stage, &BROADBAND, &hidden, signed)?;
    look_at(stage, &MOBILE, &[MOBILE.assigned], "TLS")?;
    for (host, number) in [(HOME, HOME_NUMBER), (PLAIN, PLAIN_NUMBER)] {
        look_at_kernel(stage, host, number)?;
    }
    for uplink in UPLINKS {
        stage.look_at_edge(uplink)?;
    }
    Ok(())
}

/// What the host knows of a PvD.
fn look_at(stage: &mut Stage, uplink: &Uplink, prefixes: &[Net], proof: &str) -> Result<(), Error> {
    let pvd = uplink.pvd;
    let prefixes: Vec<_> = prefixes.iter().map(ToString::to_string).collect();
    let of = |stage: &mut Stage, what: fn(&DomainView) -> Vec<String>| {
        let view = stage.pvd(uplink)?;
        Ok(view.as_ref().map(what).unwrap_or_default())
    };
    stage.await_that(&format!("addresses of {pvd}"), [uplink.home()], |stage| {
        of(stage, |it| {
            it.addresses.iter().map(|own| own.address.clone()).collect()
        })
    })?;
    stage.await_that(&format!("prefixes of {pvd}"), prefixes, |stage| {
        of(stage, |it| {
            it.prefixes.iter().map(|one| one.prefix.clone()).collect()
        })
    })?;
    stage.await_that(&format!("resolvers of {pvd}"), [uplink.names()], |stage| {
        of(stage, |it| {
            it.resolvers.iter().map(|one| one.name.clone()).collect()
        })
    })?;
    stage.await_that(
        &format!("what proves what {pvd} says of itself"),
        [proof],
        |stage| {
            of(stage, |it| {
                it.information.evidence.clone().into_iter().collect()
            })
        },
    )?;
    let said = stage.pvd(uplink)?.and_then(|it| it.information.object);
    let zones = said.as_ref().map(|said| &said["dnsZones"]);
    stage.expect(&format!("zones of {pvd}"), json!([pvd]), zones);
    Ok(())
}

/// What the kernel of a host makes of the advertisements: it ignores the PvD option, with the prefix that is there alone.
fn look_at_kernel(stage: &mut Stage, host: &str, number: u8) -> Result<(), Error> {
    let mut routes = Vec::new();
    for uplink in UPLINKS {
        let addresses = stage.kernel_addresses(host, uplink)?;
        let what = format!("addresses that {host} has by {}", uplink.interface);
        stage.expect(&what, [uplink.assigned.host(number)], addresses);
        let to = [uplink.assigned.to_string(), "default".to_owned()];
        routes.extend(to.map(|to| format!("{to} dev {}", uplink.interface)));
    }
    routes.sort_unstable();
    let seen = stage.kernel_routes(host)?;
    stage.expect(&format!("routes of {host}"), routes, seen);
    Ok(())
}
