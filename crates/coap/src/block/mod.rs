//! Block-wise transfer, out of the application's sight (RFC 7959): it sends and gets whole bodies.
//!
//! ```text
//! link <-> requests and responses, as large as a message <-> server, client <-> application
//! ```

mod client;
mod option;
mod receiving;
mod representation;
mod resource;
mod sending;
mod server;
mod upload;

pub(crate) use client::BlockClient;
pub(crate) use server::BlockServer;
