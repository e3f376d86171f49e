//! The text files of the workspace.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Folders with what is built, fetched or recorded by machines.
const SKIPPED_FOLDERS: [&str; 6] =
    [".git", "target", "data", "node_modules", "dist", ".svelte-kit"];

/// A file that is text, with its path from the workspace's root.
pub(super) struct TextFile {
    pub(super) path: String,
    pub(super) text: String,
}

/// Reads every text file below the root. Read from the disk and not from git, so that a file is
/// checked before it is committed, and in an unpacked archive too.
pub(super) fn text_files(root: &Path) -> Result<Vec<TextFile>> {
    let mut files = Vec::new();
    collect(root, "", &mut files)?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<TextFile>) -> Result<()> {
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() && !SKIPPED_FOLDERS.contains(&name.as_str()) {
            collect(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).with_context(|| format!("cannot read {path}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(TextFile { path, text });
            }
        }
    }
    Ok(())
}
