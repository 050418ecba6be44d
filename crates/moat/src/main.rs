//! moat
fn main() {}
