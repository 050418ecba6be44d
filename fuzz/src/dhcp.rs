//! What anybody on a link can send in the name of a DHCP server.

use std::time::Duration;

use discovery::PeerAgent;
use discovery::dhcp::v6::TransactionId;
use discovery::dhcp::{Information, LinkAddress, MOST_DOMAINS, MOST_RESOLVERS, v4, v6};
use discovery::peer::MOST_ADDRESSES;

fn client() -> LinkAddress {
    LinkAddress {
        hardware: 1,
        octets: vec![2, 0, 0, 0, 0, 1],
    }
}

/// The message behind its type and transaction.
pub fn dhcpv6_reply(rest: &[u8]) {
    let mut message = vec![7, 1, 2, 3];
    message.extend(rest);
    if let Ok(reply) = v6::reply(&message, TransactionId([1, 2, 3]), &client()) {
        check(&reply.information);
    }
}

/// The options, behind the fixed part.
pub fn dhcpv4_acknowledgement(options: &[u8]) {
    let mut message = vec![2, 1, 6, 0, 0, 0, 0, 9];
    message.resize(28, 0);
    message.extend(client().octets);
    // Options may go on in `sname` and `file`, which therefore get some of the input as well.
    message.resize(44, 0);
    message.extend(options.iter().chain(&[0; 192]).take(192));
    message.extend([99, 130, 83, 99]);
    message.extend(options);
    if let Ok(information) = v4::acknowledgement(&message, 9, &client()) {
        check(&information);
    }
}

fn check(information: &Information) {
    assert!(information.resolvers.len() <= MOST_RESOLVERS);
    assert!(information.domains.len() <= MOST_DOMAINS);
    let shortest = Duration::from_secs(600);
    assert!(
        information
            .refresh
            .is_none_or(|refresh| refresh >= shortest)
    );
    if let Some(PeerAgent::Addressed { addresses, .. } | PeerAgent::Anonymous(addresses)) =
        &information.peer
    {
        assert!((1..=MOST_ADDRESSES).contains(&addresses.len()));
        let usable = |address: &std::net::IpAddr| {
            !address.is_loopback() && !address.is_multicast() && !address.is_unspecified()
        };
        assert!(addresses.iter().all(usable));
    }
}
