//! The heartbeat, which each agent sends to its immediate peer (RFC 9132 §4.7).
//!
//! ```text
//! PUT /.well-known/dots/hb  {heartbeat: {peer-hb-status}}  ->  <- 2.04, no body
//! ```

use serde::{Serialize, Serializer};

use crate::cbor::{Entry, MapWriter, read_message};
use crate::error::DecodeError;
use crate::json;
use crate::key::Key;

/// The body of a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Whether the sender has received heartbeats of its peer within twice the heartbeat interval.
    pub peer_hb_status: bool,
}

impl Serialize for Heartbeat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        struct Contents {
            peer_hb_status: bool,
        }

        let contents = Contents {
            peer_hb_status: self.peer_hb_status,
        };
        json::message(contents, serializer)
    }
}

impl Heartbeat {
    /// The CBOR body.
    pub fn encode(&self) -> Vec<u8> {
        let mut heartbeat = MapWriter::new();
        heartbeat.boolean(Key::PEER_HB_STATUS, self.peer_hb_status);
        let mut message = MapWriter::new();
        message.map(Key::HEARTBEAT, heartbeat);
        message.finish()
    }

    /// Reads a CBOR body.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        read_message(bytes, Key::HEARTBEAT, |reader| {
            let mut peer_hb_status = None;
            reader.map(|reader, key| {
                if key != Key::PEER_HB_STATUS {
                    return Ok(Entry::Unknown);
                }
                peer_hb_status = Some(reader.boolean()?);
                Ok(Entry::Taken)
            })?;
            let peer_hb_status =
                peer_hb_status.ok_or_else(|| reader.missing(Key::PEER_HB_STATUS))?;
            Ok(Self { peer_hb_status })
        })
    }
}
