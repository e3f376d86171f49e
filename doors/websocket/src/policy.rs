//! Who may open a WebSocket at an address: origins, cookies, tokens in the query, subprotocols.
//! Which address it is was decided before, by the caller's handler; who the person is, is asked
//! after, in the first frame.

use std::sync::Arc;

use hyper::header::{COOKIE, ORIGIN};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Version};
use tidings_protocol_websocket::{Config, OpeningRequest, check_request};

use crate::refusal::Refusal;

/// Names of query parameters that carry a secret in other systems.
const TOKEN_PARAMETERS: [&str; 2] = ["token", "access_token"];

/// Web pages that may connect, by their origin (RFC 6454), such as `https://chat.example.org`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Pages of any site. Only where a connection by itself gives no rights to the browser's owner.
    Any,
    /// Pages of these origins. Programs other than browsers name no origin and may connect.
    Listed(Vec<String>),
}

/// The rules for opening a WebSocket at one address.
#[derive(Clone, Debug)]
pub struct UpgradePolicy {
    /// The pages that may connect.
    pub origins: Origins,
    /// The subprotocols that are spoken here, the best first. A client that offers none of them
    /// gets none, as RFC 6455 §4.2.2 has it, and may leave.
    pub protocols: Vec<String>,
    /// The rules of the connections.
    pub config: Arc<Config>,
}

/// What the policy agreed to.
#[derive(Debug)]
pub(crate) struct Upgrade {
    pub(crate) accept: String,
    pub(crate) protocol: Option<String>,
}

impl UpgradePolicy {
    /// Checks a request that asks for an upgrade.
    pub(crate) fn check(&self, request: &Parts) -> Result<Upgrade, Refusal> {
        if has_token(request.uri.query().unwrap_or_default()) {
            return Err(Refusal::TokenInQuery);
        }
        if request.version < Version::HTTP_11 {
            return Err(Refusal::HttpVersion);
        }
        let headers = request.headers.iter();
        let headers: Vec<_> =
            headers.map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let opening = check_request(request.method.as_str(), &headers)?;
        self.check_origin(&request.headers)?;
        let protocol = self.choose_protocol(&opening);
        Ok(Upgrade { accept: opening.accept, protocol })
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if !headers.contains_key(ORIGIN) && headers.contains_key(COOKIE) {
            return Err(Refusal::CookieOnly);
        }
        let Origins::Listed(listed) = &self.origins else { return Ok(()) };
        let is_listed = |origin: &[u8]| {
            listed.iter().any(|listed| origin.eq_ignore_ascii_case(listed.as_bytes()))
        };
        if headers.get_all(ORIGIN).iter().all(|origin| is_listed(origin.as_bytes())) {
            Ok(())
        } else {
            Err(Refusal::ForeignOrigin)
        }
    }

    fn choose_protocol(&self, opening: &OpeningRequest<'_>) -> Option<String> {
        self.protocols.iter().find(|spoken| opening.protocols.contains(&spoken.as_str())).cloned()
    }
}

fn has_token(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes())
        .any(|(name, _)| TOKEN_PARAMETERS.iter().any(|token| name.eq_ignore_ascii_case(token)))
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn policy() -> UpgradePolicy {
        UpgradePolicy {
            origins: Origins::Listed(vec!["https://chat.example.org".to_owned()]),
            protocols: vec!["tidings.v2".to_owned(), "tidings.v1".to_owned()],
            config: Arc::new(Config::default()),
        }
    }

    /// Checks a sound request with `headers` added.
    fn check(target: &str, headers: &[(&str, &str)]) -> Result<Option<String>, Refusal> {
        let mut request = Request::get(target)
            .header("Host", "chat.example.org")
            .header("Upgrade", "websocket")
            .header("Connection", "Upgrade")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (request, ()) = request.body(()).unwrap().into_parts();
        policy().check(&request).map(|upgrade| upgrade.protocol)
    }

    #[test]
    fn listed_and_absent_origins_may_connect() {
        assert_eq!(check("/ws", &[]), Ok(None));
        assert_eq!(check("/ws", &[("Origin", "https://chat.example.org")]), Ok(None));
        assert_eq!(check("/ws", &[("Origin", "https://Chat.Example.org")]), Ok(None));
        let with_cookie = [("Origin", "https://chat.example.org"), ("Cookie", "theme=dark")];
        assert_eq!(check("/ws", &with_cookie), Ok(None));
    }

    #[test]
    fn foreign_origins_may_not_connect() {
        for origin in [
            "https://evil.example",
            "http://chat.example.org",
            "https://chat.example.org:444",
            "https://chat.example.org.evil.example",
            "null",
        ] {
            assert_eq!(check("/ws", &[("Origin", origin)]), Err(Refusal::ForeignOrigin));
        }
        let both = [("Origin", "https://chat.example.org"), ("Origin", "https://evil.example")];
        assert_eq!(check("/ws", &both), Err(Refusal::ForeignOrigin));
    }

    #[test]
    fn cookies_without_an_origin_do_not_sign_in() {
        assert_eq!(check("/ws", &[("Cookie", "session=1")]), Err(Refusal::CookieOnly));
    }

    #[test]
    fn token_in_the_query_is_found_however_it_is_written() {
        for query in ["token=1", "a=b&access_token=1", "TOKEN", "%74oken=1", "a&token"] {
            assert_eq!(check(&format!("/ws?{query}"), &[]), Err(Refusal::TokenInQuery), "{query}");
        }
        assert_eq!(check("/ws?tokens=1&a=token", &[]), Ok(None));
    }

    #[test]
    fn best_subprotocol_that_both_speak_is_chosen() {
        let offer = |protocols| check("/ws", &[("Sec-WebSocket-Protocol", protocols)]);
        assert_eq!(offer("tidings.v1, tidings.v2"), Ok(Some("tidings.v2".to_owned())));
        assert_eq!(offer("other, tidings.v1"), Ok(Some("tidings.v1".to_owned())));
        assert_eq!(offer("other"), Ok(None));
    }
}
