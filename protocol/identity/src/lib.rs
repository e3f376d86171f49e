//! User names, SCRAM and invite links.
