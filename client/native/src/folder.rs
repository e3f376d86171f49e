//! The folder of one person on this device: who may look into it, and which program has it.
//!
//! It holds the database and a lock file, and is closed to everybody else on the machine. The lock is
//! the system's and ends with the process, however that ends. What stands in the database, the
//! server's address and its pin included, is not this file's business.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::FolderError;

const LOCK: &str = "lock";
const DATABASE: &str = "tidings.db";

/// A person's folder, held by this process until it is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Opens the folder, makes it where there is none, and takes its lock.
    ///
    /// # Errors
    /// Another process has it, it holds something else than a person's data, or the system refuses.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let unusable = |error| FolderError::Unusable { folder: path.to_owned(), error };
        create_private(path).map_err(unusable)?;
        if !is_ours_to_use(path).map_err(unusable)? {
            return Err(FolderError::HoldsOtherFiles { folder: path.to_owned() });
        }
        close_to_others(path).map_err(unusable)?;
        let lock = File::create(path.join(LOCK)).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse { folder: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of the database.
    pub fn database_path(&self) -> PathBuf {
        self.path.join(DATABASE)
    }
}

/// Whether the folder is new or was one of ours before. A folder with other files, named by a slip,
/// is neither closed to others nor written into.
fn is_ours_to_use(path: &Path) -> io::Result<bool> {
    let is_empty = fs::read_dir(path)?.next().is_none();
    Ok(is_empty || path.join(LOCK).exists() || path.join(DATABASE).exists())
}

#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome,
    }
}

#[cfg(unix)]
fn close_to_others(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// A profile folder is closed to others already where permissions are not those of Unix.
#[cfg(not(unix))]
fn close_to_others(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_opening_of_a_folder_names_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("deep/anna");
        let folder = Folder::open(&path).unwrap();
        let error = Folder::open(&path).unwrap_err();
        assert!(matches!(error, FolderError::InUse { .. }));
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        drop(folder);
        Folder::open(&path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn folder_is_closed_to_everybody_else() {
        use std::os::unix::fs::PermissionsExt as _;
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("anna");
        drop(Folder::open(&path).unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let _folder = Folder::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn folder_with_other_files_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("thesis.txt"), "").unwrap();
        let error = Folder::open(folder.path()).unwrap_err();
        assert!(matches!(error, FolderError::HoldsOtherFiles { .. }), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
