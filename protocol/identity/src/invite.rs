//! Invite links: `https://HOST:8443/#invite=TOKEN&sha256=HEX`.
//!
//! What follows the `#` never leaves a browser, so that no access log holds it. `sha256` is the
//! SHA-256 of the server's certificate (its DER form), present where the certificate is self-signed:
//! our apps then trust that certificate and no other. Plain `http` is read for loopback hosts alone.
//! The reading is strict: a link that was cut or altered on its way says what is wrong with it.
//! Deliberately not here: whether an invite is still good, and host names outside ASCII (a link
//! carries their `xn--` form, RFC 5890 §2.3.2.1).

use core::net::{Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::fmt::Write;
use std::str::FromStr;

use thiserror::Error;

use crate::InviteToken;
use crate::limits::{HOST_BYTES_MAX, INVITE_LINK_BYTES_MAX};

/// The port of a link that names none.
pub const DEFAULT_PORT: u16 = 8443;

/// How an app reaches a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    host: String,
    port: u16,
    transport: Transport,
}

/// What protects the connection to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TLS, with a certificate that the system's authorities vouch for, or with this one.
    Tls {
        /// SHA-256 of the only certificate to trust, in its DER form.
        certificate_sha256: Option<[u8; 32]>,
    },
    /// Nothing: the server is on this machine.
    Plain,
}

impl ServerAddress {
    /// Puts an address together. `host` is a name or an address of either family, IPv6 with or
    /// without its brackets.
    ///
    /// # Errors
    ///
    /// [`InviteLinkError`] when the host cannot be one, or is not this machine and
    /// `transport` is [`Transport::Plain`].
    pub fn new(host: &str, port: u16, transport: Transport) -> Result<Self, InviteLinkError> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let host = match bare.parse::<Ipv6Addr>() {
            Ok(address) => address.to_string(),
            Err(_) if is_host_name(host) => host.to_ascii_lowercase(),
            Err(_) => return Err(InviteLinkError::Host),
        };
        if port == 0 {
            return Err(InviteLinkError::Port);
        }
        let address = Self { host, port, transport };
        if transport == Transport::Plain && !address.is_loopback() {
            return Err(InviteLinkError::PlainHost);
        }
        Ok(address)
    }

    /// The host: a name in lower case, or an address (IPv6 without brackets).
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What protects the connection.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// `HOST:PORT`, with brackets around an IPv6 address, as in a URL and in HTTP's `Host`.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// What stands before the token in an invite link of this server.
    pub fn invite_prefix(&self) -> String {
        let scheme = match self.transport {
            Transport::Tls { .. } => "https",
            Transport::Plain => "http",
        };
        format!("{scheme}://{}/#invite=", self.authority())
    }

    /// What stands after it.
    pub fn invite_suffix(&self) -> String {
        let mut suffix = String::new();
        if let Transport::Tls { certificate_sha256: Some(fingerprint) } = self.transport {
            suffix.push_str("&sha256=");
            for byte in fingerprint {
                // Writing to a String cannot fail.
                let _ = write!(suffix, "{byte:02x}");
            }
        }
        suffix
    }

    fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
            || self.host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
    }
}

/// An invite to make an account on a server. `Display` writes the link, which holds the secret
/// token; `Debug` hides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteLink {
    /// The server.
    pub server: ServerAddress,
    /// The secret that makes one account.
    pub token: InviteToken,
}

impl fmt::Display for InviteLink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = (self.server.invite_prefix(), self.server.invite_suffix());
        write!(formatter, "{before}{}{after}", self.token.to_text())
    }
}

impl FromStr for InviteLink {
    type Err = InviteLinkError;

    /// Reads a link as it was pasted; space around it does not matter.
    fn from_str(pasted: &str) -> Result<Self, InviteLinkError> {
        let link = pasted.trim();
        if link.len() > INVITE_LINK_BYTES_MAX {
            return Err(InviteLinkError::TooLong);
        }
        let (scheme, rest) = link.split_once("://").ok_or(InviteLinkError::Scheme)?;
        let (place, fragment) = rest.split_once('#').ok_or(InviteLinkError::TokenMissing)?;
        let authority = place.strip_suffix('/').unwrap_or(place);
        if authority.contains(['/', '?', '@']) {
            return Err(InviteLinkError::Path);
        }
        let (host, port) = split_authority(authority)?;
        let (token, certificate_sha256) = read_fragment(fragment)?;
        let transport = match (scheme.to_ascii_lowercase().as_str(), certificate_sha256) {
            ("https", certificate_sha256) => Transport::Tls { certificate_sha256 },
            ("http", None) => Transport::Plain,
            ("http", Some(_)) => return Err(InviteLinkError::PlainCertificate),
            _ => return Err(InviteLinkError::Scheme),
        };
        Ok(Self { server: ServerAddress::new(host, port, transport)?, token })
    }
}

