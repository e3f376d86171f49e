//! The driver with peers at its other end: hostile ones, and clients of another library.

mod hostile;
mod house;
mod sessions;
