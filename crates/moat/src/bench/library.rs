//! The bare OpenSSL library, the same that is built into moat: what no server on top of it can be cheaper than.
//!
//! Its server end runs in memory, without cookies and without a socket, with the settings of ours as far as they cost: mutual
//! certificates, the same ciphers, session tickets instead of a cache. Only the calls into that end are timed, by the clock of the
//! thread. The client end is the generator's own.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use dtls::{ClientConfig, OpensslSession, Output, ResumptionState, Session};
use openssl::pkey::PKey;
use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslMethod, SslOptions, SslSessionCacheMode, SslStream,
    SslVerifyMode, SslVersion,
};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;

use super::clocks;
use super::cores::Cores;
use super::error::Error;
use super::memory::WARM_UP;
use super::site::{SERVER_NAME, Site};
use crate::terminal::say;

/// As `dtls` chooses.
const CIPHERS: &str = "ECDHE+AESGCM";
/// Octets of a datagram, as `dtls` assumes.
const DATAGRAM: u32 = 1232;
/// Flights of a handshake, generously.
const ROUNDS: usize = 16;

/// A server end, and the client to talk to it.
pub(super) struct Library {
    context: SslContext,
    client: ClientConfig,
}

/// An established session, both ends.
struct Established {
    server: SslStream<Datagrams>,
    client: OpensslSession,
    /// What the server's end took.
    spent: Duration,
}

impl Library {
    pub(super) fn new(site: &Site) -> Result<Self, Error> {
        let identity = site.server_identity()?;
        let anchor = X509::from_pem(&identity.trust_anchor)?;
        let mut context = SslContext::builder(SslMethod::dtls_server())?;
        context.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
        context.set_cipher_list(CIPHERS)?;
        context.set_options(SslOptions::NO_QUERY_MTU | SslOptions::CIPHER_SERVER_PREFERENCE);
        context.set_session_cache_mode(SslSessionCacheMode::OFF);
        context.set_session_id_context(b"moat bench")?;
        context.set_certificate(X509::from_pem(&identity.certificate)?.as_ref())?;
        let key = PKey::private_key_from_pem(&identity.private_key)?;
        context.set_private_key(&key)?;
        context.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        context.add_client_ca(&anchor)?;
        let mut store = X509StoreBuilder::new()?;
        store.add_cert(anchor)?;
        context.set_cert_store(store.build());
        Ok(Library {
            context: context.build(),
            client: site.client()?,
        })
    }

    /// What resumes a session with this server end.
    pub(super) fn resumption(&self) -> Result<ResumptionState, Error> {
        let resumption = self.handshake(None)?.client.resumption();
        resumption.ok_or_else(not_resumed)
    }

    /// What a handshake and its end cost the server's end, in microseconds.
    pub(super) fn microseconds(
        &self,
        resumption: Option<&ResumptionState>,
        duration: Duration,
    ) -> Result<f64, Error> {
        let begin = Instant::now();
        let (mut spent, mut count) = (Duration::ZERO, 0_u32);
        while begin.elapsed() < duration {
            let session = self.handshake(resumption)?;
            let before = clocks::of_this_thread();
            drop(session.server);
            spent += session.spent + clocks::of_this_thread().saturating_sub(before);
            count += 1;
        }
        Ok(spent.as_secs_f64() * 1e6 / f64::from(count.max(1)))
    }

    fn handshake(&self, resumption: Option<&ResumptionState>) -> Result<Established, Error> {
        let mut client = self
            .client
            .connect(Instant::now(), SERVER_NAME, resumption)?;
        let before = clocks::of_this_thread();
        let mut ssl = Ssl::new(&self.context)?;
        ssl.set_mtu(DATAGRAM)?;
        ssl.set_accept_state();
        let mut server = SslStream::new(ssl, Datagrams::default())?;
        let mut spent = clocks::of_this_thread().saturating_sub(before);
        let mut established = false;
        for _ in 0..ROUNDS {
            while let Some(output) = client.poll_output() {
                match output {
                    Output::Transmit(datagram) => server.get_mut().inbound.push_back(datagram),
                    Output::Established(peer) if peer.resumed != resumption.is_some() => {
                        return Err(not_resumed());
                    }
                    Output::Established(_) => established = true,
                    Output::Data(_) => {}
                    Output::Closed(_) => return Err(Error::Endless),
                }
            }
            let before = clocks::of_this_thread();
            let result = server.do_handshake();
            spent += clocks::of_this_thread().saturating_sub(before);
            let done = match result {
                Ok(()) => true,
                Err(error) if error.code() == ErrorCode::WANT_READ => false,
                Err(error) => return Err(error.into()),
            };
            if done && established {
                return Ok(Established {
                    server,
                    client,
                    spent,
                });
            }
            while let Some(datagram) = server.get_mut().outbound.pop_front() {
                client.handle_datagram(Instant::now(), &datagram);
            }
        }
        Err(Error::Endless)
    }
}

fn not_resumed() -> Error {
    let who = "the bare OpenSSL library".to_owned();
    Error::NotResumed { who }
}

/// Prints, as JSON, how many bytes a session takes where there are this many of them. For a process of its own, whose memory holds
/// nothing else.
pub(super) fn print_memory(folder: &Path, counts: &[u32]) -> Result<(), Error> {
    let site = Site::existing(folder.to_owned(), Cores::choose()?);
    let library = Library::new(&site)?;
    let mut kept = Vec::new();
    let mut grow_to = |count: u32| {
        while kept.len() < usize::try_from(count).unwrap_or(usize::MAX) {
            kept.push(library.handshake(None)?.server);
        }
        clocks::resident_bytes(None)
    };
    let empty = grow_to(WARM_UP)?;
    let mut sizes = Vec::new();
    for count in counts {
        let size = grow_to(count + WARM_UP)?;
        sizes.push(size.saturating_sub(empty) / u64::from(*count));
    }
    say!("{}", serde_json::json!(sizes));
    Ok(())
}

/// What goes to the server's end and what comes from it.
#[derive(Debug, Default)]
struct Datagrams {
    inbound: VecDeque<Vec<u8>>,
    outbound: VecDeque<Vec<u8>>,
}

impl Read for Datagrams {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let datagram = self.inbound.pop_front();
        let datagram = datagram.ok_or(io::ErrorKind::WouldBlock)?;
        datagram.as_slice().read(buffer)
    }
}

impl Write for Datagrams {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.outbound.push_back(datagram.to_vec());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