/// What is wrong with an invite link, in words for the person who pasted it. The link is not
/// repeated: it holds a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InviteLinkError {
    /// Longer than any link of ours.
    #[error("this is too long for an invite link: copy the link alone")]
    TooLong,
    /// Neither `https://` nor `http://`.
    #[error("an invite link begins with https:// : copy the whole link")]
    Scheme,
    /// `http://` to another machine.
    #[error("an invite link begins with https:// : http:// is for a server on this machine only")]
    PlainHost,
    /// A fingerprint without a certificate that it could belong to.
    #[error(
        "a link that begins with http:// has no certificate, but this one names one: ask for a new link"
    )]
    PlainCertificate,
    /// Something between the host and the `#`.
    #[error("an invite link has nothing between the server's name and the #: copy the link again")]
    Path,
    /// A host that is neither name nor address.
    #[error("the server's name in the link is not a host name or address: copy the link again")]
    Host,
    /// A port that is no number from 1 to 65535.
    #[error("the port in the link is not a number from 1 to 65535: copy the link again")]
    Port,
    /// No `invite=` after the `#`.
    #[error("the link has no #invite= part: copy the whole link, up to its end")]
    TokenMissing,
    /// A token of another form.
    #[error("the invite in the link is cut short or altered: copy the whole link again")]
    Token,
    /// A fingerprint of another form.
    #[error(
        "the certificate's fingerprint in the link is cut short or altered: copy the whole link again"
    )]
    Certificate,
    /// A part that is there twice.
    #[error("the link says one thing twice: copy the link again")]
    Repeated,
    /// A part that this version does not know.
    #[error(
        "the link has a part that this program does not know: update the program, or copy the link again"
    )]
    UnknownPart,
}

fn split_authority(authority: &str) -> Result<(&str, u16), InviteLinkError> {
    let (host, port) = match authority.rfind(']') {
        Some(end) if authority.starts_with('[') => {
            let (host, rest) = authority.split_at(end + 1);
            let port = match rest.strip_prefix(':') {
                Some(port) => Some(port),
                None if rest.is_empty() => None,
                None => return Err(InviteLinkError::Host),
            };
            (host, port)
        }
        _ => match authority.split_once(':') {
            // Without brackets nobody can tell an IPv6 address from its port.
            Some((_, port)) if port.contains(':') => return Err(InviteLinkError::Host),
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        None => DEFAULT_PORT,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| InviteLinkError::Port)?
        }
        Some(_) => return Err(InviteLinkError::Port),
    };
    Ok((host, port))
}

fn read_fragment(fragment: &str) -> Result<(InviteToken, Option<[u8; 32]>), InviteLinkError> {
    let mut token = None;
    let mut certificate_sha256 = None;
    for part in fragment.split('&') {
        let repeated = match part.split_once('=') {
            Some(("invite", text)) => {
                token.replace(text.parse().map_err(|_| InviteLinkError::Token)?).is_some()
            }
            Some(("sha256", text)) => certificate_sha256.replace(fingerprint(text)?).is_some(),
            _ => return Err(InviteLinkError::UnknownPart),
        };
        if repeated {
            return Err(InviteLinkError::Repeated);
        }
    }
    Ok((token.ok_or(InviteLinkError::TokenMissing)?, certificate_sha256))
}

fn fingerprint(text: &str) -> Result<[u8; 32], InviteLinkError> {
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(InviteLinkError::Certificate);
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        let digits = &text[2 * index..2 * index + 2];
        *byte = u8::from_str_radix(digits, 16).map_err(|_| InviteLinkError::Certificate)?;
    }
    Ok(bytes)
}

