//! The WebSocket close codes that the app protocol gives a meaning of its own (RFC 6455 §7.4.2
//! leaves 4000 to 4999 to applications). The rest are those of RFC 6455 §7.4.1.

/// The app and the server have no version of the protocol in common.
pub const VERSION_UNSUPPORTED: u16 = 4400;

/// The device's token is unknown or was revoked.
pub const TOKEN_REVOKED: u16 = 4401;

/// The same device has a newer connection: two of them would pull at one cursor.
pub const REPLACED: u16 = 4409;
