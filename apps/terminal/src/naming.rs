//! How people name things on the command line: conversations by name, by the partner's user name or
//! by the beginning of an id; messages and devices by the beginning of an id.
//!
//! A name that fits several things is never guessed at: the error lists them with what tells them
//! apart. Pure functions; where the candidates come from is the commands' business.

use std::fmt::Write as _;

use tidings_protocol_identity::UserName;

use crate::visible;

/// Characters of a message's id that are shown: 25 bits, so that two of a thousand messages rarely
/// share them; whoever needs more can type more.
pub(crate) const MESSAGE_ID_SHOWN: usize = 5;

/// Characters of other ids that are shown: their first 16 bits name a shard that many may share.
pub(crate) const ID_SHOWN: usize = 8;

/// Characters that count as the beginning of an id. Fewer would be guessed at.
const ID_PREFIX_MIN: usize = 3;

/// Candidates that an error lists. The rest is counted.
const LISTED_MAX: usize = 8;

/// Something that can be named.
#[derive(Debug, Clone)]
pub(crate) struct Candidate<T> {
    /// What it is.
    pub(crate) item: T,
    /// Its id as text.
    pub(crate) id: String,
    /// Names that people call it by.
    pub(crate) names: Vec<String>,
    /// What tells it apart in a list.
    pub(crate) description: String,
}

/// Why a name names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NamingError {
    /// Nothing fits.
    #[error("there is no {kind} `{wanted}`: {hint}")]
    Unknown {
        /// What was looked for.
        kind: &'static str,
        /// As it was typed.
        wanted: String,
        /// Where to see what there is.
        hint: &'static str,
    },
    /// Several fit.
    #[error("`{wanted}` can be any of these {kind}s, name it by its id:{list}")]
    Ambiguous {
        /// What was looked for.
        kind: &'static str,
        /// As it was typed.
        wanted: String,
        /// They, a line each.
        list: String,
    },
}

/// What is looked for, for the words of an error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// Its word.
    pub(crate) word: &'static str,
    /// Where to see what there is.
    pub(crate) hint: &'static str,
    /// Characters of its id that are shown.
    pub(crate) id_shown: usize,
}

pub(crate) const CONVERSATION: Kind = Kind {
    word: "conversation",
    hint: "`tidings conversations` lists them, `tidings create` begins one",
    id_shown: ID_SHOWN,
};

pub(crate) const MESSAGE: Kind = Kind {
    word: "message",
    hint: "`tidings read` shows the ids of messages",
    id_shown: MESSAGE_ID_SHOWN,
};

pub(crate) const DEVICE: Kind =
    Kind { word: "device", hint: "`tidings devices` lists them", id_shown: ID_SHOWN };

/// Finds the one thing that is meant: by its whole id, else by a name, else by a name in other letter
/// case, else by the beginning of its id.
pub(crate) fn resolve<T>(
    kind: Kind,
    wanted: &str,
    candidates: Vec<Candidate<T>>,
) -> Result<T, NamingError> {
    let wanted = wanted.trim();
    let prepared = UserName::parse(wanted).ok();
    let prepared = prepared.as_ref().map_or(wanted, UserName::as_str);
    let lower = wanted.to_lowercase();
    let rules: [Rule<'_, T>; 4] = [
        &|candidate| candidate.id == wanted,
        &|candidate| candidate.names.iter().any(|name| name == wanted),
        &|candidate| {
            candidate.names.iter().any(|name| name == prepared || name.to_lowercase() == lower)
        },
        &|candidate| wanted.len() >= ID_PREFIX_MIN && candidate.id.starts_with(&lower),
    ];
    let mut candidates = candidates;
    for fits in rules {
        let (mut fitting, others): (Vec<_>, Vec<_>) = candidates.into_iter().partition(fits);
        if fitting.len() > 1 {
            return Err(ambiguous(kind, wanted, &fitting));
        }
        if let Some(found) = fitting.pop() {
            return Ok(found.item);
        }
        candidates = others;
    }
    Err(NamingError::Unknown { kind: kind.word, wanted: wanted.to_owned(), hint: kind.hint })
}

/// Whether a candidate fits what was typed.
type Rule<'a, T> = &'a dyn Fn(&Candidate<T>) -> bool;

