//! Makes the Rust code of the protobuf schemas.

fn main() {}
