//! From the name of a server to an open TCP connection, after RFC 8305: the addresses of both
//! families in turn, each with a short head start, and the first that answers wins.
//!
//! Deliberately not here: asking for both families apart (§3), since the system's resolver answers
//! them together, and remembering which family won.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::ConnectError;
use crate::limits::{ADDRESSES_MAX, DIAL_TIMEOUT, NEXT_ADDRESS_AFTER};

/// Which of a name's addresses may be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All.
    Anywhere,
    /// Those of this machine.
    Loopback,
}

/// Opens a TCP connection.
pub(crate) async fn dial(host: &str, port: u16, reach: Reach) -> Result<TcpStream, ConnectError> {
    let address =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let attempt = async {
        let addresses = look_up(host, port, reach).await?;
        race(addresses).await.map_err(|error| told_apart(&error, &address))
    };
    let stream = timeout(DIAL_TIMEOUT, attempt)
        .await
        .map_err(|_| ConnectError::TimedOut { address: address.clone() })??;
    // Frames are written whole, so nothing is gained by waiting for more of them.
    stream.set_nodelay(true).map_err(|error| told_apart(&error, &address))?;
    Ok(stream)
}

async fn look_up(
    host: &str,
    port: u16,
    reach: Reach,
) -> Result<VecDeque<SocketAddr>, ConnectError> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| look_up_failed(&error, host))?
        .collect();
    if found.is_empty() {
        return Err(ConnectError::NameNotFound { host: host.to_owned() });
    }
    let allowed: Vec<SocketAddr> = match reach {
        Reach::Anywhere => found,
        Reach::Loopback => found.into_iter().filter(|address| address.ip().is_loopback()).collect(),
    };
    if allowed.is_empty() {
        return Err(ConnectError::PlainOverNetwork { host: host.to_owned() });
    }
    Ok(in_turn(allowed))
}

/// The families in turn, beginning with that of the resolver's first (RFC 8305 §4).
fn in_turn(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut turns = VecDeque::new();
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    loop {
        let pair = [preferred.next(), other.next()];
        if pair == [None, None] {
            break;
        }
        turns.extend(pair.into_iter().flatten());
    }
    turns.truncate(ADDRESSES_MAX);
    turns
}

/// Dials the addresses, each [`NEXT_ADDRESS_AFTER`] behind the one before or at once when that one
/// failed. Of several failures the last is reported.
async fn race(mut addresses: VecDeque<SocketAddr>) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    loop {
        if let Some(address) = addresses.pop_front() {
            attempts.spawn(TcpStream::connect(address));
        } else if attempts.is_empty() {
            return Err(failure);
        }
        tokio::select! {
            Some(outcome) = attempts.join_next() => match outcome.map_err(io::Error::other)? {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            },
            () = sleep(NEXT_ADDRESS_AFTER), if !addresses.is_empty() => {}
        }
    }
}

fn look_up_failed(error: &io::Error, host: &str) -> ConnectError {
    // The resolver's code is not handed out by the standard library, only its words. EAI_AGAIN, "no
    // name server could be asked", is what a machine without network answers.
    if error.to_string().contains("Temporary failure") {
        return ConnectError::NoNetwork;
    }
    ConnectError::NameNotFound { host: host.to_owned() }
}

pub(crate) fn told_apart(error: &io::Error, address: &str) -> ConnectError {
    let address = address.to_owned();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectError::Refused { address },
        io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable => {
            ConnectError::TimedOut { address }
        }
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => ConnectError::NoNetwork,
        _ => ConnectError::Broken { address, detail: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn check_turns(given: &[&str], expected: &[&str]) {
        let parse = |text: &&str| text.parse::<SocketAddr>().unwrap();
        let turns = in_turn(given.iter().map(parse).collect());
        assert_eq!(turns, expected.iter().map(parse).collect::<Vec<_>>());
    }

    #[test]
    fn families_take_turns_from_the_resolvers_first_on() {
        check_turns(
            &["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1"],
            &["[::1]:1", "10.0.0.1:1", "[::2]:1", "[::3]:1"],
        );
        check_turns(&["10.0.0.1:1", "[::1]:1"], &["10.0.0.1:1", "[::1]:1"]);
    }

    #[tokio::test]
    async fn next_address_is_tried_when_one_refuses() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let stream = race([closed, open].into()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
    }

    #[tokio::test]
    async fn closed_port_is_told_as_refused() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = dial("127.0.0.1", closed.port(), Reach::Anywhere).await.unwrap_err();
        assert_eq!(error, ConnectError::Refused { address: closed.to_string() });
    }

    #[tokio::test]
    async fn address_of_a_network_is_not_dialled_in_the_clear() {
        let error = dial("192.0.2.1", 80, Reach::Loopback).await.unwrap_err();
        assert_eq!(error, ConnectError::PlainOverNetwork { host: "192.0.2.1".to_owned() });
    }
}