fn ambiguous<T>(kind: Kind, wanted: &str, fitting: &[Candidate<T>]) -> NamingError {
    let list = list(kind, fitting);
    NamingError::Ambiguous { kind: kind.word, wanted: wanted.to_owned(), list }
}

/// Several things, each on a line that begins with a line break, with ids that tell them apart.
pub(crate) fn list<T>(kind: Kind, fitting: &[Candidate<T>]) -> String {
    let mut list = String::new();
    for candidate in fitting.iter().take(LISTED_MAX) {
        let id = short(&candidate.id, id_length(kind.id_shown, fitting));
        // Writing to a String cannot fail.
        let _ = write!(list, "\n  {id}  {}", visible::one_line(&candidate.description));
    }
    if fitting.len() > LISTED_MAX {
        let _ = write!(list, "\n  and {} more", fitting.len() - LISTED_MAX);
    }
    list
}

/// Characters that tell the ids of a list apart.
fn id_length<T>(shown: usize, fitting: &[Candidate<T>]) -> usize {
    let is_unique = |length: usize| {
        let mut prefixes: Vec<&str> =
            fitting.iter().map(|candidate| short(&candidate.id, length)).collect();
        prefixes.sort_unstable();
        prefixes.windows(2).all(|pair| pair[0] != pair[1])
    };
    (shown..=tidings_model::base32::TEXT_LENGTH_16)
        .find(|length| is_unique(*length))
        .unwrap_or(shown)
}

/// The beginning of an id.
pub(crate) fn short(id: &str, characters: usize) -> &str {
    id.get(..characters).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(number: usize, id: &str, names: &[&str]) -> Candidate<usize> {
        Candidate {
            item: number,
            id: id.to_owned(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            description: names.join(" "),
        }
    }

    fn candidates() -> Vec<Candidate<usize>> {
        vec![
            candidate(0, "aaaaaaaabbbbbbbbccccccccdd", &["kofi", "Kofi Mensah"]),
            candidate(1, "aaaaaaaazzbbbbbbccccccccdd", &["Choir"]),
            candidate(2, "eeeeeeeebbbbbbbbccccccccdd", &["choir"]),
            candidate(3, "ffffffffbbbbbbbbccccccccdd", &["Same"]),
            candidate(4, "gggggggg2bbbbbbbccccccccdd", &["Same"]),
            candidate(5, "gggggggg3bbbbbbbccccccccdd", &["ffff"]),
        ]
    }

    fn check(wanted: &str, expected: usize) {
        assert_eq!(resolve(CONVERSATION, wanted, candidates()), Ok(expected), "{wanted}");
    }

    #[test]
    fn exact_name_comes_before_other_case_and_before_an_id() {
        check("Choir", 1);
        check("choir", 2);
        check("kofi", 0);
        check("KOFI", 0);
        check("Kofi Mensah", 0);
        check("ffff", 5);
        check("fffff", 3);
        check("eeeeeeeebbbbbbbbccccccccdd", 2);
    }

    #[test]
    fn several_that_fit_are_listed_with_ids_that_tell_them_apart() {
        let error = resolve(CONVERSATION, "Same", candidates()).unwrap_err().to_string();
        assert!(error.contains("ffffffff  Same") && error.contains("gggggggg  Same"), "{error}");
        let error = resolve(CONVERSATION, "ggg", candidates()).unwrap_err().to_string();
        assert!(error.contains("gggggggg2  Same") && error.contains("gggggggg3  ffff"), "{error}");
        assert!(resolve(CONVERSATION, "CHOIR", candidates()).is_err());
    }

    #[test]
    fn what_fits_nothing_says_where_to_look() {
        let error = resolve(CONVERSATION, "anna", candidates()).unwrap_err();
        assert!(error.to_string().contains("tidings conversations"), "{error}");
        assert!(resolve(CONVERSATION, "aa", candidates()).is_err());
        assert!(resolve(CONVERSATION, "", candidates()).is_err());
    }

    #[test]
    fn names_in_an_error_cannot_draw_on_the_terminal() {
        let twins = vec![candidate(0, "a", &["x\x1b[2J"]), candidate(1, "b", &["x\x1b[2J"])];
        let error = resolve(CONVERSATION, "x\x1b[2J", twins).unwrap_err();
        let NamingError::Ambiguous { list, .. } = error else { panic!("{error}") };
        assert!(!list.contains('\x1b'), "{list:?}");
    }
}
