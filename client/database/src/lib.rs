//! The client's database on the device.
