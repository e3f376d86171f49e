//! The door of our own apps.
