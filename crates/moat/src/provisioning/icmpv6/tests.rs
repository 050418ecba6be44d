use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;

const INSIDE: &str = "MOAT_ICMPV6_TEST";
const NAME: &str = "what_a_router_has_forwarded_or_nobody_may_send_does_not_arrive";
/// More than it takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn datagram(source: &str) -> Datagram {
    Datagram {
        length: 16,
        is_truncated: false,
        was_fragmented: false,
        source: source.parse().unwrap(),
        destination: ALL_NODES,
        hop_limit: 255,
    }
}

/// RFC 4861 §6.1.1, §6.1.2.
#[test]
fn a_message_counts_only_from_the_link_and_from_an_address_that_may_send_it() {
    let advertisement = [134_u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let solicitation = [133_u8, 0, 0, 0, 0, 0, 0, 0];
    let local = datagram("fe80::1");
    let of = |octets: &[u8], datagram: &Datagram| admit(octets, datagram, Side::Router);
    assert_eq!(of(&advertisement, &local), Ok(Kind::RouterAdvertisement));
    for source in ["fe80::1", "::", "2001:db8::1"] {
        let kind = of(&solicitation, &datagram(source));
        assert_eq!(kind, Ok(Kind::RouterSolicitation), "{source}");
    }
    for source in ["::", "2001:db8::1", "ff02::1", "fec0::1"] {
        let fault = of(&advertisement, &datagram(source));
        assert_eq!(fault, Err(Fault::Source), "{source}");
    }
    let far = Datagram {
        hop_limit: 254,
        ..local
    };
    assert_eq!(of(&advertisement, &far), Err(Fault::HopLimit));
    let fragmented = Datagram {
        was_fragmented: true,
        ..local
    };
    assert_eq!(of(&advertisement, &fragmented), Err(Fault::Fragmented));
    let truncated = Datagram {
        is_truncated: true,
        ..local
    };
    assert_eq!(of(&advertisement, &truncated), Err(Fault::Length));
    assert_eq!(of(&advertisement[..15], &local), Err(Fault::Length));
    assert_eq!(of(&solicitation[..7], &local), Err(Fault::Length));
    assert_eq!(of(&[134], &local), Err(Fault::Length));
    let mut coded = advertisement;
    coded[1] = 1;
    assert_eq!(of(&coded, &local), Err(Fault::Code));
    assert_eq!(admit(&solicitation, &local, Side::Host), Err(Fault::Code));
}

fn run(program: &str, line: &str) {
    let status = Command::new(program).args(line.split(' ')).status();
    assert!(status.unwrap().success(), "{program} {line}");
}

/// Runs this test again in a network namespace of its own; `false`: it cannot be made here, or this was it already.
fn is_inside() -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut unshare = Command::new("unshare");
    unshare.arg("--net");
    if !rustix::process::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    let output = unshare
        .arg(std::env::current_exe().unwrap())
        .args([&format!("provisioning::icmpv6::tests::{NAME}"), "--exact"])
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("1 passed") {
        return false;
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && text.is_empty(),
        "{text}{errors}"
    );
    eprintln!("SKIPPED: {NAME}: it needs namespaces: {errors}");
    false
}

#[test]
fn what_a_router_has_forwarded_or_nobody_may_send_does_not_arrive() {
    if !is_inside() {
        return;
    }
    run("ip", "link add one type veth peer name two");
    for end in ["one", "two"] {
        run("sysctl", &format!("-qw net.ipv6.conf.{end}.accept_dad=0"));
        // The kernel's own solicitations would come between.
        run("sysctl", &format!("-qw net.ipv6.conf.{end}.accept_ra=0"));
        run("ip", &format!("link set {end} up"));
    }
    run("ip", "address add fe80::1/64 dev one");
    run("ip", "address add fe80::11/64 dev one");
    run("ip", "address add 2001:db8::1/64 dev one");
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let exchange = async {
        let [one, two] = ["one", "two"].map(|name| name.parse().unwrap());
        let mut router = Icmpv6Socket::open(&one, Side::Router).unwrap();
        let mut host = Icmpv6Socket::open(&two, Side::Host).unwrap();
        let solicitation = [133, 0, 0, 0, 0, 0, 0, 0];
        let advertisement = [[134, 0, 0, 0, 64, 0, 0, 9], [0; 8]].concat();
        let own: Ipv6Addr = "fe80::11".parse().unwrap();

        host.send(&solicitation, None, ALL_ROUTERS).unwrap();
        let asked = router.receive().await.unwrap();
        assert_eq!(
            (asked.kind, asked.destination),
            (Kind::RouterSolicitation, ALL_ROUTERS)
        );
        assert!(asked.source.is_unicast_link_local());

        // Forged: from far away, with a code, from an address that no router has, and of another type.
        let forge = |octets: &[u8], source: &str| {
            let source = source.parse().unwrap();
            router.send(octets, Some(source), ALL_NODES).unwrap();
        };
        forge(&[&[134, 1][..], &advertisement[2..]].concat(), "fe80::1");
        forge(&advertisement, "2001:db8::1");
        forge(&solicitation, "fe80::1");
        // In fragments (RFC 6980 §5): options of no known type up to more than the link takes at once.
        let unknown = [vec![200, 250], vec![0; 250 * 8 - 2]].concat();
        forge(&[&advertisement[..], &unknown].concat(), "fe80::1");
        let hops = router.socket.get_ref();
        hops.set_multicast_hops_v6(254).unwrap();
        forge(&advertisement, "fe80::1");
        hops.set_multicast_hops_v6(255).unwrap();

        for destination in [ALL_NODES, asked.source] {
            router.send(&advertisement, Some(own), destination).unwrap();
            let heard = host.receive().await.unwrap();
            assert_eq!(
                (heard.kind, heard.source, heard.destination),
                (Kind::RouterAdvertisement, own, destination)
            );
            // But for the checksum, which the kernel made.
            assert_eq!(heard.octets[4..], advertisement[4..]);
        }
        let dropped = Dropped {
            by_fragments: 1,
            by_hop_limit: 1,
            by_code: 1,
            by_source: 1,
            by_length: 0,
        };
        assert_eq!(host.dropped(), dropped);
        assert_eq!(router.dropped(), Dropped::default());
    };
    runtime.block_on(async { tokio::time::timeout(PATIENCE, exchange).await.unwrap() });
}
