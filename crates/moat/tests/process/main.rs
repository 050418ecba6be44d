//! A real `moat server`, with real datagrams, a real nft and a real kernel: what other
//! implementations, crashes and bad input make of it. Each test has a network namespace of its own,
//! for which the test binary runs itself again under `unshare`.
//!
//! Where a program or a privilege is missing, a test prints `SKIPPED` and why.

mod advertise;
mod crash;
mod credentials;
mod discovery;
mod discovery_client;
mod gateway;
mod hostile;
mod libcoap;
mod loss;
mod names;
mod others;
mod pause;
mod provisioned_client;
mod pvd_dane;
mod pvd_exec;
mod pvd_fetch;
mod pvd_flood;
mod pvd_leases;
mod pvd_networks;
mod pvd_next_hop;
mod pvd_server;
mod pvd_signed;
mod pvd_tunnel;
mod pvd_watch;
mod random;
mod redirect;
mod routing;
mod scapy;
mod secrets;
mod support;
mod tls;
mod transports;
