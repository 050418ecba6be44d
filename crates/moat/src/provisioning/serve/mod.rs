//! `moat pvd serve`: the objects of PvDs over HTTPS (RFC 8801 §4.1, §4.2).
//!
//! ```text
//! listeners --> connections    so many at all and for each source; one more ends the oldest
//!   TLS         tls            the certificate of the PvD that the client names
//!   HTTP/1.1    answer         one request, decided by its headers, its source and the time
//!                 ^
//! every 2 s     hosted         files that changed are read again, also on SIGHUP; what is wrong changes nothing
//! every minute  counters       a line in the log, if there is anything new
//! ```
//!
//! A connection carries one request: a host asks once in hours. So its time is bounded as a whole.

mod accept;
mod answer;
mod connections;
mod counters;
mod document;
mod hosted;
#[cfg(test)]
mod tests;
mod tls;

use std::cell::RefCell;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use http_body_util::Full;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslContext};
use pvd::PvdId;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_openssl::SslStream;

use self::answer::{Asked, judge, response};
use self::connections::{Connections, Number};
use self::counters::Counters;
use self::hosted::{Fault, Hosted};
use crate::config::{self, ConfigError, PvdServerConfig, PvdServerLimits};
use crate::daemon::{self, SystemError, system};
use crate::descriptors;
use crate::shutdown::{self, Told};

/// Connections that wait to be taken, at each address.
const BACKLOG: i32 = 1024;
/// Longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 8192;
/// Most fields of a request.
const MAX_FIELDS: usize = 64;
/// How often files are looked at.
const LOOKING: Duration = Duration::from_secs(2);
/// How often counters are told.
const TELLING: Duration = Duration::from_secs(60);
/// How long nobody is let in when the system has no room.
const NO_ROOM: Duration = Duration::from_secs(1);

/// What stopped the server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Its file.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// A file of a PvD.
    #[error("{pvd}: {fault}")]
    Hosted {
        /// The PvD.
        pvd: PvdId,
        /// What is wrong with which file.
        fault: Fault,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] ErrorStack),
    /// It cannot listen.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused something else.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Runs the server until a signal ends it.
///
/// # Errors
/// [`Error`]
pub(crate) fn run(file: &Path) -> Result<(), Error> {
    let config = config::load_pvd_server(file)?;
    descriptors::allow_all().map_err(system("allow as many connections as it can"))?;
    let warnings = &config.warnings;
    daemon::run(warnings, serve(&config))
}

/// What connections share.
struct Hall {
    limits: PvdServerLimits,
    hosted: RefCell<Vec<Hosted>>,
    front: RefCell<SslContext>,
    connections: RefCell<Connections>,
    counters: RefCell<Counters>,
}

async fn serve(config: &PvdServerConfig) -> Result<(), Error> {
    let mut signals = shutdown::signals().map_err(system("listen for signals"))?;
    let mut hosted = Vec::new();
    for files in &config.pvds {
        let pvd = files.id.clone();
        let loaded = Hosted::load(files.clone()).map_err(|fault| Error::Hosted { pvd, fault });
        hosted.push(loaded?);
    }
    let hall = Rc::new(Hall {
        limits: config.limits,
        front: RefCell::new(front(&hosted)?),
        hosted: RefCell::new(hosted),
        connections: RefCell::new(Connections::new(config.limits)),
        counters: RefCell::default(),
    });
    for &address in &config.listen {
        let listener = listen(address).map_err(|source| Error::Listen { address, source })?;
        tracing::info!(address = ?listener.local_addr().ok(), "listening");
        tokio::task::spawn_local(admit(listener, Rc::clone(&hall)));
    }
    let mut looking = interval(LOOKING);
    looking.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut telling = interval(TELLING);
    let mut told = Counters::default();
    loop {
        tokio::select! {
            told = signals.told() => match told {
                Told::End => break,
                Told::Look => hall.look(),
            },
            _ = looking.tick() => hall.look(),
            _ = telling.tick() => hall.tell(&mut told),
        }
    }
    hall.tell(&mut told);
    Ok(())
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let kind = (Type::STREAM, Some(Protocol::TCP));
    let socket = Socket::new(Domain::for_address(address), kind.0, kind.1)?;
    if let IpAddr::V6(ip) = address.ip() {
        socket.set_only_v6(!ip.is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn front(hosted: &[Hosted]) -> Result<SslContext, ErrorStack> {
    let all = hosted.iter().map(|hosted| (hosted.id(), hosted.identity()));
    let first = hosted.first().ok_or_else(ErrorStack::get)?;
    tls::front(first.identity(), all)
}

async fn admit(listener: TcpListener, hall: Rc<Hall>) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => hall.take(stream, remote.ip()),
            Err(error) if is_of_one_peer(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection is accepted for a while");
                sleep(NO_ROOM).await;
            }
        }
    }
}

