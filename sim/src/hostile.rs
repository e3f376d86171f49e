//! A hostile server: what it makes of the frames on their way to a device.

use bytes::Bytes;
use tidings_protocol_app::wire::ServerFrame;
use tidings_protocol_app::{decode_server_frame, encode};

/// What a hostile server sends to a device in place of a frame.
pub type Hand = dyn FnMut(&str, ServerFrame) -> Vec<ServerFrame>;

/// The hand in the wire.
pub(crate) struct Tampering(Box<Hand>);

impl Tampering {
    pub(crate) fn pass(&mut self, device: &str, frame: Bytes) -> Vec<Bytes> {
        let frame = decode_server_frame(frame).expect("a server's frame");
        (self.0)(device, frame).iter().map(encode).collect()
    }
}

impl crate::World {
    /// From now on the server is hostile: every frame to a device goes through this hand, which gets
    /// the device's name too. What a hostile server keeps back or spoils stays so: from then on a device
    /// may count messages that it cannot read, and lose its keys.
    pub fn tamper(&mut self, hand: impl FnMut(&str, ServerFrame) -> Vec<ServerFrame> + 'static) {
        self.tampering = Some(Tampering(Box::new(hand)));
        self.oracle.was_server_hostile = true;
    }

    /// The server is honest again.
    pub fn stop_tampering(&mut self) {
        self.tampering = None;
    }
}
