//! The store: a data folder, held by one process, that hands out one writer and any number of readers.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::OptionalExtension;

use crate::check;
use crate::checkpoint::Checkpointer;
use crate::connection;
use crate::error::OpenError;
use crate::limits::{CHECKPOINT_BUSY, READER_CACHE_BYTES, WRITER_BUSY, WRITER_CACHE_BYTES};
use crate::migrations;
use crate::reader::SqliteReader;
use crate::writer::SqliteWriter;

/// The database's file in the data folder.
const DATABASE_FILE: &str = "tidings.db";

/// The file whose lock keeps a second process out. It holds nothing and stays.
const LOCK_FILE: &str = "tidings.lock";

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Page cache of the writer, in bytes.
    pub writer_cache_bytes: usize,
    /// Page cache of each reader, in bytes.
    pub reader_cache_bytes: usize,
    /// Name of a registered VFS of SQLite's; `None`: the system's files.
    #[doc(hidden)]
    pub vfs: Option<String>,
    /// Whether commits are synced; tests alone may say no.
    #[doc(hidden)]
    pub durability: Durability,
    /// Where checkpoints run; tests alone may do them by hand.
    #[doc(hidden)]
    pub checkpoints: Checkpoints,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            writer_cache_bytes: WRITER_CACHE_BYTES,
            reader_cache_bytes: READER_CACHE_BYTES,
            vfs: None,
            durability: Durability::Synced,
            checkpoints: Checkpoints::OnThread,
        }
    }
}

/// Whether a commit is on disk when it is answered.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It is.
    Synced,
    /// It is not: for tests that ask for rules only, and for the one that shows what is lost.
    Unsynced,
}

/// Where checkpoints run.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpoints {
    /// On a thread of their own.
    OnThread,
    /// Where a test calls for them, so that it is the same each time.
    ByHand,
}

/// What the store's connections have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) folder: PathBuf,
    pub(crate) database: PathBuf,
    pub(crate) options: Options,
    /// Why nothing may be written any more. Set once, by the writer or by a checkpoint.
    broken: Mutex<Option<String>>,
    /// Locked for as long as any part of the store is there.
    _lock: File,
}

impl Shared {
    /// Notes that what is on disk is unknown: nothing is acknowledged from here on.
    pub(crate) fn note_broken(&self, reason: &str) {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.get_or_insert_with(|| reason.to_owned());
    }

    /// Why nothing may be written any more.
    pub(crate) fn broken(&self) -> Option<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An open store. Its writer and readers may outlive it.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    writer: Mutex<Option<SqliteWriter>>,
}

impl Store {
    /// Opens the store in a folder, which is made where it does not exist, and closed to other users of
    /// the machine. What an unclean stop left in the write-ahead log is synced into the database before
    /// this returns: whatever a reader sees from here on stays.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(folder: &Path, options: Options) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Folder { folder: folder.to_owned(), source };
        make_folder(folder).map_err(unusable)?;
        let lock = lock(folder)?;
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            database: folder.join(DATABASE_FILE),
            options,
            broken: Mutex::new(None),
            _lock: lock,
        });

        let mut connection = connection::open(
            &shared.database,
            &shared.options,
            shared.options.writer_cache_bytes,
            WRITER_BUSY,
        )?;
        connection::enter_wal_mode(&connection)?;
        migrations::migrate(&mut connection)?;
        let checkpointer = Checkpointer::new(
            connection::open(&shared.database, &shared.options, 0, CHECKPOINT_BUSY)?,
            Arc::clone(&shared),
        );
        checkpointer.recover()?;
        // The names of files that SQLite made must last as long as what it synced into them.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(unusable)?;

        let writer = SqliteWriter::new(connection, checkpointer, Arc::clone(&shared))?;
        Ok(Self { shared, writer: Mutex::new(Some(writer)) })
    }

    /// Hands out the one writer; `None` if it was handed out before.
    pub fn writer(&self) -> Option<SqliteWriter> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Opens a reader.
    ///
    /// # Errors
    /// The database cannot be opened once more.
    pub fn reader(&self) -> Result<SqliteReader, OpenError> {
        SqliteReader::open(Arc::clone(&self.shared))
    }

    /// The server's secret, which is made out of `entropy` when it is asked for the first time, and
    /// synced.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub fn server_secret(&self, entropy: impl FnOnce() -> [u8; 32]) -> Result<[u8; 32], OpenError> {
        let connection =
            connection::open(&self.shared.database, &self.shared.options, 0, WRITER_BUSY)?;
        let stored = || {
            connection
                .query_row("SELECT value FROM meta WHERE name = 'server_secret'", [], |row| {
                    row.get(0)
                })
                .optional()
        };
        if let Some(secret) = stored()? {
            return Ok(secret);
        }
        connection.execute(
            "INSERT INTO meta (name, value) VALUES ('server_secret', ?1) ON CONFLICT DO NOTHING",
            [entropy()],
        )?;
        stored()?.ok_or_else(|| OpenError::Damaged("the server's secret is missing".to_owned()))
    }

    /// Looks for damage in the whole database: its pages, and the checksum of every entry. Reads all of
    /// it, which takes a while, beside whatever else goes on. Each damage is one sentence; none: whole.
    ///
    /// # Errors
    /// The database cannot be opened or read at all.
    pub fn check(&self) -> Result<Vec<String>, OpenError> {
        check::check(&connection::open_reader(
            &self.shared.database,
            &self.shared.options,
            WRITER_BUSY,
        )?)
    }
}

/// Makes the folder where it does not exist, and closes it to other users of the machine.
#[cfg(unix)]
fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    if !folder.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
    }
    let permissions = fs::metadata(folder)?.permissions();
    if permissions.mode() & 0o077 != 0 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Makes the folder where it does not exist.
#[cfg(not(unix))]
fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(folder)
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let unusable = |source| OpenError::Folder { folder: folder.to_owned(), source };
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(LOCK_FILE))
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { folder: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}
