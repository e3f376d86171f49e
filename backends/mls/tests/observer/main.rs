//! The observer between real devices and a real store: people publish lists and key packages, found
//! groups and send Commits; what is judged right is applied as the core applies it.

mod commits;
mod device_lists;
mod founding;
mod hostile;
mod key_packages;
mod leaves;
mod replays;
mod restarts;
mod world;
