//! Replays a day of a real chat through the real system.

fn main() {}
