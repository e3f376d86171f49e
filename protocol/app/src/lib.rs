//! The app protocol tidings.app.v1.