fn is_of_one_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, NetworkDown};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | NetworkDown
    )
}

/// Lets a connection go when it ends, in whatever way.
struct Place(Rc<Hall>, Number);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.borrow_mut().release(self.1);
    }
}

impl Hall {
    fn look(&self) {
        let now = SystemTime::now();
        let mut hosted = self.hosted.borrow_mut();
        let mut is_changed = false;
        for hosted in hosted.iter_mut() {
            is_changed |= hosted.look(now);
        }
        if !is_changed {
            return;
        }
        match front(&hosted) {
            Ok(front) => *self.front.borrow_mut() = front,
            Err(error) => tracing::warn!(%error, "the certificates before are shown on"),
        }
    }

    fn tell(&self, told: &mut Counters) {
        let counters = *self.counters.borrow();
        if counters != *told {
            *told = counters;
            let open = self.connections.borrow().len();
            tracing::info!(open, "since the start: {counters}");
        }
    }

    fn take(self: &Rc<Self>, stream: TcpStream, from: IpAddr) {
        let start = |number| {
            let place = Place(Rc::clone(self), number);
            let task = tokio::task::spawn_local(async move {
                place.0.converse(stream, from).await;
            });
            task.abort_handle()
        };
        let displaced = self.connections.borrow_mut().admit(from, start);
        let mut counters = self.counters.borrow_mut();
        counters.connections += 1;
        if let Some(oldest) = displaced {
            counters.displaced += 1;
            drop(counters);
            oldest.abort();
        }
    }

    async fn converse(&self, stream: TcpStream, from: IpAddr) {
        let begun = Instant::now();
        let Some((stream, pvd)) = self.secure(stream).await else {
            self.counters.borrow_mut().handshakes_failed += 1;
            return;
        };
        tracing::debug!(%from, %pvd, took = ?begun.elapsed(), "secured");
        let service =
            service_fn(async |request| Ok::<_, Infallible>(self.answer(&request, &pvd, from)));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .keep_alive(false)
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_FIELDS)
            .header_read_timeout(self.limits.request)
            .serve_connection(TokioIo::new(stream), service);
        let ended = timeout(self.limits.request, connection).await;
        if !matches!(ended, Ok(Ok(()))) {
            self.counters.borrow_mut().broken += 1;
        }
    }

    /// The connection once it is secured, and the PvD whose certificate it was shown.
    async fn secure(&self, stream: TcpStream) -> Option<(SslStream<TcpStream>, PvdId)> {
        let ssl = Ssl::new(&self.front.borrow()).ok()?;
        let mut stream = SslStream::new(ssl, stream).ok()?;
        let accepting = Pin::new(&mut stream).accept();
        timeout(self.limits.handshake, accepting).await.ok()?.ok()?;
        let pvd = match tls::named(stream.ssl()) {
            Some(pvd) => pvd,
            None => self.hosted.borrow().first()?.id().clone(),
        };
        Some((stream, pvd))
    }

    fn answer(
        &self,
        request: &Request<Incoming>,
        pvd: &PvdId,
        from: IpAddr,
    ) -> Response<Full<Bytes>> {
        let asked = Asked {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            has_body: !request.body().is_end_stream(),
            pvd,
            from,
        };
        let now = SystemTime::now();
        let hosted = self.hosted.borrow();
        let document = hosted.iter().find(|hosted| hosted.id() == pvd);
        let (verdict, response) = match document.map(Hosted::document) {
            Some(document) => {
                let verdict = judge(&asked, document, now);
                (verdict, response(verdict, document, now))
            }
            None => answer::misdirected(),
        };
        tracing::debug!(%from, %pvd, ?verdict, "asked");
        self.counters.borrow_mut().note(verdict);
        response
    }
}
