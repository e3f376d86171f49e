//! The database in a browser: a file in the origin's private file system (OPFS).
//!
//! The file system gives synchronous access to one dedicated worker at a time, in a secure context.
//! There is no write-ahead log; a rollback journal stands beside the file.

use rusqlite::{Connection, Result};
use sqlite_wasm_rs::WasmOsCallback;
use sqlite_wasm_vfs::sahpool::{OpfsSAHError, OpfsSAHPoolCfg, install};
use tidings_client_core::{DatabaseError, Durability};

use crate::database::{Database, refuse_key};
use crate::error::told;

impl Database {
    /// Opens the database of a name; makes it where there is none.
    ///
    /// `key` encrypts the file.
    ///
    /// # Errors
    /// A key was given, and this build has no cipher; another tab has the file system open, or the
    /// browser has none; the database is damaged, another program's, or a later version's.
    pub async fn open(name: &str, key: Option<&[u8]>) -> Result<Self, DatabaseError> {
        refuse_key(key)?;
        install::<WasmOsCallback>(&OpfsSAHPoolCfg::default(), true).await.map_err(not_installed)?;
        let place = format!("{name}.db");
        let connection = Connection::open(&place).map_err(|error| told(&place, &error))?;
        Self::start(connection, place, |_| Ok(()))
    }
}

/// How the file is synced for a durability: without a write-ahead log, anything less than FULL may
/// leave a damaged file behind a power loss.
pub(crate) fn synchronous(_durability: Durability) -> &'static str {
    "FULL"
}

fn not_installed(error: OpfsSAHError) -> DatabaseError {
    DatabaseError::Failed(match error {
        OpfsSAHError::NotSupported => {
            "this browser keeps no files for a page like this one: open it over https, in a \
             current browser, outside of a private window"
                .to_owned()
        }
        OpfsSAHError::Opfs { message, .. } if message.starts_with("NoModificationAllowedError") => {
            "another tab has it open: close that one first".to_owned()
        }
        error => error.to_string(),
    })
}
