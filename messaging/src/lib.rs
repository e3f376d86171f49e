//! The core: accounts, devices, conversations and delivery as one state machine.
