//! An HTTPS server that says whatever a test wants it to, to whoever asks.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};

use super::Outcome;

/// The server, until it is dropped.
pub(crate) struct HostileWeb {
    address: IpAddr,
    asked: Arc<Mutex<Vec<(IpAddr, String)>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl HostileWeb {
    /// Answers every request with these bytes; with none, it keeps silent.
    pub(crate) fn start(
        address: &str,
        (certificate, private_key): (&Path, &Path),
        answer: &str,
    ) -> Outcome<Self> {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        acceptor.set_certificate_chain_file(certificate)?;
        acceptor.set_private_key_file(private_key, SslFiletype::PEM)?;
        let acceptor = acceptor.build();
        let address: IpAddr = address.parse()?;
        let listener = TcpListener::bind((address, 443))?;
        let answer = answer.to_owned();
        let mut server = Self {
            address,
            asked: Arc::default(),
            is_over: Arc::default(),
            thread: None,
        };
        let (asked, is_over) = (Arc::clone(&server.asked), Arc::clone(&server.is_over));
        server.thread = Some(thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let from = stream.peer_addr().map(|from| from.ip());
                if let (Ok(from), Ok(stream)) = (from, acceptor.accept(stream)) {
                    talk(stream, &answer, |head| {
                        if let Ok(mut asked) = asked.lock() {
                            asked.push((from, head));
                        }
                    });
                }
            }
        }));
        Ok(server)
    }

    /// What was asked, and from where.
    pub(crate) fn asked(&self) -> Vec<(IpAddr, String)> {
        self.asked
            .lock()
            .map(|asked| asked.clone())
            .unwrap_or_default()
    }
}

impl Drop for HostileWeb {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _wakes = TcpStream::connect((self.address, 443));
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

fn talk(mut stream: openssl::ssl::SslStream<TcpStream>, answer: &str, hear: impl FnOnce(String)) {
    let mut head = Vec::new();
    let mut octet = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut octet), Ok(1)) {
        head.extend(octet);
    }
    hear(String::from_utf8_lossy(&head).into_owned());
    if answer.is_empty() {
        // Until the other side has enough.
        let _ended = stream.read(&mut octet);
        return;
    }
    let _may_be_gone = stream.write_all(answer.as_bytes());
    let _may_be_gone = stream.shutdown();
}
