//! moat
mod config;
mod pki;
fn main() {}
