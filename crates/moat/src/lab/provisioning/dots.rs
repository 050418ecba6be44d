//! DOTS servers that are named by what networks say of themselves, signed, and by nothing else: no DHCP, no DNS, no file.
//!
//! ```text
//!  object (JWS) --HTTPS--> moat pvd watch --socket--> moat client --DTLS--> moat server at the edge --nft--> the attack is dropped
//! ```

use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::network::{BROADBAND, HOME, MOBILE, UPLINKS, Uplink};
use super::routers::{Form, object};
use super::stage::Stage;
use super::{Scenario, no_more};
use crate::lab::agents::{Held, held};
use crate::lab::error::Error;
use crate::lab::hosts::{self, FLOOD_RATE, VISIT_RATE};
use crate::lab::measure::loss_percent;
use crate::lab::plan::{
    ATTACKER, ATTACKER_NETS, DOTS_PORT, SOURCES, TARGET_PORT, VISITOR, VISITOR_NETS,
};
use crate::lab::process::{self, Conversation};
use crate::lab::traffic::{Received, Visits};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "pvd-dots",
    figure: "RFC 9284 §5.1, RFC 8801 §4",
    summary: "a client learns its DOTS servers from what two networks have signed; addresses of one are attacked",
    programs: &[("named", "bind9")],
    more: no_more,
    play,
};

/// How long it is counted what passes an edge.
const WHILE: Duration = Duration::from_millis(300);

/// So long after a new start the client knows again what there is, or lacks it.
const WATCHED_ANEW: Duration = Duration::from_secs(12);

/// How long a visitor is watched.
const VISITED: Duration = Duration::from_secs(2);

