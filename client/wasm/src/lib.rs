//! The client in a browser's worker.
