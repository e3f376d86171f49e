//! Finding messages by their words.

use std::fs;
use std::path::Path;

use tidings_client_core::{Database as _, Write};
use tidings_client_database::Database;

use crate::fixtures::*;

fn with_texts(texts: &[&str]) -> Database {
    let mut database = in_memory();
    write(
        &mut database,
        (1..).zip(texts).flat_map(|(number, text)| put_and_index(message(KOFI, number, "?"), text)),
    );
    database
}

fn check(texts: &[&str], query: &str, expected: &[u64]) {
    assert_eq!(found(&with_texts(texts), query), expected, "{query:?}");
}

#[test]
fn all_words_must_be_there_in_any_order() {
    let texts = ["the old violin", "a violin so old", "an old cello"];
    check(&texts, "old violin", &[2, 1]);
    check(&texts, "  violin\told\n", &[2, 1]);
    check(&texts, "old piano", &[]);
}

#[test]
fn last_word_is_found_by_its_beginning_and_the_others_whole() {
    let texts = ["violins sound", "violin soundly", "viola sounding"];
    check(&texts, "violin so", &[2]);
    check(&texts, "viol", &[3, 2, 1]);
    check(&texts, "viol sound", &[]);
}

#[test]
fn case_and_diacritics_make_no_difference() {
    let texts = ["Ünïcödé", "UNICODE", "ΣΊΣΥΦΟΣ", "हिन्दी में"];
    check(&texts, "unicode", &[2, 1]);
    check(&texts, "ÛNICODE", &[2, 1]);
    check(&texts, "σίσυφος", &[3]);
    check(&texts, "हिन्दी", &[4]);
}

#[test]
fn query_without_a_word_finds_nothing() {
    for query in ["", "   ", "\0", "!!! ???", "\"", "\"\"", "*", "👍", "\u{feff}"] {
        check(&["word ! ? * 👍"], query, &[]);
    }
}

#[test]
fn signs_of_the_query_language_are_ordinary_text() {
    let texts = ["either or not", "text near here", "a column"];
    check(&texts, "OR", &[1]);
    check(&texts, "either NOT here", &[]);
    check(&texts, "either NOT", &[1]);
    check(&texts, "NEAR(here, 2)", &[]);
    check(&texts, "near here", &[2]);
    check(&texts, "text:here", &[]);
    check(&texts, "^column", &[3]);
    check(&texts, "{column} -a", &[3]);
    check(&texts, "col* umn", &[]);
    check(&texts, "\"either", &[1]);
    check(&texts, "either !!!", &[1]);
}

#[test]
fn newest_hits_come_first_and_no_more_than_asked_for() {
    let database = with_texts(&["violin"; 7]);
    let newest: Vec<u64> =
        database.search("violin", 3).unwrap().iter().map(|hit| hit.seq.get()).collect();
    assert_eq!(newest, [7, 6, 5]);
    assert_eq!(database.search("violin", 0).unwrap(), []);
}

#[test]
fn hit_says_where_it_is_and_what_the_text_is() {
    let database = with_texts(&["a violin"]);
    assert_eq!(database.search("violin", 9).unwrap(), [hit(&message(KOFI, 1, "?"), "a violin")]);
}

#[test]
fn message_is_found_under_its_latest_text_only() {
    let mut database = with_texts(&["violin", "violin"]);
    write(&mut database, [Write::Index(hit(&message(KOFI, 1, "?"), "cello"))]);
    assert_eq!(found(&database, "violin"), [2]);
    assert_eq!(found(&database, "cello"), [1]);
    write(&mut database, [Write::Index(hit(&message(KOFI, 1, "?"), "cello"))]);
    assert_eq!(found(&database, "cello"), [1]);
    let unindex = || Write::Unindex { conversation: CHOIR, message: reference(KOFI, 1) };
    write(&mut database, [unindex(), unindex()]);
    assert_eq!(found(&database, "cello"), [0; 0]);
    assert_eq!(found(&database, "violin"), [2]);
}

#[test]
fn page_pasted_as_a_query_is_searched_by_its_beginning() {
    let page = "violin ".repeat(10_000);
    check(&["a violin"], &page, &[1]);
    // Every sign is a word of its own.
    check(&["a b"], &"a ".repeat(10_000), &[1]);
    check(&["a.a"], &"a.".repeat(10_000), &[]);
    // The cut falls into a sign of four bytes.
    check(&["a violin"], &format!("violin {}", "👍".repeat(10_000)), &[1]);
}

fn naughty_strings() -> Vec<String> {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/naughty-strings/blns.json");
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

#[test]
fn every_naughty_string_is_a_query_and_finds_itself_by_a_letter_or_number() {
    let strings = naughty_strings();
    assert!(strings.len() > 500);
    let texts: Vec<&str> = strings.iter().map(String::as_str).collect();
    let database = with_texts(&texts);
    let mut with_words = 0;
    for (number, text) in (1_u64..).zip(&texts) {
        let hits = database.search(text, texts.len()).unwrap();
        let own = hits.iter().find(|hit| hit.seq.get() == number);
        if text.contains(char::is_alphanumeric) {
            assert_eq!(own.map(|hit| hit.text.as_str()), Some(*text));
            with_words += 1;
        }
    }
    assert!(with_words > 400, "{with_words}");
}

#[test]
fn every_naughty_string_leaves_the_index_as_it_came() {
    let strings = naughty_strings();
    let texts: Vec<&str> = strings.iter().map(String::as_str).collect();
    let mut database = with_texts(&texts);
    let unindex = |number| Write::Unindex { conversation: CHOIR, message: reference(KOFI, number) };
    write(&mut database, (1..=texts.len() as u64).map(unindex));
    for text in texts {
        assert_eq!(found(&database, text), [0; 0], "{text:?}");
    }
}
