use pvd::bindings::router_advertisement::{Header, Lifetime, NdOption, PrefixInformation};

use super::super::reader::Diagnostics;
use super::super::{advertise, examine, load_advertise};
use super::{Folder, with};

const FILE: &str = r#"[[pvd]]
id = "foo.example.org"
interface = "lo"
[[pvd.prefix]]
prefix = "2001:db8:cafe::/64"
"#;

fn told(text: &str) -> Vec<String> {
    let file = std::path::Path::new("x.toml");
    let (_, problems) = examine(Diagnostics::new(file, text), file, advertise::read);
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    assert_eq!(told(FILE), [""; 0]);
    for (from, to, problem) in [
        (
            "interface = \"lo\"",
            "interface = \"lo\"\nsource = \"2001:db8::1\"",
            "x.toml:4:10: pvd[0].source: \"2001:db8::1\" is not a link-local address, from which alone routers advertise; \
             write one like fe80::a, or nothing for moat's choice",
        ),
        (
            "2001:db8:cafe::/64",
            "203.0.113.0/28",
            "x.toml:5:10: pvd[0].prefix[0].prefix: \"203.0.113.0/28\" is of IPv4, which Router Advertisements do not carry; \
             write one of IPv6, and leave IPv4 to DHCP",
        ),
        (
            "id = \"foo.example.org\"",
            "pvd_aware_only = true",
            "x.toml:1:1: pvd[0]: is missing; write id = \"fixed.example\"",
        ),
        (
            "interface = \"lo\"",
            "interface = \"lo\"\nrouter_lifetime = 100",
            "x.toml:4:19: pvd[0].router_lifetime: 100 is out of range; write 0 for no default router, or 600 to 9000 seconds",
        ),
        (
            "interface = \"lo\"",
            "interface = \"lo\"\ndelay = 1",
            "x.toml:1:1: pvd[0]: is missing; write object = \"fixed.json\"",
        ),
        (
            "cafe::/64\"",
            "cafe::/64\"\nvalid = 60\npreferred = 61",
            "x.toml:7:13: pvd[0].prefix[0].preferred: 61 is out of range; write 0 to 60 seconds",
        ),
        (
            "interface = \"lo\"",
            "interface = \"lo\"\ndns = [\"203.0.113.53\"]",
            "x.toml:4:8: pvd[0].dns[0]: \"203.0.113.53\" is of IPv4, which Router Advertisements do not carry; \
             write one of IPv6, and leave IPv4 to DHCP",
        ),
    ] {
        assert_eq!(told(&with(FILE, from, to)), [problem], "{to}");
    }
    let none = told("[[pvd]]\ninterface = \"lo\"\nrouters = 1\n");
    assert!(none[0].contains("is not a key of this table"), "{none:?}");
}

/// Covers: P-010
#[test]
fn what_is_for_those_who_know_pvds_is_inside_the_option() {
    let folder = Folder::new();
    let load = |text: &str| {
        let config = load_advertise(&folder.write(text)).unwrap();
        let mut interfaces = config.interfaces.into_values();
        let mut domains = interfaces.next().unwrap().domains.into_iter();
        domains.next().unwrap()
    };
    let prefix = NdOption::PrefixInformation(PrefixInformation {
        prefix: "2001:db8:cafe::/64".parse().unwrap(),
        is_on_link: true,
        is_autonomous: true,
        valid: Lifetime::Seconds(2_592_000),
        preferred: Lifetime::Seconds(604_800),
    });
    let header = Header {
        hop_limit: 64,
        router_lifetime: 1800,
        ..Header::default()
    };
    let all = load(FILE);
    assert!(!all.is_silent());
    assert_eq!(all.advertisement.outer, header);
    let options = std::slice::from_ref(&prefix);
    assert_eq!(all.advertisement.outer_options, options);
    let pvd = all.advertisement.pvd.unwrap();
    assert_eq!((pvd.header, pvd.options), (None, vec![]));
    let aware = load(&with(FILE, "id =", "pvd_aware_only = true\nid ="));
    assert!(aware.is_silent());
    assert_eq!(aware.advertisement.outer, Header::default());
    assert_eq!(aware.advertisement.outer_options, []);
    let pvd = aware.advertisement.pvd.unwrap();
    assert_eq!((pvd.header, pvd.options), (Some(header), vec![prefix]));
}
