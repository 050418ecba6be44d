//! The datagram queue under OpenSSL: each read takes one datagram, each write makes one.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

/// How many datagrams one call into OpenSSL may produce; the rest is dropped and counted.
const MAX_OUTBOUND: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Wire {
    inbound: Option<Vec<u8>>,
    outbound: VecDeque<Vec<u8>>,
    dropped: u64,
}

impl Wire {
    /// Replaces a datagram that was not read.
    pub(crate) fn deliver(&mut self, datagram: &[u8]) {
        self.inbound = Some(datagram.to_vec());
    }

    pub(crate) fn pop_outbound(&mut self) -> Option<Vec<u8>> {
        self.outbound.pop_front()
    }

    /// Datagrams dropped because the queue was full, since the last call.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(datagram) = self.inbound.take() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        // What does not fit is lost, as on a socket.
        let fits = datagram.len().min(buffer.len());
        let (Some(to), Some(from)) = (buffer.get_mut(..fits), datagram.get(..fits)) else {
            return Ok(0);
        };
        to.copy_from_slice(from);
        Ok(fits)
    }
}

impl Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        if self.outbound.len() < MAX_OUTBOUND {
            self.outbound.push_back(datagram.to_vec());
        } else {
            self.dropped += 1;
        }
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
