//! A connection seen from outside: frames by hand go in, events and bytes come out, in a time that
//! the tests set.

mod frames;
mod life;
mod peer;
mod properties;
