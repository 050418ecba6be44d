//! The examples of README and of the page on PvDs, as somebody who copies them would run them.

use std::net::UdpSocket;

use super::support::{folder, moat};

const PAGES: [&str; 2] = [
    include_str!("../../../../README.md"),
    include_str!("../../../../docs/pvd.md"),
];

/// The code blocks of the pages in one language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let after = PAGES
        .iter()
        .flat_map(|page| page.split(fence.as_str()).skip(1));
    after
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

#[test]
fn every_configuration_is_one_that_moat_takes() {
    let folder = folder();
    let configurations = blocks("toml");
    assert!(configurations.len() >= 2);
    for text in configurations {
        // The machine of the reader has this interface, and perhaps no other.
        let mut text = text.replace("\"eth0\"", "\"lo\"");
        if text.starts_with("# advertise.toml") {
            text.insert_str(0, "state = \"x.json\"\n");
            let objects = blocks("json");
            let mut objects = objects.iter();
            let object = objects.find(|it| it.starts_with("{\"identifier\": \"fixed.example\""));
            std::fs::write(folder.path().join("fixed.json"), object.unwrap()).unwrap();
            std::fs::write(folder.path().join("x.toml"), &text).unwrap();
            let command = ["pvd", "advertise", "--check", "--config", "x.toml"];
            let ran = moat(folder.path(), command);
            assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
            continue;
        }
        // What else is to be there besides the file, any machine has.
        text.insert_str(0, "state = \"x.db\"\ncontrol = \"x.sock\"\n");
        if text.contains("[[customer]]") {
            let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
            text.insert_str(0, &format!("listen = [\"{}\"]\n", free.unwrap()));
            let is_gateway = text.contains("[[pvd]]");
            if !is_gateway {
                text.push_str("[mitigator.nftables]\nprogram = \"/bin/sh\"\n");
            }
        }
        std::fs::write(folder.path().join("x.toml"), &text).unwrap();
        let ran = moat(folder.path(), ["config", "check", "x.toml"]);
        assert_eq!(ran.code, Some(0), "{}\n{text}", ran.stdout);
        // The reader's machine has these addresses.
        let mut told = ran.stdout.lines();
        let is_right =
            |line: &str| line.contains(": ok") || line.contains("on no interface of this machine");
        assert!(told.all(is_right), "{}", ran.stdout);
    }
}

/// Commands to a daemon only lack the daemon, and the others work.
#[test]
fn every_command_is_one_that_moat_knows() {
    let folder = folder();
    let mut known = 0;
    for line in blocks("sh").concat().lines() {
        let command = line.split('#').next().unwrap().trim();
        let Some(words) = command.strip_prefix("moat ") else {
            continue;
        };
        let starts_a_daemon = words.contains("--config") || words.starts_with("lab run");
        if starts_a_daemon || words.starts_with("config check") {
            continue;
        }
        let words: Vec<&str> = words.split_whitespace().collect();
        // A quoted name is one word.
        let text = words.join(" ").replace("\"My test CA\"", "My-test-CA");
        let ran = moat(folder.path(), text.split(' '));
        let wanted = if text.starts_with("pki") { 0 } else { 1 };
        assert_eq!(ran.code, Some(wanted), "{command}: {}", ran.stderr);
        known += 1;
    }
    assert!(known >= 8, "{known} commands");
}
