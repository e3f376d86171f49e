//! The search for what was said in all that the server has, sees and writes.
//!
//! Searched are the day's lines of at least 12 bytes, each once, as the bytes of their UTF-8. What
//! stands in the server's own program or in what it is told openly (names, settings) is left out: to
//! find it again would prove nothing. One word that the server must know is searched beside them; where
//! that is not found, the search was blind.
//! Deliberately not here: encodings in which text could hide, such as base64 or a compressed stream.
//! Nothing between a client and the server uses one.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, BuildError, MatchKind, PatternID};
use anyhow::Result;

/// A shorter line may come about by chance, or be a name.
const LINE_BYTES_MIN: usize = 12;

/// One read of a file, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// Where something may be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// The server's data folder: the database, its write-ahead log, and whatever else lies there.
    Data,
    /// What the server prints and logs.
    Logs,
    /// What clients send to the server.
    FromClients,
    /// What the server sends to clients.
    FromServer,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Data => "the server's data folder",
            Self::Logs => "the server's log",
            Self::FromClients => "the frames from clients to the server",
            Self::FromServer => "the frames from the server to clients",
        })
    }
}

/// A search. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Search {
    shared: Arc<Shared>,
}

struct Shared {
    automaton: NFA,
    /// The lines by their pattern; the word that must be found is the first.
    patterns: Vec<String>,
    found: Mutex<BTreeMap<Place, Vec<PatternID>>>,
}

/// Reads one stream of bytes.
pub(crate) struct Scanner {
    search: Search,
    place: Place,
    state: StateID,
}

