//! A server that sends its customer to another one (RFC 9132 §4.6).

use std::fs;

use serde_json::Value;

use crate::support::{Daemon, NameServer, Outcome, SERVER_NAME, Site, isolated, run, until};

const OTHER_NAME: &str = "dots2.customer.example";
/// Where the other server listens: the port is that of DOTS, as a redirect names none.
const OTHER: &str = "192.0.2.46:4646";

/// A site whose first server sends `home` away, with these lines in its `[customer.redirect]`, and
/// whose other server bears `name`.
struct Scene {
    site: Site,
    _servers: [Daemon; 2],
    client: Daemon,
}

impl Scene {
    fn new(redirect: &str, name: &str) -> Outcome<Self> {
        run("ip", &["address", "add", "192.0.2.46/32", "dev", "lo"])?;
        let site = Site::new()?;
        let first = site.path().join("server.toml");
        let written = fs::read_to_string(&first)?;
        let home = "prefixes = [\"203.0.113.0/24\", \"2001:db8:6401::/48\"]\n";
        let redirected =
            format!("{home}[customer.redirect]\nserver = \"{OTHER_NAME}\"\n{redirect}\n");
        fs::write(&first, written.replace(home, &redirected))?;

        site.issue("pki", &["--server", name])?;
        let second = site.path().join("other.toml");
        let (table, end) = written
            .split_once("[mitigator.nftables]")
            .ok_or("no mitigator")?;
        let table = table
            .replace(
                "\"127.0.0.1:4646\", \"[::1]:4646\"",
                &format!("\"{OTHER}\""),
            )
            .replace(SERVER_NAME, name)
            .replace("server.db", "other.db")
            .replace("server.sock", "other.sock");
        fs::write(
            &second,
            format!("{table}[mitigator.nftables]\ntable = \"other\"{end}"),
        )?;
        let mut servers = [site.launch()?, Daemon::launch("server", &second)?];
        for server in &mut servers {
            server.wait_for("moat server is ready")?;
        }

        let file = site.path().join("client.toml");
        let config = format!(
            "state = \"client/client.db\"\ncontrol = \"client.sock\"\n\
             [[pvd]]\nid = \"fixed.example\"\nprefixes = [\"203.0.113.0/24\"]\n\
             dns = [\"127.0.0.1:5353\"]\n\
             [[pvd.dots]]\nname = \"{SERVER_NAME}\"\naddresses = [\"127.0.0.1\"]\n\
             certificate = \"pki/home.pem\"\nprivate_key = \"pki/home-key.pem\"\n\
             trust_anchors = \"pki/ca.pem\"\n"
        );
        fs::write(&file, config)?;
        let mut client = Daemon::launch("client", &file)?;
        client.wait_for("session established")?;
        Ok(Self {
            site,
            _servers: servers,
            client,
        })
    }

    fn at_other(&self) -> Outcome<usize> {
        let status: Value = self.site.ask_at("other.sock", "status")?;
        Ok(status["mitigations"].as_array().map_or(0, Vec::len))
    }
}

/// Covers: S-063, X-015
#[test]
fn a_redirected_request_is_granted_by_the_other_server_at_the_addresses_given() -> Outcome {
    isolated(&[], || {
        let scene = Scene::new("addresses = [\"192.0.2.46\"]", OTHER_NAME)?;
        scene.site.mitigate("203.0.113.7")?;
        until("the other server has it", || Ok(scene.at_other()? == 1))
    })
}

/// Covers: S-063
#[test]
fn without_addresses_the_name_of_the_other_server_is_looked_up_in_the_pvd() -> Outcome {
    isolated(&["named"], || {
        let names = Site::new()?;
        let _names = NameServer::start(&names)?;
        let scene = Scene::new("", OTHER_NAME)?;
        scene.site.mitigate("203.0.113.7")?;
        until("the other server has it", || Ok(scene.at_other()? == 1))
    })
}

///
#[test]
fn the_other_server_has_to_prove_that_it_is_the_one_named() -> Outcome {
    isolated(&[], || {
        let mut scene = Scene::new("addresses = [\"192.0.2.46\"]", "impostor.example")?;
        // Nobody grants it, and the person is told so.
        drop(scene.site.mitigate("203.0.113.7"));
        scene
            .client
            .wait_for(&format!("is not valid for the name {OTHER_NAME}"))?;
        assert_eq!(scene.at_other()?, 0);
        Ok(())
    })
}
