//! What carries a session: UDP and TCP in the schema of a PvD, datagrams and streams to the security
//! layer. Neither of the two crates knows the other.

use dtls::Transport;

/// What the security layer calls it.
pub fn secured(described: pvd::Transport) -> Transport {
    match described {
        pvd::Transport::Udp => Transport::Datagram,
        pvd::Transport::Tcp => Transport::Stream,
    }
}

/// What the schema of a PvD calls it.
pub fn described(secured: Transport) -> pvd::Transport {
    match secured {
        Transport::Datagram => pvd::Transport::Udp,
        Transport::Stream => pvd::Transport::Tcp,
    }
}
