//! The client core on tokio: the connection to the server, the person's folder, clock and entropy,
//! and the driver that turns what the core asks for into action.
//!
//! A program opens a [`ClientHandle`] with the person's folder and hands it commands. The core and the
//! database live on a thread of their own, each connection is a task of the program's runtime.
//! Deliberately not here: what a command means (`client/core`), SQL (`client/database`), and words for
//! people other than those of errors.

mod connection;
mod dial;
mod driver;
mod error;
mod folder;
mod handle;
pub mod limits;
mod link;
mod sleep;
mod tls;

pub use error::{
    CertificateProblem, ClientGone, ConnectError, EntropyError, FolderError, OpenError,
};
pub use folder::Folder;
pub use handle::{ClientHandle, Events, Opening, Outcomes, Snapshot, Told};

/// Random bytes of the system.
fn entropy<const N: usize>() -> Result<[u8; N], EntropyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| EntropyError(error.to_string()))?;
    Ok(bytes)
}
