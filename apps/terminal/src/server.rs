//! The server that somebody names: by an invite link, used or not, or by its address.
//!
//! An address is `HOST`, `HOST:PORT`, `https://HOST:PORT`, or `http://` to this machine; a pinned
//! certificate may follow as `#sha256=HEX`, as in an invite link without its token. Reading links
//! themselves is `tidings_protocol_identity`'s.

use tidings_protocol_identity::invite::DEFAULT_PORT;
use tidings_protocol_identity::{InviteLink, InviteLinkError, ServerAddress, Transport};

/// Why a text names no server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ServerError {
    /// It has `invite=` in it, so it is a link, and the link is broken.
    #[error("{0}")]
    Link(#[from] InviteLinkError),
    /// It is no address.
    #[error(
        "`{0}` is no server: give an invite link in quotes, or HOST:PORT such as chat.example.org:8443"
    )]
    Address(String),
    /// The pin is not one.
    #[error("the part behind # has to be sha256= and 64 hexadecimal digits: copy it again")]
    Pin,
}

/// Reads a link or an address.
pub(crate) fn parse(text: &str) -> Result<ServerAddress, ServerError> {
    let text = text.trim();
    if text.contains("invite=") {
        return Ok(text.parse::<InviteLink>()?.server);
    }
    let no_address = || ServerError::Address(text.to_owned());
    let (place, fragment) = match text.split_once('#') {
        Some((place, fragment)) => (place, Some(fragment)),
        None => (text, None),
    };
    let (scheme, authority) = place.split_once("://").unwrap_or(("https", place));
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let transport = match (scheme, fragment) {
        ("https", None) => Transport::Tls { certificate_sha256: None },
        ("https", Some(fragment)) => Transport::Tls { certificate_sha256: Some(pin(fragment)?) },
        ("http", None) => Transport::Plain,
        _ => return Err(no_address()),
    };
    let (host, port) = host_and_port(authority).ok_or_else(no_address)?;
    ServerAddress::new(host, port, transport).map_err(|error| match error {
        InviteLinkError::PlainHost => ServerError::Link(error),
        _ => no_address(),
    })
}

fn host_and_port(authority: &str) -> Option<(&str, u16)> {
    match authority.rsplit_once(':') {
        // The colon belongs to an IPv6 address without a port.
        Some((_, rest)) if rest.contains(']') => Some((authority, DEFAULT_PORT)),
        // Without brackets nobody can tell an IPv6 address from its port.
        Some((host, _)) if host.contains(':') && !host.starts_with('[') => None,
        Some((host, port)) => port.parse().ok().map(|port| (host, port)),
        None => Some((authority, DEFAULT_PORT)),
    }
}

fn pin(fragment: &str) -> Result<[u8; 32], ServerError> {
    let digits = fragment.strip_prefix("sha256=").ok_or(ServerError::Pin)?;
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(ServerError::Pin);
    }
    let mut pin = [0; 32];
    for (byte, at) in pin.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| ServerError::Pin)?;
    }
    Ok(pin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, host: &str, port: u16, transport: Transport) {
        let expected = ServerAddress::new(host, port, transport).unwrap();
        assert_eq!(parse(text), Ok(expected), "{text}");
    }

    const PUBLIC: Transport = Transport::Tls { certificate_sha256: None };

    #[test]
    fn addresses_are_read_with_and_without_scheme_and_port() {
        check("chat.example.org", "chat.example.org", 8443, PUBLIC);
        check("chat.example.org:443", "chat.example.org", 443, PUBLIC);
        check("https://chat.example.org:9/", "chat.example.org", 9, PUBLIC);
        check("http://127.0.0.1:8080", "127.0.0.1", 8080, Transport::Plain);
        check("[2001:db8::1]:443", "2001:db8::1", 443, PUBLIC);
        check("[2001:db8::1]", "2001:db8::1", 8443, PUBLIC);
    }

    #[test]
    fn pin_behind_an_address_is_kept() {
        let text = format!("chat.example.org#sha256={}", "0a".repeat(32));
        let transport = Transport::Tls { certificate_sha256: Some([10; 32]) };
        check(&text, "chat.example.org", 8443, transport);
        for broken in ["sha256=0a", "sha1=00", ""] {
            assert_eq!(parse(&format!("chat.example.org#{broken}")), Err(ServerError::Pin));
        }
    }

    #[test]
    fn link_that_is_broken_says_what_is_wrong_with_it() {
        let error = parse("https://chat.example.org/#invite=short").unwrap_err();
        assert_eq!(error, ServerError::Link(InviteLinkError::Token));
    }

    #[test]
    fn connection_in_the_clear_is_for_this_machine_only() {
        let error = parse("http://chat.example.org").unwrap_err();
        assert_eq!(error, ServerError::Link(InviteLinkError::PlainHost));
    }

    #[test]
    fn other_text_is_no_server() {
        for text in ["", "two words", "ftp://chat.example.org", "host:port", "2001:db8::1", "a:0"] {
            assert!(matches!(parse(text), Err(ServerError::Address(_))), "{text}");
        }
    }
}
