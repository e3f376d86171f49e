//! WebSocket connections on tokio.
