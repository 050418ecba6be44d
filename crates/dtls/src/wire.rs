//! The queues under OpenSSL: of datagrams, where each read takes one and each write makes one, or of the octets of a
//! stream.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use crate::Transport;

/// How many datagrams one call into OpenSSL may produce; the rest is dropped and counted.
const MAX_OUTBOUND: usize = 64;

#[derive(Debug)]
pub(crate) struct Wire {
    transport: Transport,
    /// A datagram, or what is left of a stream from `read` on.
    inbound: Vec<u8>,
    read: usize,
    outbound: VecDeque<Vec<u8>>,
    dropped: u64,
}

impl Wire {
    pub(crate) fn new(transport: Transport) -> Self {
        Self {
            transport,
            inbound: Vec::new(),
            read: 0,
            outbound: VecDeque::new(),
            dropped: 0,
        }
    }

    /// Replaces a datagram that was not read, or continues the stream.
    pub(crate) fn deliver(&mut self, octets: &[u8]) {
        if self.transport == Transport::Datagram {
            self.forget_inbound();
        }
        self.inbound.extend_from_slice(octets);
    }

    /// The next datagram, or a chunk of the stream.
    pub(crate) fn pop_outbound(&mut self) -> Option<Vec<u8>> {
        let next = self.outbound.pop_front();
        if next.is_none() {
            self.outbound = VecDeque::new();
        }
        next
    }

    /// Datagrams dropped because the queue was full, since the last call.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Gives the memory back as well: most sessions are idle most of the time.
    fn forget_inbound(&mut self) {
        self.inbound = Vec::new();
        self.read = 0;
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let unread = self.inbound.get(self.read..).unwrap_or_default();
        // To OpenSSL, reading nothing is the end of the stream.
        if unread.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let fits = unread.len().min(buffer.len());
        let (Some(to), Some(from)) = (buffer.get_mut(..fits), unread.get(..fits)) else {
            return Ok(0);
        };
        to.copy_from_slice(from);
        self.read += fits;
        // What does not fit of a datagram is lost, as on a socket.
        if self.transport == Transport::Datagram || self.read == self.inbound.len() {
            self.forget_inbound();
        }
        Ok(fits)
    }
}

impl Write for Wire {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let joined = self
            .outbound
            .back_mut()
            .filter(|_| self.transport == Transport::Stream);
        if let Some(chunk) = joined {
            chunk.extend_from_slice(octets);
        } else if self.outbound.len() < MAX_OUTBOUND {
            self.outbound.push_back(octets.to_vec());
        } else {
            self.dropped += 1;
        }
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
