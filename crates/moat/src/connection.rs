//! A TCP connection that carries one session: chunks in and out, on two tasks of its own.
//!
//! ```text
//! session --chunk--> Connection::send --> writer task --> peer
//! session <--Incoming-- reader task <-- peer     (stops while the session is busy)
//! ```

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The most octets that wait for the peer to take them.
const MAX_WAITING: usize = 256 * 1024;
/// How long a peer may take nothing before the connection is given up; also how long what was sent
/// before the end of a session may take altogether.
const STALLED: Duration = Duration::from_secs(10);
/// The most octets read at once: one TLS record.
const CHUNK: usize = 16 * 1024;

/// What a connection gives.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// Octets; none when the peer has ended the connection. The next are read when [`Turn`] is over,
    /// so that connections take turns and none fills the queue.
    Chunk(Vec<u8>, Turn),
    /// The connection could not be opened, or has broken.
    Failed(io::Error),
}

/// A chunk is under way; dropped when that has been taken.
#[derive(Debug)]
pub(crate) struct Turn(
    #[expect(dead_code, reason = "it is held, not looked at")] OwnedSemaphorePermit,
);

/// The peer takes nothing, and too much waits for it already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer does not take what is sent: {MAX_WAITING} octets wait for it")]
pub(crate) struct Stalled;

/// One connection. What was sent before it is dropped still goes out; nothing comes in any more. It holds the
/// sender of what comes in until all has gone out.
#[derive(Debug)]
pub(crate) struct Connection {
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    waiting: Rc<Cell<usize>>,
    reader: JoinHandle<()>,
}

