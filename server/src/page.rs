//! The page that a browser gets: what this is and how to join. The secret of an invite link stands
//! behind its `#`, so that it never arrives here.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Response, StatusCode};

const PAGE: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>Tidings</title>
<h1>This is a Tidings server</h1>
<p>People send each other messages over it. If somebody gave you the link of this page, it is an
invite: copy the whole link from the address bar and join with the terminal program:</p>
<pre>tidings sign-up --user-name NAME 'LINK'</pre>
<p>The link is good for one account and for seven days. What stands behind its # is secret; your
browser has not sent it anywhere.</p>
</html>
";

/// Answers a request that is for no WebSocket.
pub(crate) fn answer(method: &Method, path: &str) -> Response<Full<Bytes>> {
    if method != Method::GET && method != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    if path != "/" {
        return text(StatusCode::NOT_FOUND, "there is nothing here; apps connect to /ws\n");
    }
    let mut response = Response::new(Full::from(PAGE));
    let headers = response.headers_mut();
    let mut insert = |name: HeaderName, value| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    insert(CONTENT_TYPE, "text/html; charset=utf-8");
    insert(CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    insert(X_CONTENT_TYPE_OPTIONS, "nosniff");
    insert(REFERRER_POLICY, "no-referrer");
    insert(CACHE_CONTROL, "no-store");
    response
}

/// A short answer in plain text.
pub(crate) fn text(status: StatusCode, sentence: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(sentence));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_at_the_root_alone_and_loads_nothing() {
        let page = answer(&Method::GET, "/");
        assert_eq!(page.status(), StatusCode::OK);
        assert_eq!(
            page.headers()[CONTENT_SECURITY_POLICY],
            "default-src 'none'; frame-ancestors 'none'"
        );
        assert_eq!(answer(&Method::GET, "/../x").status(), StatusCode::NOT_FOUND);
        assert_eq!(answer(&Method::POST, "/").status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