impl Search {
    /// Prepares the search for lines. `known` is what the server may know, and `must_be_found` a word
    /// that it has to.
    ///
    /// # Errors
    /// There are too many lines.
    pub(crate) fn new<'a>(
        lines: impl IntoIterator<Item = &'a str>,
        known: &[Vec<u8>],
        must_be_found: &str,
    ) -> Result<Self> {
        let mut patterns = vec![must_be_found.to_owned()];
        patterns.extend(
            lines.into_iter().filter(|line| line.len() >= LINE_BYTES_MIN).map(str::to_owned),
        );
        patterns[1..].sort_unstable();
        patterns.dedup();
        let all = Self::of(patterns)?;
        for bytes in known {
            // Two things that the server knows do not make a third one together.
            all.scanner(Place::Data).feed(bytes);
        }
        let is_known: Vec<PatternID> = all.found().remove(&Place::Data).unwrap_or_default();
        let patterns = all.shared.patterns.iter().enumerate();
        let left = patterns.filter(|(index, _)| {
            *index == 0 || !is_known.iter().any(|pattern| pattern.as_usize() == *index)
        });
        Ok(Self::of(left.map(|(_, pattern)| pattern.clone()).collect())?)
    }

    fn of(patterns: Vec<String>) -> Result<Self, BuildError> {
        let automaton = NFA::builder().match_kind(MatchKind::Standard).build(&patterns)?;
        let shared = Shared { automaton, patterns, found: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// How many lines are searched.
    pub(crate) fn lines(&self) -> usize {
        self.shared.patterns.len() - 1
    }

    /// Begins to read a stream that belongs to a place.
    pub(crate) fn scanner(&self, place: Place) -> Scanner {
        // An automaton that can be begun anywhere has this state.
        let state = self.shared.automaton.start_state(Anchored::No).unwrap_or_default();
        Scanner { search: self.clone(), place, state }
    }

    /// Reads a file, or everything in a folder. A file that goes away meanwhile is left out.
    ///
    /// # Errors
    /// Something cannot be read.
    pub(crate) fn read(&self, path: &Path, place: Place) -> io::Result<()> {
        if path.is_dir() {
            for inside in std::fs::read_dir(path)? {
                self.read(&inside?.path(), place)?;
            }
            return Ok(());
        }
        let mut file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let mut scanner = self.scanner(place);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(()),
                count => scanner.feed(&buffer[..count]),
            }
        }
    }

    /// What was found where it must not be, in words; or that the search saw nothing at all.
    pub(crate) fn findings(&self) -> Vec<String> {
        let found = self.found();
        let mut findings = Vec::new();
        for (place, patterns) in found.iter() {
            for pattern in patterns.iter().filter(|pattern| pattern.as_usize() > 0) {
                let line = &self.shared.patterns[*pattern];
                findings.push(format!("{place} have a line of the day in the clear: {line:?}"));
            }
        }
        for place in [Place::Data, Place::FromClients, Place::FromServer] {
            let is_seen = found.get(&place).is_some_and(|found| found.contains(&PatternID::ZERO));
            if !is_seen {
                let word = &self.shared.patterns[0];
                findings.push(format!("the search is blind: {place} do not have {word:?}"));
            }
        }
        findings
    }

    fn found(&self) -> MutexGuard<'_, BTreeMap<Place, Vec<PatternID>>> {
        // No holder of the lock can leave the map half changed.
        self.shared.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Scanner {
    /// Reads on. A line may begin in one part and end in another.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let automaton = &self.search.shared.automaton;
        for byte in bytes {
            self.state = automaton.next_state(Anchored::No, self.state, *byte);
            if automaton.is_match(self.state) {
                self.note();
            }
        }
    }

    fn note(&self) {
        let automaton = &self.search.shared.automaton;
        let mut found = self.search.found();
        let found = found.entry(self.place).or_default();
        for index in 0..automaton.match_len(self.state) {
            let pattern = automaton.match_pattern(self.state, index);
            if !found.contains(&pattern) {
                found.push(pattern);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORD: &str = "administrator";

    fn search(lines: &[&str], known: &str) -> Search {
        Search::new(lines.iter().copied(), &[known.as_bytes().to_vec()], WORD).unwrap()
    }

    /// Lets every place see the word that it must have.
    fn show_word(search: &Search) {
        for place in [Place::Data, Place::FromClients, Place::FromServer] {
            search.scanner(place).feed(WORD.as_bytes());
        }
    }

    #[test]
    fn line_is_found_across_parts_and_inside_other_bytes() {
        let search = search(&["how do I unmount it", "nothing of this"], "");
        show_word(&search);
        let mut scanner = search.scanner(Place::FromServer);
        for part in [&b"\x00\xffhow do I how do I"[..], b" unmou", b"nt it\x01"] {
            scanner.feed(part);
        }
        let findings = search.findings();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].contains("how do I unmount it") && findings[0].contains("frames"));
    }

    #[test]
    fn what_is_not_there_or_only_in_part_is_not_found() {
        let search = search(&["how do I unmount it"], "");
        show_word(&search);
        search.scanner(Place::Data).feed(b"how do I unmount ");
        search.scanner(Place::Data).feed(b"it");
        assert_eq!(search.findings(), [""; 0]);
    }

    #[test]
    fn short_lines_doubles_and_what_the_server_knows_are_left_out() {
        let lines =
            ["hello there", "no such file or directory", "a line of ours", "a line of ours"];
        let search = search(&lines, "error: no such file or directory\0");
        assert_eq!(search.lines(), 1);
    }

    #[test]
    fn search_that_sees_nothing_that_it_must_see_is_blind() {
        let search = search(&["how do I unmount it"], "");
        search.scanner(Place::Data).feed(WORD.as_bytes());
        let findings = search.findings();
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings.iter().all(|finding| finding.contains("blind")));
    }

    #[test]
    fn files_of_a_folder_are_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("deep")).unwrap();
        std::fs::write(folder.path().join("deep/log"), "x how do I unmount it").unwrap();
        let search = search(&["how do I unmount it"], "");
        show_word(&search);
        search.read(folder.path(), Place::Logs).unwrap();
        search.read(&folder.path().join("gone"), Place::Logs).unwrap();
        assert_eq!(search.findings().len(), 1);
    }
}