/// Tells whether a text is an IPv4 address or a host name of RFC 1123 §2.1.
fn is_host_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let ends_in_a_number = |host: &str| {
        host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()))
    };
    host.len() <= HOST_BYTES_MAX
        && host.split('.').all(is_label)
        // `1.2.3` and `1.2.3.456` are no names: some programs would read an address in them.
        && (!ends_in_a_number(host) || host.parse::<Ipv4Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: &str = "aebagbafaydqqcikbmga2dqpca";

    fn tls(host: &str, port: u16, certificate_sha256: Option<[u8; 32]>) -> ServerAddress {
        ServerAddress::new(host, port, Transport::Tls { certificate_sha256 }).unwrap()
    }

    fn check(link: &str, expected: Result<ServerAddress, InviteLinkError>) {
        let read = link.parse::<InviteLink>();
        if let Ok(read) = &read {
            assert_eq!(read.token.to_text(), TOKEN);
            assert_eq!(read.to_string().parse().as_ref(), Ok(read), "{link}");
        }
        assert_eq!(read.map(|read| read.server), expected, "{link}");
    }

    #[test]
    fn link_is_written_as_documented() {
        let token = TOKEN.parse().unwrap();
        let link = InviteLink { server: tls("Chat.Example.org", 8443, Some([0xa5; 32])), token };
        let hex = "a5".repeat(32);
        let text = format!("https://chat.example.org:8443/#invite={TOKEN}&sha256={hex}");
        assert_eq!(link.to_string(), text);
        assert!(!format!("{link:?}").contains(TOKEN));
    }

    #[test]
    fn names_addresses_and_ports_are_read() {
        let server = |host, port| Ok(tls(host, port, None));
        check(
            &format!("https://chat.example.org:9000/#invite={TOKEN}"),
            server("chat.example.org", 9000),
        );
        check(
            &format!("https://chat.example.org/#invite={TOKEN}"),
            server("chat.example.org", 8443),
        );
        check(
            &format!(" HTTPS://CHAT.example.org#invite={TOKEN}\n"),
            server("chat.example.org", 8443),
        );
        check(&format!("https://192.0.2.7:1/#invite={TOKEN}"), server("192.0.2.7", 1));
        check(&format!("https://[2001:db8::7]:9000/#invite={TOKEN}"), server("2001:db8::7", 9000));
        check(&format!("https://[2001:DB8::7]/#invite={TOKEN}"), server("2001:db8::7", 8443));
    }

    #[test]
    fn authority_puts_brackets_around_ipv6() {
        assert_eq!(tls("2001:db8::7", 9000, None).authority(), "[2001:db8::7]:9000");
        assert_eq!(tls("[2001:db8::7]", 9000, None).host(), "2001:db8::7");
        assert_eq!(tls("192.0.2.7", 9000, None).authority(), "192.0.2.7:9000");
    }

    #[test]
    fn fingerprint_is_read_in_either_case_and_order() {
        let server = Ok(tls("example.org", 8443, Some([0xab; 32])));
        let (lower, upper) = ("ab".repeat(32), "AB".repeat(32));
        check(&format!("https://example.org/#invite={TOKEN}&sha256={lower}"), server.clone());
        check(&format!("https://example.org/#sha256={upper}&invite={TOKEN}"), server);
        for bad in
            ["", "ab", &lower[1..], &format!("{}é", &lower[2..]), &format!("+{}", &lower[1..])]
        {
            let link = format!("https://example.org/#invite={TOKEN}&sha256={bad}");
            check(&link, Err(InviteLinkError::Certificate));
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        let plain = |host| ServerAddress::new(host, 8080, Transport::Plain);
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"] {
            check(&format!("http://{host}:8080/#invite={TOKEN}"), plain(host));
            assert!(plain(host).is_ok());
        }
        for host in ["example.org", "192.0.2.7", "[2001:db8::7]", "localhost.example.org"] {
            let link = format!("http://{host}:8080/#invite={TOKEN}");
            check(&link, Err(InviteLinkError::PlainHost));
        }
        let pinned = format!("http://localhost/#invite={TOKEN}&sha256={}", "ab".repeat(32));
        check(&pinned, Err(InviteLinkError::PlainCertificate));
    }

    #[test]
    fn altered_link_says_what_is_wrong() {
        let with = |before: &str| format!("{before}#invite={TOKEN}");
        let https = |after: &str| format!("https://example.org/{after}");
        check("", Err(InviteLinkError::Scheme));
        check(&with("example.org/"), Err(InviteLinkError::Scheme));
        check(&with("ftp://example.org/"), Err(InviteLinkError::Scheme));
        check(&https(""), Err(InviteLinkError::TokenMissing));
        check(&https(&format!("#sha256={}", "ab".repeat(32))), Err(InviteLinkError::TokenMissing));
        check(&https("#"), Err(InviteLinkError::UnknownPart));
        check(&https("#invite="), Err(InviteLinkError::Token));
        check(&https(&format!("#invite={}", &TOKEN[1..])), Err(InviteLinkError::Token));
        check(&https(&format!("#invite={}", TOKEN.to_uppercase())), Err(InviteLinkError::Token));
        check(&https(&format!("#invite={TOKEN}&invite={TOKEN}")), Err(InviteLinkError::Repeated));
        check(&https(&format!("#invite={TOKEN}&sha512=00")), Err(InviteLinkError::UnknownPart));
        check(&with("https://example.org/join"), Err(InviteLinkError::Path));
        check(&with("https://example.org/?"), Err(InviteLinkError::Path));
        check(&with("https://romeo@example.org/"), Err(InviteLinkError::Path));
        for port in ["", "0", "65536", "+80", "8443x"] {
            check(&with(&format!("https://example.org:{port}/")), Err(InviteLinkError::Port));
        }
        for host in [
            "",
            "-a",
            "a..b",
            "bücher.example",
            "exa mple",
            "1.2.3",
            "1.2.3.456",
            "::1",
            "[::1",
            "[x]",
            "[::1]x",
        ] {
            check(&with(&format!("https://{host}/")), Err(InviteLinkError::Host));
        }
        let long = with(&format!("https://{}/", "a.".repeat(300)));
        check(&long, Err(InviteLinkError::TooLong));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let _ = text.parse::<InviteLink>();
        }

        #[test]
        fn text_like_a_link_is_answered_and_comes_back(
            text in "https?://[a-z\\[\\]:.0-9é-]{0,12}(:[0-9]{0,6})?/?#invite=aebagbafaydqqcikbmga2dqpca(&sha256=[0-9a-f]{64})?"
        ) {
            if let Ok(link) = text.parse::<InviteLink>() {
                prop_assert_eq!(link.to_string().parse(), Ok(link));
            }
        }
    }
}
