//! Redirection to another server (RFC 9132 §4.6).
//!
//! ```text
//! any request  ->  <- 5.03  RedirectedSignal, Max-Age: how long to stay there
//! ```

use std::net::IpAddr;

use serde::{Serialize, Serializer};

use crate::cbor::{Entry, MapWriter, read_message};
use crate::error::DecodeError;
use crate::json;
use crate::key::Key;
use crate::limits;
use crate::target::DomainName;

/// The body of a 5.03 response or notification that sends a client elsewhere. Not every 5.03 has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectedSignal {
    /// The server to go to, as its certificate names it.
    pub alt_server: DomainName,
    /// Its addresses, for want of which the name is resolved; at most [`limits::LIST_ENTRIES`].
    pub alt_server_records: Vec<IpAddr>,
}

impl Serialize for RedirectedSignal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        struct Contents<'a> {
            alt_server: &'a DomainName,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            alt_server_record: &'a [IpAddr],
        }

        let contents = Contents {
            alt_server: &self.alt_server,
            alt_server_record: &self.alt_server_records,
        };
        json::message(contents, serializer)
    }
}

impl RedirectedSignal {
    /// The CBOR body.
    pub fn encode(&self) -> Vec<u8> {
        let mut redirected = MapWriter::new();
        redirected.text(Key::ALT_SERVER, self.alt_server.as_str());
        redirected.texts(Key::ALT_SERVER_RECORD, &self.alt_server_records);
        let mut message = MapWriter::new();
        message.map(Key::REDIRECTED_SIGNAL, redirected);
        message.finish()
    }

    /// Reads a CBOR body.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        read_message(bytes, Key::REDIRECTED_SIGNAL, |reader| {
            let (mut alt_server, mut alt_server_records) = (None, Vec::new());
            reader.map(|reader, key| {
                match key {
                    Key::ALT_SERVER => alt_server = Some(reader.text()?),
                    Key::ALT_SERVER_RECORD => {
                        alt_server_records =
                            reader.list(limits::LIST_ENTRIES, |reader| reader.text())?;
                    }
                    _ => return Ok(Entry::Unknown),
                }
                Ok(Entry::Taken)
            })?;
            Ok(Self {
                alt_server: alt_server.ok_or_else(|| reader.missing(Key::ALT_SERVER))?,
                alt_server_records,
            })
        })
    }
}
