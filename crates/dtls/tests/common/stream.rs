//! A client and a server joined by a connection in memory, and ends made with OpenSSL directly.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::time::Instant;

use dtls::{ClientConfig, OpensslSession, Output, ResumptionState, ServerConfig, Session};
use openssl::ssl::{Ssl, SslContext, SslStream};

use super::pair::Seen;
use super::pki::SERVER_NAME;
use super::real_now;

/// Two ends of a connection that delivers chunks of whatever size is asked for.
pub struct StreamPair {
    pub now: Instant,
    pub client: OpensslSession,
    pub server: OpensslSession,
    pub client_saw: Seen,
    pub server_saw: Seen,
    pub to_server: VecDeque<u8>,
    pub to_client: VecDeque<u8>,
    /// How many octets were ever sent to the client.
    pub sent_to_client: usize,
}

impl StreamPair {
    pub fn with(
        server: &ServerConfig,
        client: &ClientConfig,
        state: Option<&ResumptionState>,
    ) -> Self {
        let now = real_now();
        Self {
            now,
            client: client.connect_stream(now, SERVER_NAME, state).unwrap(),
            server: server.accept_stream(now).unwrap(),
            client_saw: Seen::default(),
            server_saw: Seen::default(),
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            sent_to_client: 0,
        }
    }

    pub fn settle(&mut self) -> &mut Self {
        self.settle_in_chunks(|| usize::MAX)
    }

    /// Delivers what is under way, each time as many octets as `size` says.
    pub fn settle_in_chunks(&mut self, mut size: impl FnMut() -> usize) -> &mut Self {
        loop {
            self.drain();
            let to_server = take(&mut self.to_server, size());
            let to_client = take(&mut self.to_client, size());
            if to_server.is_empty() && to_client.is_empty() {
                return self;
            }
            if !to_server.is_empty() {
                self.server.handle_datagram(self.now, &to_server);
            }
            if !to_client.is_empty() {
                self.client.handle_datagram(self.now, &to_client);
            }
        }
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.client.poll_output() {
            self.to_server
                .extend(self.client_saw.note(output).into_iter().flatten());
        }
        while let Some(output) = self.server.poll_output() {
            let octets = self.server_saw.note(output).unwrap_or_default();
            self.sent_to_client += octets.len();
            self.to_client.extend(octets);
        }
    }

    pub fn established(&self) -> bool {
        self.client_saw.peer.is_some() && self.server_saw.peer.is_some()
    }
}

fn take(octets: &mut VecDeque<u8>, size: usize) -> Vec<u8> {
    let size = size.min(octets.len());
    octets.drain(..size).collect()
}

/// Under an end made with OpenSSL.
#[derive(Default)]
pub struct Pipe {
    pub inbound: VecDeque<u8>,
    pub outbound: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.inbound.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.inbound.read(buffer)
    }
}

impl Write for Pipe {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.outbound.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Joins `session` to an end made with OpenSSL; returns that end and what the session has put out.
pub fn join(
    session: &mut OpensslSession,
    context: &SslContext,
    prepare: impl FnOnce(&mut Ssl),
) -> (SslStream<Pipe>, Seen) {
    let mut ssl = Ssl::new(context).unwrap();
    prepare(&mut ssl);
    let mut stream = SslStream::new(ssl, Pipe::default()).unwrap();
    while let Some(output) = session.poll_output() {
        let Output::Transmit(octets) = output else {
            panic!("{output:?} before the handshake");
        };
        stream.get_mut().inbound.extend(octets);
    }
    let (now, mut seen) = (real_now(), Seen::default());
    for _ in 0..10 {
        let _ = stream.do_handshake();
        if stream.ssl().is_init_finished() {
            let _ = stream.ssl_read(&mut [0; 100]);
        }
        let octets = std::mem::take(&mut stream.get_mut().outbound);
        if !octets.is_empty() {
            session.handle_datagram(now, &octets);
        }
        while let Some(output) = session.poll_output() {
            let octets = seen.note(output).unwrap_or_default();
            stream.get_mut().inbound.extend(octets);
        }
    }
    (stream, seen)
}

impl Seen {
    /// All data in one.
    pub fn octets(&self) -> Vec<u8> {
        self.data.concat()
    }

    pub fn closed_without_session(&self) -> dtls::CloseReason {
        assert_eq!(self.peer, None);
        self.closed.clone().expect("the handshake came to an end")
    }
}

/// The outputs of a session, datagrams left out.
pub fn outputs(session: &mut OpensslSession) -> Vec<Output> {
    std::iter::from_fn(|| session.poll_output())
        .filter(|output| !matches!(output, Output::Transmit(_)))
        .collect()
}