impl Connection {
    /// Carries a connection that is up, or one that `opening` brings up; what is sent before that
    /// waits. `incoming` gets what it gives, each made into one `T`.
    pub(crate) fn spawn<T: 'static>(
        opening: impl Future<Output = io::Result<TcpStream>> + 'static,
        incoming: mpsc::Sender<T>,
        into: impl Fn(Incoming) -> T + 'static,
    ) -> Self {
        let (outgoing, chunks) = mpsc::unbounded_channel();
        let waiting = Rc::new(Cell::new(0));
        let still_waiting = Rc::clone(&waiting);
        let reader = tokio::task::spawn_local(async move {
            let failed = match opening.await {
                Ok(stream) => {
                    let (reader, writer) = stream.into_split();
                    let (writing, written) = oneshot::channel();
                    let held = (writing, incoming.clone());
                    let writer = write(writer, chunks, still_waiting, held);
                    tokio::task::spawn_local(writer);
                    tokio::select! {
                        error = read(reader, &incoming, &into) => error,
                        // It has given up: what the peer was told has a gap.
                        _ = written => io::ErrorKind::TimedOut.into(),
                    }
                }
                Err(error) => error,
            };
            // Whoever has closed the connection does not listen any more.
            let _closed = incoming.send(into(Incoming::Failed(failed))).await;
        });
        Self {
            outgoing,
            waiting,
            reader,
        }
    }

    /// Sends a chunk after all others.
    ///
    /// # Errors
    /// [`Stalled`]: the chunk is lost, and with it the session.
    pub(crate) fn send(&self, chunk: Vec<u8>) -> Result<(), Stalled> {
        let waiting = self.waiting.get().saturating_add(chunk.len());
        if waiting > MAX_WAITING {
            return Err(Stalled);
        }
        self.waiting.set(waiting);
        // A connection that has broken says so by what it gives.
        let _broken = self.outgoing.send(chunk);
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read<T>(
    mut reader: OwnedReadHalf,
    incoming: &mpsc::Sender<T>,
    into: &impl Fn(Incoming) -> T,
) -> io::Error {
    let turns = Arc::new(Semaphore::new(1));
    loop {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else {
            return io::ErrorKind::ConnectionAborted.into();
        };
        let mut chunk = match reader.readable().await {
            Ok(()) => Vec::with_capacity(CHUNK),
            Err(error) => return error,
        };
        let ended = match reader.read_buf(&mut chunk).await {
            Ok(length) => length == 0,
            Err(error) => return error,
        };
        let told = incoming
            .send(into(Incoming::Chunk(chunk, Turn(turn))))
            .await;
        if ended || told.is_err() {
            return io::ErrorKind::ConnectionAborted.into();
        }
    }
}

async fn write<T>(
    mut writer: OwnedWriteHalf,
    mut chunks: mpsc::UnboundedReceiver<Vec<u8>>,
    waiting: Rc<Cell<usize>>,
    _held: (oneshot::Sender<()>, mpsc::Sender<T>),
) {
    let mut linger = STALLED;
    while let Some(chunk) = chunks.recv().await {
        let patience = if chunks.is_closed() { linger } else { STALLED };
        let began = Instant::now();
        match tokio::time::timeout(patience, writer.write_all(&chunk)).await {
            Ok(Ok(())) => {}
            // The peer has closed it. What it said before is still to be read, and what is read says that it is broken.
            Ok(Err(_)) => {
                while chunks.recv().await.is_some() {}
                return;
            }
            Err(_) => return,
        }
        if chunks.is_closed() {
            linger = linger.saturating_sub(began.elapsed());
        }
        waiting.set(waiting.get().saturating_sub(chunk.len()));
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio::task::LocalSet;

    use super::*;

    async fn connected() -> (TcpStream, Connection, mpsc::Receiver<Incoming>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let peer = TcpStream::connect(address).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (chunks, incoming) = mpsc::channel(8);
        let connection = Connection::spawn(async { Ok(stream) }, chunks, |it| it);
        (peer, connection, incoming)
    }

    /// Covers: S-067. A peer that takes leave and closes resets the connection if it was sent something more: its farewell
    /// is read before that is told.
    #[test]
    fn what_a_peer_said_before_it_closed_is_read_although_it_takes_no_more() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        LocalSet::new().block_on(&runtime, async {
            let (mut peer, connection, mut incoming) = connected().await;
            peer.write_all(b"one").await.unwrap();
            let Some(Incoming::Chunk(_, turn)) = incoming.recv().await else {
                panic!("nothing was read");
            };
            connection.send(b"never read".to_vec()).unwrap();
            peer.readable().await.unwrap();
            peer.write_all(b"farewell").await.unwrap();
            drop(peer);
            for _ in 0..2 {
                connection.send(b"more".to_vec()).unwrap();
                let early = tokio::time::timeout(Duration::from_millis(50), incoming.recv());
                assert!(early.await.is_err(), "it says nothing before it is read");
            }
            drop(turn);
            let Some(Incoming::Chunk(octets, turn)) = incoming.recv().await else {
                panic!("the farewell is lost");
            };
            assert_eq!(octets, b"farewell");
            drop(turn);
            let end = incoming.recv().await;
            let ended = match &end {
                Some(Incoming::Chunk(octets, _)) => octets.is_empty(),
                end => matches!(end, Some(Incoming::Failed(_))),
            };
            assert!(ended, "{end:?}");
        });
    }

    /// Covers: X-013. A peer that sends a lot fills no queue: the next of it is read when what was
    /// read before has been taken.
    #[test]
    fn a_connection_waits_for_its_turn() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        LocalSet::new().block_on(&runtime, async {
            let (mut peer, _connection, mut incoming) = connected().await;
            peer.write_all(b"one").await.unwrap();
            let Some(Incoming::Chunk(first, turn)) = incoming.recv().await else {
                panic!("nothing was read");
            };
            assert_eq!(first, b"one");
            peer.write_all(b"two").await.unwrap();
            let early = tokio::time::timeout(Duration::from_millis(100), incoming.recv());
            assert!(early.await.is_err());
            drop(turn);
            let second = incoming.recv().await;
            assert!(matches!(second, Some(Incoming::Chunk(octets, _)) if octets == b"two"));
        });
    }
}
