//! What must not stay in the tree: work left open, and paths of the machine that it was written on.
//!
//! The words looked for are put together from halves, as this file is searched too.

use std::path::Path;

use super::Finding;
use super::tree::TextFile;

/// Marks of work left open, in code.
const OPEN_WORK: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("to", "do!("),
    concat!("unim", "plemented!("),
    concat!("#[ig", "nore"),
];

const CODE_EXTENSIONS: [&str; 6] = ["rs", "proto", "sql", "ts", "svelte", "toml"];

/// Where people's folders lie, by system.
const HOME_FOLDERS: [&str; 3] =
    [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/")];

/// Checks all files. `places` are paths of this machine that no file may name.
pub(super) fn check(files: &[TextFile], places: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Real chats name people's folders, and licences and lock files are not ours to write.
    for file in files.iter().filter(|file| !is_foreign(&file.path)) {
        let extension = file.path.rsplit('.').next().unwrap_or_default();
        let is_code = CODE_EXTENSIONS.contains(&extension);
        for (index, line) in file.text.lines().enumerate() {
            if is_code && let Some(mark) = OPEN_WORK.into_iter().find(|mark| has_word(line, mark)) {
                let message = format!("work is left open: {mark}");
                findings.push(Finding::at_line(&file.path, index + 1, message));
            }
            let mut all_places = HOME_FOLDERS.into_iter().chain(places.iter().map(String::as_str));
            if let Some(place) = all_places.find(|place| has_word(line, place)) {
                let message = format!("a path of somebody's machine: {place}");
                findings.push(Finding::at_line(&file.path, index + 1, message));
            }
        }
    }
    findings
}

/// The folders that the workspace lies in.
pub(super) fn places_of_this_machine(root: &Path) -> Vec<String> {
    root.ancestors()
        .take(2)
        .filter_map(Path::to_str)
        // The root folder of a container's disk is in every path there is.
        .filter(|place| place.len() > 1)
        .map(|place| format!("{}/", place.trim_end_matches('/')))
        .collect()
}

fn is_foreign(path: &str) -> bool {
    path.starts_with("testdata/") || path.ends_with("LICENSE") || path.ends_with(".lock")
}

/// Tells whether a line has a mark that does not begin inside of a word or a longer path.
fn has_word(line: &str, mark: &str) -> bool {
    line.match_indices(mark).any(|(start, _)| {
        !line[..start].ends_with(|before: char| before.is_alphanumeric() || "_.-}".contains(before))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(path: &str, text: &str) -> Vec<String> {
        let file = TextFile { path: path.to_owned(), text: text.to_owned() };
        let places = places_of_this_machine(Path::new("/srv/checkout/tidings"));
        check(&[file], &places).into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn work_left_open_is_found_in_code() {
        for mark in OPEN_WORK {
            let found = check_text("server/src/main.rs", &format!("//! x\n    {mark}\n"));
            assert_eq!(found, [format!("server/src/main.rs:2: work is left open: {mark}")]);
            assert_eq!(check_text("docs/status.md", mark), [""; 0]);
        }
        assert_eq!(check_text("server/src/main.rs", "//! MASTODON, autodoc\n"), [""; 0]);
    }

    #[test]
    fn path_of_a_machine_is_found_in_any_text() {
        for folder in HOME_FOLDERS {
            let text = format!("see {folder}anna/notes");
            assert_eq!(check_text("README.md", &text).len(), 1, "{text}");
        }
        assert_eq!(check_text("README.md", "`/srv/checkout/tidings/README.md`").len(), 1);
        assert_eq!(check_text("README.md", "in /srv/checkout/other").len(), 1);
        assert_eq!(check_text("README.md", "https://example.org/srv/checkout/"), [""; 0]);
        assert_eq!(check_text("testdata/chat.txt", "look in /srv/checkout/x"), [""; 0]);
    }

    #[test]
    fn workspace_at_the_top_of_a_disk_forbids_no_path_but_its_own() {
        assert_eq!(places_of_this_machine(Path::new("/tidings")), ["/tidings/"]);
    }
}
