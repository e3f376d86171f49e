//! The listener for the operator's machines: `/health`, `/ready` and `/metrics`, without TLS, on
//! loopback unless set otherwise. Beside it the probe that finds out when a full disk has room again.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::limits::{
    ACCEPT_PAUSE, FULL_DISK_PROBE_INTERVAL, HTTP_TIMEOUT, METRICS_CONNECTIONS_MAX, PROBE_BYTES,
};
use crate::metrics::Metrics;

/// Serves the operator's machines for as long as the program runs.
pub(crate) async fn serve(listener: TcpListener, metrics: Arc<Metrics>) {
    let permits = Arc::new(Semaphore::new(METRICS_CONNECTIONS_MAX));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "the metrics' listener cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else { continue };
        let metrics = Arc::clone(&metrics);
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let response = answer(&metrics, request.method(), request.uri().path());
                async move { Ok::<_, Infallible>(response) }
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HTTP_TIMEOUT);
            if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "a request for metrics failed");
            }
            drop(permit);
        });
    }
}

fn answer(metrics: &Metrics, method: &Method, path: &str) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let (status, kind, body) = match path {
        _ if method != Method::GET && method != Method::HEAD => {
            (StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only\n".to_owned())
        }
        // It answers, so it lives.
        "/health" => (StatusCode::OK, TEXT, "healthy\n".to_owned()),
        "/ready" => match metrics.unready() {
            None => (StatusCode::OK, TEXT, "ready\n".to_owned()),
            Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n")),
        },
        "/metrics" => (StatusCode::OK, OPEN_METRICS, metrics.text()),
        _ => (StatusCode::NOT_FOUND, TEXT, "here are /health, /ready and /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}

/// Tries a full disk again and again until it has room.
pub(crate) async fn probe_full_disk(folder: PathBuf, metrics: Arc<Metrics>) {
    loop {
        tokio::time::sleep(FULL_DISK_PROBE_INTERVAL).await;
        if !metrics.has_full_disk() {
            continue;
        }
        let folder = folder.clone();
        let has_room = tokio::task::spawn_blocking(move || write_probe(&folder).is_ok()).await;
        if has_room.unwrap_or(false) {
            metrics.note_room_on_disk();
        }
    }
}

fn write_probe(folder: &Path) -> io::Result<()> {
    let probe = folder.join("probe");
    let written = std::fs::File::create(&probe).and_then(|mut file| {
        io::Write::write_all(&mut file, &[0x5a; PROBE_BYTES])?;
        file.sync_all()
    });
    let removed = std::fs::remove_file(&probe);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_answer_as_documented() {
        let metrics = Metrics::new();
        let status = |path| answer(&metrics, &Method::GET, path).status().as_u16();
        assert_eq!((status("/health"), status("/ready"), status("/metrics")), (200, 200, 200));
        assert_eq!(status("/"), 404);
        metrics.note_full_disk();
        assert_eq!((status("/health"), status("/ready")), (200, 503));
        assert_eq!(answer(&metrics, &Method::POST, "/health").status().as_u16(), 405);
    }
}
