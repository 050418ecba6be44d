//! Broadband dies without a word, and then its link is cut: what is new goes by the mobile network, and back; what exists stays where it is.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use socket2::{Protocol, Type};

use super::network::{BROADBAND, HOME, MOBILE, UPLINKS, Uplink};
use super::routers::{Form, object};
use super::stage::Stage;
use super::{Scenario, no_more};
use crate::lab::error::Error;
use crate::lab::plan::{SOURCES, VISITOR, VISITOR_NETS};
use crate::link;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "pvd-failover",
    figure: "RFC 7556 §5.2",
    summary: "what is new goes by broadband while that works, else by the mobile network, and back; what exists stays",
    programs: &[("named", "bind9")],
    more: no_more,
    play,
};

/// Where the server is that the application talks to.
const PORT: u16 = 7;
/// How long the application waits for it.
const PATIENCE: Duration = Duration::from_secs(1);
/// A connection that nobody answers.
const NOTHING: &str = "nothing";
/// Until a network that works again is used again: the time that it has to work, and the last question before that.
const RETURN: Duration = Duration::from_secs(50);

/// All that comes from hosts gets lost, and whatever goes to them but Router Advertisements: their link is up, and their router there.
const LOSS: &str = "table inet loss {
    chain in {
        type filter hook prerouting priority -400
        iifname broadband0 drop
    }
    chain out {
        type filter hook postrouting priority 400
        oifname broadband0 icmpv6 type != nd-router-advert drop
        oifname broadband0 meta l4proto != ipv6-icmp drop
    }
}\n";

fn play(stage: &mut Stage) -> Result<(), Error> {
    stage.progress("starting name servers, PvD servers and who advertises");
    for uplink in UPLINKS {
        stage.issue(uplink)?;
        stage.start_names(uplink, &[])?;
        stage.serve(uplink, &object(uplink), Form::Plain)?;
        stage.advertise(uplink)?;
    }
    let order = UPLINKS.map(|uplink| uplink.pvd).join(",");
    stage.watch(&["--routes", "--prefer", &order])?;
    answer(stage)?;
    for uplink in UPLINKS {
        let what = format!("what {} says of itself, and its health", uplink.pvd);
        let known = json!({ "state": "known", "evidence": "TLS", "health": "good" });
        stage.await_that(&what, known, |stage| state(stage, uplink))?;
    }
    stage.await_that("what is new goes by", BROADBAND.pvd, |it| begin(it))?;
    let mut kept = Vec::new();
    for uplink in UPLINKS {
        kept.push((uplink, connect(stage, Some(uplink.home()))?));
    }

    stage.progress("broadband dies, without a word");
    let router = stage.network.node(BROADBAND.node)?;
    router.output_of("nft", &["-f", "-"], LOSS)?;
    stage.await_that(
        "what is new goes by, since broadband is dead",
        MOBILE.pvd,
        |it| begin(it),
    )?;
    // Its router still advertises it.
    let silent = json!({ "state": "known", "evidence": "TLS", "health": "silent" });
    let seen = state(stage, &BROADBAND)?;
    stage.expect("what is known of broadband, which is silent", silent, seen);
    look_at_mobile(stage, &mut kept)?;

    stage.progress("broadband is back");
    let router = stage.network.node(BROADBAND.node)?;
    router.output_of("nft", &["delete", "table", "inet", "loss"], "")?;
    stage.await_within(
        RETURN,
        "what is new goes by, since broadband is back",
        BROADBAND.pvd,
        |it| begin(it),
    )?;
    for (uplink, connection) in &mut kept {
        let what = format!("the old connection by {} goes by", uplink.pvd);
        stage.expect(&what, uplink.pvd, say(connection));
    }

    stage.progress("the link to broadband is cut");
    stage.network.link_down(HOME, BROADBAND.interface)?;
    stage.await_that(
        "what is new goes by, since the link is cut",
        MOBILE.pvd,
        |it| begin(it),
    )?;
    look_at_mobile(stage, &mut kept)?;
    stage.network.link_up(HOME, BROADBAND.interface)?;
    let what = "what broadband says of itself, attached anew, and its health";
    let known = json!({ "state": "known", "evidence": "TLS", "health": "good" });
    stage.await_that(what, known, |stage| state(stage, &BROADBAND))?;
    look_at_mobile(stage, &mut kept)?;

    for uplink in UPLINKS {
        let counts = uplink.counts(stage.network.node(uplink.node)?)?;
        let what = format!(
            "packets at {} from addresses that are not its own",
            uplink.node
        );
        stage.expect(&what, 0, counts.wrong_source);
    }
    Ok(())
}

