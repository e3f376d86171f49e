//! Why a request does not become a WebSocket, and the HTTP status that says so (RFC 9110 §15, RFC
//! 6455 §4.2.2).

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};
use thiserror::Error;
use tidings_protocol_websocket::HandshakeError;

use crate::accept::HttpResponse;

/// A request that is refused by this layer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The request breaks the rules of the opening handshake.
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    /// WebSockets need HTTP/1.1.
    #[error("HTTP/1.1 is needed")]
    HttpVersion,
    /// A page of somebody else's wants to connect.
    #[error("this origin may not connect")]
    ForeignOrigin,
    /// No origin, but cookies: a browser's request that hides where it comes from.
    #[error("cookies do not sign in here: send the token in the first frame")]
    CookieOnly,
    /// A secret where logs and histories would keep it.
    #[error("tokens must not stand in the query: send the token in the first frame")]
    TokenInQuery,
    /// A body of unknown length. Nothing here needs one, and beside a Content-Length it is how one
    /// request is smuggled inside another.
    #[error("Transfer-Encoding is not taken: send a Content-Length")]
    TransferEncoding,
}

impl Refusal {
    /// The status that answers it.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Handshake(error) => handshake_status(error),
            Self::HttpVersion | Self::TokenInQuery | Self::TransferEncoding => {
                StatusCode::BAD_REQUEST
            }
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::CookieOnly => StatusCode::UNAUTHORIZED,
        }
    }

    /// The answer, with the headers that its status demands.
    pub fn response(&self) -> HttpResponse {
        let status = self.status();
        let mut response = Response::new(Full::new(Bytes::from(format!("{self}\n"))));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let mut insert = |name, value| headers.insert(name, HeaderValue::from_static(value));
        insert(CONTENT_TYPE, "text/plain; charset=utf-8");
        if status == StatusCode::UPGRADE_REQUIRED {
            insert(CONNECTION, "Upgrade");
            insert(UPGRADE, "websocket");
            insert(SEC_WEBSOCKET_VERSION, "13");
        }
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §11.6.1 wants a challenge. Ours is answered behind the upgrade, not in a
            // header, so that its scheme is none of the registered ones.
            insert(WWW_AUTHENTICATE, "FirstFrame");
        }
        if *self == Self::TransferEncoding {
            insert(CONNECTION, "close");
        }
        response
    }
}

fn handshake_status(error: &HandshakeError) -> StatusCode {
    match error {
        HandshakeError::UpgradeMissing | HandshakeError::VersionUnsupported => {
            StatusCode::UPGRADE_REQUIRED
        }
        HandshakeError::MethodNotGet
        | HandshakeError::HostMissing
        | HandshakeError::KeyInvalid
        // The rest are a client's findings, and no request leads to them.
        | HandshakeError::RequestInvalid(_)
        | HandshakeError::ResponseMalformed
        | HandshakeError::ResponseTooLarge
        | HandshakeError::Refused(_)
        | HandshakeError::AcceptMismatch
        | HandshakeError::ExtensionNotOffered
        | HandshakeError::ProtocolNotOffered => StatusCode::BAD_REQUEST,
    }
}