fn play(stage: &mut Stage) -> Result<(), Error> {
    stage.progress("starting name servers, PvD servers and DOTS servers");
    for uplink in UPLINKS {
        stage.issue(uplink)?;
        stage.start_names(uplink, &[])?;
        stage.start_dots_server(uplink)?;
        let mut object = object(uplink);
        object["vendor-moat"] = json!({
            "dotsServers": [{ "name": server_name(uplink), "addresses": [uplink.dots()] }],
        });
        stage.serve(uplink, &object, Form::Signed)?;
        stage.advertise(uplink)?;
    }
    stage.watch(&[])?;
    stage.start_dots_client()?;
    let expected = UPLINKS.map(|uplink| {
        let learned = "signed additional information";
        (uplink.pvd, server_name(uplink), "established", learned)
    });
    let what = "sessions, and how their servers were found";
    stage.await_that(what, &expected, |stage| stage.sessions())?;

    let homes = UPLINKS.map(Uplink::home);
    let victim = homes.map(|address| ("--address", address.to_string()));
    let mut victim = stage.traffic(HOME, "victim", &[], &victim)?;
    let visits = visits();
    let rate = ["--rate", &VISIT_RATE.to_string()];
    let mut visitor = stage.traffic(VISITOR, "visitor", &rate, &visits)?;
    // The first exchange resolves neighbours and shows that the victim listens.
    let _: Vec<Received> = victim.ask("report")?;
    stage.await_that("visitors without an answer, in percent", 0.0, |_| {
        visit(&mut visitor, WHILE)
    })?;

    stage.progress("the attack starts");
    let [attacker, _] = SOURCES.map(|number| ATTACKER_NETS.v6.host(number));
    let flow = [("--flow", format!("{attacker},{}", BROADBAND.home()))];
    let rate = ["--rate", &FLOOD_RATE.to_string()];
    let mut flood = stage.traffic(ATTACKER, "flood", &rate, &flow)?;
    let () = flood.ask("")?;
    let what = "the attack passes the edge of broadband";
    stage.await_that(what, true, |stage| Ok(stage.passing(&BROADBAND)? > 0))?;

    let target = BROADBAND.home().to_string();
    stage.progress(&format!("asking for help: moat mitigate {target}"));
    let told = stage.mitigate(&target)?;
    let asked = told.requests.iter().map(|it| (&it.pvd, &it.server));
    let asked: Vec<_> = asked.collect();
    stage.expect(
        "who was asked",
        [(BROADBAND.pvd, server_name(&BROADBAND))],
        asked,
    );
    let not_asked: Vec<_> = told.not_asked.iter().map(|it| &it.pvd).collect();
    stage.expect("who was not", [MOBILE.pvd], not_asked);
    let what = "attack packets that pass the edge of broadband";
    stage.await_that(what, 0, |stage| stage.passing(&BROADBAND))?;
    let before = stage.counts(&BROADBAND)?.attack_offered;
    let lost = visit(&mut visitor, VISITED)?;
    stage.expect(
        "visitors without an answer meanwhile, in percent",
        0.0,
        lost,
    );
    let still = stage.counts(&BROADBAND)?.attack_offered > before;
    stage.expect("the attack goes on before the filter", true, still);

    stage.progress("moat pvd watch is started anew");
    let came_up = |stage: &Stage| -> Result<Vec<u64>, Error> {
        let held = UPLINKS.map(|uplink| stage.held(uplink));
        held.into_iter().map(|one| Ok(one?.established)).collect()
    };
    let before = came_up(stage)?;
    stage.stop(HOME, "watch");
    stage.watch(&[])?;
    sleep(WATCHED_ANEW);
    let what = "sessions when moat pvd watch was started anew";
    let sessions = stage.sessions()?;
    stage.expect(what, expected, sessions);
    let now = came_up(stage)?;
    stage.expect(
        "sessions that had come up by then, at each server",
        before,
        now,
    );

    let wanted = [vec![vec![format!("{target}/128")]], Vec::new()];
    for (uplink, mitigations) in UPLINKS.into_iter().zip(wanted) {
        let held = stage.held(uplink)?;
        let name = server_name(uplink);
        let accepted = mitigations.len();
        let what = format!("what {name} mitigates");
        stage.expect(&what, mitigations, held.mitigations);
        let what = format!("requests that {name} accepted and refused");
        stage.expect(&what, [accepted, 0], [held.accepted, held.refused]);
        let what = format!("customers with a session at {name}");
        stage.expect(&what, [customer(uplink)], held.customers);
        stage.look_at_edge(uplink)?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Told {
    requests: Vec<Asked>,
    not_asked: Vec<NotAsked>,
}

#[derive(Deserialize)]
struct Asked {
    pvd: String,
    server: String,
}

#[derive(Deserialize)]
struct NotAsked {
    pvd: String,
}

fn server_name(uplink: &Uplink) -> String {
    format!("dots.{}", uplink.pvd)
}

/// What a provider calls the site.
fn customer(uplink: &Uplink) -> String {
    format!("customer.{}", uplink.pvd)
}

fn server_control(uplink: &Uplink) -> String {
    format!("{}-dots.sock", uplink.node)
}

const CLIENT_CONTROL: &str = "client.sock";

/// From a visitor's address to each address of the site.
fn visits() -> [(&'static str, String); 2] {
    let [from, _] = SOURCES.map(|number| VISITOR_NETS.v6.host(number));
    UPLINKS.map(|uplink| ("--path", format!("{from},{}", uplink.home())))
}

/// How many requests of a visitor have no response, in percent.
fn visit(visitor: &mut Conversation, time: Duration) -> Result<f64, Error> {
    let _: Vec<Visits> = visitor.ask("open")?;
    sleep(time);
    let visits: Vec<Visits> = visitor.ask("close")?;
    Ok(loss_percent(&visits))
}

impl Stage {
    fn start_dots_server(&mut self, uplink: &Uplink) -> Result<(), Error> {
        let (name, customer) = (server_name(uplink), customer(uplink));
        self.issue_for(uplink, "--server", &name)?;
        self.issue_for(uplink, "--client", &customer)?;
        let config = format!(
            "listen = [\"[{}]:{DOTS_PORT}\"]\n{}state = {:?}\ncontrol = {:?}\n\n\
             [[customer]]\nname = {customer:?}\nprefixes = [\"{}\"]\n\n[mitigator.nftables]\n",
            uplink.dots(),
            self.certificate_keys(uplink, &name),
            self.file(&format!("{}-dots.db", uplink.node)),
            self.file(&server_control(uplink)),
            uplink.assigned,
        );
        let config = self.write(&format!("{}-dots.toml", uplink.node), &config)?;
        let mut command = self.moat(&["server", "--config"]);
        command.arg(config);
        self.start(uplink.node, "dots-server", &mut command)?;
        self.wait_for_log(uplink.node, "dots-server", "moat server is ready")
    }

    /// The client's file has nothing that could be learned: names, credentials, and whom to trust.
    fn start_dots_client(&mut self) -> Result<(), Error> {
        let mut config = format!(
            "state = {:?}\ncontrol = {:?}\n[routing]\n[provisioning]\nsocket = {:?}\n",
            self.file("client.db"),
            self.file(CLIENT_CONTROL),
            self.control(),
        );
        for uplink in UPLINKS {
            let Uplink { pvd, interface, .. } = uplink;
            config += &format!(
                "\n[[pvd]]\nid = {pvd:?}\ninterface = {interface:?}\n[pvd.discover]\ntrusted_names = [\"*.{pvd}\"]\n{}",
                self.certificate_keys(uplink, &customer(uplink)),
            );
        }
        let config = self.write("client.toml", &config)?;
        let mut command = self.moat(&["client", "--config"]);
        command.arg(config);
        self.start(HOME, "client", &mut command)?;
        self.wait_for_log(HOME, "client", "moat client is ready")
    }

    /// What a daemon answers.
    fn ask(&self, control: &str, words: &[&str]) -> Result<String, Error> {
        let mut command = self.moat(words);
        let control: PathBuf = self.file(control);
        process::output(command.arg("--json").arg("--control").arg(control))
    }

    /// What a DOTS server has, and what it has counted.
    fn held(&self, uplink: &Uplink) -> Result<Held, Error> {
        let control = server_control(uplink);
        let status = self.ask(&control, &["status"])?;
        held(&status, &self.ask(&control, &["sessions"])?)
    }

    /// The PvD, server, state and finding of each session of the client.
    fn sessions(&self) -> Result<Vec<[Value; 4]>, Error> {
        let answer = self.ask(CLIENT_CONTROL, &["sessions"]);
        // Without any session that is an exit code.
        let Ok(answer) = answer else {
            return Ok(Vec::new());
        };
        let answer: Value = process::parse("moat sessions", &answer)?;
        let sessions = answer["sessions"].as_array().into_iter().flatten();
        let of =
            |session: &Value| ["pvd", "server", "state", "learned"].map(|key| session[key].clone());
        Ok(sessions.map(of).collect())
    }

    fn mitigate(&self, target: &str) -> Result<Told, Error> {
        let port = TARGET_PORT.to_string();
        let words = [
            "mitigate",
            target,
            "--port",
            &port,
            "--protocol",
            "udp",
            "--lifetime",
            "600",
        ];
        process::parse("moat mitigate", &self.ask(CLIENT_CONTROL, &words)?)
    }

    /// Attack packets that pass an edge in a while.
    fn passing(&self, uplink: &Uplink) -> Result<u64, Error> {
        let before = self.counts(uplink)?.attack_passed;
        sleep(WHILE);
        Ok(self.counts(uplink)?.attack_passed.saturating_sub(before))
    }

    fn counts(&self, uplink: &Uplink) -> Result<super::network::Counts, Error> {
        uplink.counts(self.network.node(uplink.node)?)
    }

    /// Has a host play a role of the lab's traffic.
    fn traffic(
        &self,
        node: &str,
        role: &str,
        options: &[&str],
        more: &[(&'static str, String)],
    ) -> Result<Conversation, Error> {
        let host = self.network.node(node)?;
        let more = more.iter().cloned();
        hosts::start(host, (node, role), options, more, self.folder())
    }
}