/// Nothing of the mobile network is different, whatever becomes of the other one.
fn look_at_mobile(stage: &mut Stage, kept: &mut [(&Uplink, TcpStream)]) -> Result<(), Error> {
    let known = json!({ "state": "known", "evidence": "TLS", "health": "good" });
    let seen = state(stage, &MOBILE)?;
    stage.expect("what is known of the mobile network", known, seen);
    for (uplink, connection) in kept {
        if uplink.pvd == MOBILE.pvd {
            stage.expect("its old connection goes by", MOBILE.pvd, say(connection));
        }
    }
    Ok(())
}

/// How programs are told that a PvD is.
fn state(stage: &Stage, uplink: &Uplink) -> Result<Value, Error> {
    let Some(view) = stage.pvd(uplink)? else {
        return Ok(Value::Null);
    };
    let information = view.information;
    Ok(
        json!({ "state": information.state, "evidence": information.evidence, "health": view.health }),
    )
}

/// Starts a server far away, which says to whoever asks where he comes from; it ends with this process.
fn answer(stage: &Stage) -> Result<(), Error> {
    let listener = stage.network.node(VISITOR)?.enter(|| {
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT));
        TcpListener::bind(any)
    })?;
    let listener = listener.map_err(Error::io("listen far away"))?;
    std::thread::spawn(move || {
        while let Ok((mut connection, from)) = listener.accept() {
            std::thread::spawn(move || {
                let IpAddr::V6(from) = from.ip() else { return };
                let mut asked = [0];
                while connection.read_exact(&mut asked).is_ok() {
                    if connection.write_all(&from.octets()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    Ok(())
}

/// By which network a new connection goes.
fn begin(stage: &Stage) -> Result<&'static str, Error> {
    match connect(stage, None) {
        Ok(mut connection) => Ok(say(&mut connection)),
        Err(Error::Io { .. }) => Ok(NOTHING),
        Err(error) => Err(error),
    }
}

/// From an address, or from whichever the kernel chooses.
fn connect(stage: &Stage, source: Option<IpAddr>) -> Result<TcpStream, Error> {
    let server = SocketAddr::new(VISITOR_NETS.v6.host(SOURCES[0]), PORT);
    let connected = stage.network.node(HOME)?.enter(|| {
        let socket = link::socket((Type::STREAM, Protocol::TCP), None, source, server)?;
        socket.connect_timeout(&server.into(), PATIENCE)?;
        socket.set_nonblocking(false)?;
        Ok::<_, io::Error>(TcpStream::from(socket))
    })?;
    connected.map_err(Error::io("connect to the server far away"))
}

/// By which network the server hears a connection.
fn say(connection: &mut TcpStream) -> &'static str {
    let mut from = [0; 16];
    let mut exchange = || {
        connection.set_read_timeout(Some(PATIENCE * 5))?;
        connection.write_all(b"?")?;
        connection.read_exact(&mut from)
    };
    if exchange().is_err() {
        return NOTHING;
    }
    let from = IpAddr::from(from);
    let mut uplinks = UPLINKS.into_iter();
    uplinks
        .find(|uplink| uplink.home() == from)
        .map_or(NOTHING, |uplink| uplink.pvd)
}
