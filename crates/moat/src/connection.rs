//! A TCP connection that carries one session: chunks in and out, on two tasks of its own.
//!
//! ```text
//! session --chunk--> Connection::send --> writer task --> peer
//! session <--Incoming-- reader task <-- peer     (stops while the session is busy)
//! ```

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The most octets that wait for the peer to take them.
const MAX_WAITING: usize = 256 * 1024;
/// How long a peer may take nothing before the connection is given up.
const STALLED: Duration = Duration::from_secs(30);
/// The most octets read at once: one TLS record.
const CHUNK: usize = 16 * 1024;

/// What a connection gives.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// Octets; none when the peer has ended the connection.
    Chunk(Vec<u8>),
    /// The connection could not be opened, or has broken.
    Failed(io::Error),
}

/// The peer takes nothing, and too much waits for it already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer does not take what is sent: {MAX_WAITING} octets wait for it")]
pub(crate) struct Stalled;

/// One connection. What was sent before it is dropped still goes out; nothing comes in any more.
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
                    tokio::task::spawn_local(write(writer, chunks, still_waiting));
                    read(reader, &incoming, &into).await
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
    loop {
        let mut chunk = match reader.readable().await {
            Ok(()) => Vec::with_capacity(CHUNK),
            Err(error) => return error,
        };
        let ended = match reader.read_buf(&mut chunk).await {
            Ok(length) => length == 0,
            Err(error) => return error,
        };
        let told = incoming.send(into(Incoming::Chunk(chunk))).await;
        if ended || told.is_err() {
            return io::ErrorKind::ConnectionAborted.into();
        }
    }
}

async fn write(
    mut writer: OwnedWriteHalf,
    mut chunks: mpsc::UnboundedReceiver<Vec<u8>>,
    waiting: Rc<Cell<usize>>,
) {
    while let Some(chunk) = chunks.recv().await {
        // Of a broken connection the reader hears as well.
        let Ok(Ok(())) = tokio::time::timeout(STALLED, writer.write_all(&chunk)).await else {
            return;
        };
        waiting.set(waiting.get().saturating_sub(chunk.len()));
    }
}
