//! Where a password comes from: standard input, `TIDINGS_PASSWORD`, or a prompt without echo.
//!
//! Never from an argument: other people on the machine see the arguments of a program.

use std::env::{self, VarError};
use std::io::{self, BufRead, IsTerminal};

use tidings_protocol_identity::{Password, PasswordError};
use zeroize::Zeroizing;

use crate::arguments::PasswordSource;

const VARIABLE: &str = "TIDINGS_PASSWORD";

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    /// It cannot be one.
    #[error("{0}")]
    Unusable(#[from] PasswordError),
    /// The two that were typed differ.
    #[error("the two passwords differ: type the same one twice")]
    Differ,
    /// Nobody can be asked.
    #[error(
        "a password is needed and there is no terminal to ask on: use --password-stdin or set \
         TIDINGS_PASSWORD"
    )]
    NoTerminal,
    /// The variable is not UTF-8.
    #[error("TIDINGS_PASSWORD is not UTF-8 text: type the password or use --password-stdin")]
    NotText,
    /// It cannot be read.
    #[error("the password cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// How often a password is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It exists: once.
    SignIn,
    /// It is chosen now: twice, since nobody sees what is typed.
    SignUp,
}

/// Takes the password from where it is.
pub(crate) fn password(source: &PasswordSource, purpose: Purpose) -> Result<Password, SecretError> {
    if source.password_stdin {
        return Ok(Password::parse(&first_line(io::stdin().lock())?)?);
    }
    match env::var(VARIABLE).map(Zeroizing::new) {
        Ok(password) => return Ok(Password::parse(&password)?),
        Err(VarError::NotUnicode(_)) => return Err(SecretError::NotText),
        Err(VarError::NotPresent) => {}
    }
    if !io::stdin().is_terminal() {
        return Err(SecretError::NoTerminal);
    }
    let password = Zeroizing::new(rpassword::prompt_password("Password: ")?);
    if purpose == Purpose::SignUp {
        let again = Zeroizing::new(rpassword::prompt_password("The same again: ")?);
        if password != again {
            return Err(SecretError::Differ);
        }
    }
    Ok(Password::parse(&password)?)
}

fn first_line(mut input: impl BufRead) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    input.read_line(&mut line)?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_line_is_the_password_with_its_spaces() {
        let line = |input: &str| first_line(input.as_bytes()).unwrap().to_string();
        assert_eq!(line(" correct horse \r\nmore\n"), " correct horse ");
        assert_eq!(line("no line end"), "no line end");
        assert_eq!(line(""), "");
    }
}
