//! The text of a message, from the command line or from standard input, taken as it is.

use std::io::{self, BufRead, IsTerminal, Read};
use std::thread;

use tokio::sync::mpsc;

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TextError {
    /// There is none.
    #[error("there is no text to send: write it behind the command, or pipe it in with -")]
    Empty,
    /// A message is text.
    #[error("standard input is not UTF-8 text (byte {0}): a message can only be text")]
    NotText(usize),
    /// It cannot be read.
    #[error("standard input cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// The text given, or all of standard input less one line end.
pub(crate) fn whole(given: Option<&str>) -> Result<String, TextError> {
    let text = match given {
        Some(text) if text != "-" => text.to_owned(),
        Some(_) => without_one_line_end(standard_input()?),
        None if io::stdin().is_terminal() => return Err(TextError::Empty),
        None => without_one_line_end(standard_input()?),
    };
    if text.is_empty() { Err(TextError::Empty) } else { Ok(text) }
}

/// The lines of standard input as they come; empty ones are no messages. They are read by a thread, so
/// that a pipe that stays open keeps nobody else waiting.
pub(crate) fn lines() -> mpsc::Receiver<Result<String, TextError>> {
    let (sender, lines) = mpsc::channel(LINES_MAX);
    thread::spawn(move || {
        for line in split_lines(io::stdin().lock()) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Lines that were read and are not handed over yet. Past it the pipe waits.
const LINES_MAX: usize = 16;

fn split_lines(input: impl BufRead) -> impl Iterator<Item = Result<String, TextError>> {
    let mut read = 0;
    input
        .split(b'\n')
        .map(move |line| {
            let line = line?;
            let before = read;
            read += line.len() + 1;
            String::from_utf8(line)
                .map_err(|error| TextError::NotText(before + error.utf8_error().valid_up_to()))
        })
        .filter(|line| !matches!(line, Ok(line) if line.is_empty()))
}

fn standard_input() -> Result<String, TextError> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|error| TextError::NotText(error.utf8_error().valid_up_to()))
}

fn without_one_line_end(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_cut_and_nothing_else() {
        assert_eq!(without_one_line_end("a\n\n".to_owned()), "a\n");
        assert_eq!(without_one_line_end(" a\r\n".to_owned()), " a\r");
        assert_eq!(without_one_line_end("a".to_owned()), "a");
    }

    #[test]
    fn given_text_is_taken_as_it_is() {
        assert_eq!(whole(Some(" \u{1b}[31m ")).unwrap(), " \u{1b}[31m ");
        assert!(matches!(whole(Some("")), Err(TextError::Empty)));
    }

    #[test]
    fn each_line_is_a_message_and_empty_ones_are_none() {
        let lines: Vec<String> =
            split_lines(b"one\n\n two \n".as_slice()).map(Result::unwrap).collect();
        assert_eq!(lines, ["one", " two "]);
    }

    #[test]
    fn line_that_is_no_text_is_told_and_does_not_hide_the_next() {
        let mut lines = split_lines(b"a\n\xff\nb\n".as_slice());
        assert_eq!(lines.next().unwrap().unwrap(), "a");
        assert!(matches!(lines.next(), Some(Err(TextError::NotText(2)))));
        assert_eq!(lines.next().unwrap().unwrap(), "b");
    }
}
