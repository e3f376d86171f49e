//! The real terminal program against the real server, as scripts and people use them.
//!
//! Each test has a server of its own on a free port of this machine, with a folder that is gone
//! afterwards. Nothing is timed: what has to happen is waited for with `--timeout` or with an end of
//! input, and a test that waits in vain fails by that program's own exit code.

mod accounts;
mod chat;
mod conversations;
mod devices;
mod later_server;
mod messages;
mod naughty;
mod outages;
mod sealed;
mod support;
