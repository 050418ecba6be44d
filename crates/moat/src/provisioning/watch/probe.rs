//! Asks a resolver of a PvD whether packets arrive there: one datagram, inside the PvD only (RFC 8801 §4.1, RFC 7556 §5.2).
//!
//! The question is for the name servers of the root. Everybody asks for these, so it says nothing of this node, and every resolver has the
//! answer at hand.

use std::io;
use std::net::SocketAddr;

use pvd::selection::{Answer, PATIENCE, Probe, ProbeNumber};
use pvd::source_address;
use socket2::{Protocol, Type};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::config::DNS_PORT;
use crate::link;
use crate::provisioning::next_hop::{self, Refused};

/// Octets of a header (RFC 1035 §4.1.1).
const HEADER: usize = 12;
/// RD: a question that wants recursion.
const QUESTION: [u8; 10] = [1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
/// The root, NS, IN.
const FOR_THE_ROOT: [u8; 5] = [0, 0, 2, 0, 1];
/// The resolver could not find it out (RFC 1035 §4.1.1).
const SERVFAIL: u8 = 2;

/// Asks, and waits for so long as is usual.
pub(super) async fn ask(probe: Probe) -> (ProbeNumber, Answer) {
    let answer = timeout(PATIENCE, exchange(&probe)).await;
    let answer = answer.unwrap_or(Ok(Answer::Lost)).unwrap_or_else(|error| {
        tracing::debug!(pvd = %probe.key, resolver = %probe.resolver, %error, "a probe failed");
        Answer::Lost
    });
    (probe.number, answer)
}

async fn exchange(probe: &Probe) -> io::Result<Answer> {
    let interface = &probe.key.interface;
    let Some(source) = source_address::select(&probe.addresses, probe.resolver) else {
        return Ok(Answer::Unasked);
    };
    match next_hop::check(&probe.next_hops, interface, source, probe.resolver).await {
        Ok(()) => {}
        Err(Refused::NoWay(error)) => return Err(error),
        Err(error) => {
            tracing::debug!(pvd = %probe.key, resolver = %probe.resolver, %error, "not asked");
            return Ok(Answer::Unasked);
        }
    }
    let remote = SocketAddr::new(probe.resolver, DNS_PORT);
    let kind = (Type::DGRAM, Protocol::UDP);
    let Ok(socket) = link::socket(kind, Some(interface), Some(source), remote) else {
        // The address has gone, or is not usable yet.
        return Ok(Answer::Unasked);
    };
    let socket = UdpSocket::from_std(socket.into())?;
    socket.connect(remote).await?;
    let identifier = fastrand::u16(..).to_be_bytes();
    let question = [&identifier[..], &QUESTION, &FOR_THE_ROOT].concat();
    socket.send(&question).await?;
    let mut octets = [0; 512];
    loop {
        let length = socket.recv(&mut octets).await?;
        let answer = octets.get(..length.min(octets.len()));
        if let Some(answer) = answer.and_then(|it| read(it, identifier)) {
            return Ok(answer);
        }
    }
}

/// What an answer says; `None`: it is none to this question.
fn read(octets: &[u8], identifier: [u8; 2]) -> Option<Answer> {
    let header: &[u8; HEADER] = octets.first_chunk()?;
    let [first, second, flags, code, ..] = *header;
    let is_answer = [first, second] == identifier && flags & 0x80 != 0;
    is_answer.then_some(match code & 0xf {
        SERVFAIL => Answer::Lost,
        _ => Answer::Heard,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_answers_shows_that_packets_arrive_unless_he_has_no_answer() {
        let answer = |flags: u8, code: u8| {
            let mut octets = vec![7, 9, flags, code];
            octets.extend([0; 8]);
            octets
        };
        assert_eq!(read(&answer(0x81, 0x80), [7, 9]), Some(Answer::Heard));
        assert_eq!(
            read(&answer(0x81, 0x85), [7, 9]),
            Some(Answer::Heard),
            "REFUSED"
        );
        assert_eq!(read(&answer(0x81, 0x82), [7, 9]), Some(Answer::Lost));
        assert_eq!(
            read(&answer(0x81, 0x80), [7, 8]),
            None,
            "of another question"
        );
        assert_eq!(read(&answer(0x01, 0x00), [7, 9]), None, "a question");
        assert_eq!(read(&[7, 9, 0x81], [7, 9]), None);
    }
}
