//! A network that lets no UDP through (RFC 9132 §4.3).

use std::fs;

use crate::support::{Daemon, Outcome, SERVER_NAME, Site, isolated, run, until};

/// Covers: S-072
#[test]
fn where_udp_is_lost_the_client_asks_over_tcp() -> Outcome {
    isolated(&[], || {
        let site = Site::new()?;
        let mut server = site.start()?;
        run("nft", &["add table inet lossy"])?;
        run(
            "nft",
            &["add chain inet lossy input { type filter hook input priority -300; }"],
        )?;
        run("nft", &["add rule inet lossy input udp dport 4646 drop"])?;
        let file = site.path().join("client.toml");
        let config = format!(
            "state = \"client/client.db\"\ncontrol = \"client.sock\"\n\
             [[pvd]]\nid = \"fixed.example\"\nprefixes = [\"203.0.113.0/24\"]\n\
             [[pvd.dots]]\nname = \"{SERVER_NAME}\"\naddresses = [\"127.0.0.1\", \"::1\"]\n\
             certificate = \"pki/home.pem\"\nprivate_key = \"pki/home-key.pem\"\n\
             trust_anchors = \"pki/ca.pem\"\n"
        );
        fs::write(&file, config)?;
        let mut client = Daemon::launch("client", &file)?;
        client.wait_for("session established")?;
        server.wait_for("session established")?;
        let sessions = site.ask_at("client.sock", "sessions")?;
        let connections = sessions["sessions"][0]["connections"].as_array();
        let up = connections
            .and_then(|all| all.iter().find(|one| one["established"].is_u64()))
            .ok_or("no session is up")?;
        assert_eq!(up["transport"], "tcp", "{sessions}");
        assert_eq!(up["remote"], "[::1]:4646", "{sessions}");
        let sessions = site.ask("sessions")?;
        let served = sessions["sessions"].as_array().into_iter().flatten();
        let remote = served
            .filter(|session| session["transport"] == "tcp")
            .filter_map(|session| session["remote"].as_str())
            .find(|remote| remote.starts_with("[::1]:"))
            .ok_or_else(|| sessions.to_string())?;
        let remote = format!("remote={remote}");
        site.mitigate("203.0.113.7")?;
        until("the server has it", || {
            let status = site.ask("status")?;
            Ok(status["mitigations"].as_array().map(Vec::len) == Some(1))
        })?;
        drop(client);
        let closed = server.wait_for(&remote)?;
        assert!(closed.contains("session closed"), "{closed}");
        Ok(())
    })
}

/// It is not lost, so that nothing begins that waits for that (RFC 9132 §4.7).
#[test]
fn a_client_that_is_told_to_stop_takes_leave_over_tcp_too() -> Outcome {
    isolated(&[], || {
        let site = Site::new()?;
        let mut server = site.start()?;
        let file = site.client_file(SERVER_NAME, "")?;
        let config = fs::read_to_string(&file)?;
        fs::write(&file, config.replace("[\"udp\"]", "[\"tcp\"]"))?;
        let mut client = Daemon::launch("client", &file)?;
        client.wait_for("session established")?;
        server.wait_for("session established")?;
        client.terminate()?;
        client.wait_for("moat client has stopped")?;
        let closed = server.wait_for("session closed")?;
        assert!(closed.contains("closed by the peer"), "{closed}");
        Ok(())
    })
}
