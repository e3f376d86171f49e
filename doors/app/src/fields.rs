//! Names and fields as peers send them: prepared or checked, or refused by the field's name in the
//! schema.

use tidings_model::Refusal;
use tidings_model::limits::{
    CONVERSATION_NAME_BYTES_MAX, DISPLAY_NAME_BYTES_MAX, USER_NAME_BYTES_MAX,
};
use tidings_protocol_identity::{
    ConversationName, DisplayName, DisplayNameError, UserName, UserNameError,
};

/// A field without a valid value.
pub(crate) fn field(field: &'static str, problem: &'static str) -> Refusal {
    Refusal::InvalidField { field, problem }
}

/// Checks the size of something that the server does not look into.
pub(crate) fn check_payload(payload: &[u8], max: usize) -> Result<(), Refusal> {
    if payload.len() > max {
        return Err(Refusal::PayloadTooLarge { max: max as u64 });
    }
    Ok(())
}

/// Prepares a user name (RFC 8265).
pub(crate) fn user_name(name: &'static str, typed: &str) -> Result<UserName, Refusal> {
    UserName::parse(typed).map_err(|error| match error {
        UserNameError::TooLong { .. } => Refusal::NameTooLong { max: USER_NAME_BYTES_MAX as u64 },
        UserNameError::Empty => field(name, "is empty"),
        UserNameError::Whitespace => {
            field(name, "holds a space: write '.', '-' or '_' in its place")
        }
        UserNameError::Reserved { .. } => field(name, "holds one of \" & ' / : < > @"),
        UserNameError::Disallowed { .. } => field(
            name,
            "holds a character that names cannot have: use letters, digits and plain punctuation",
        ),
        UserNameError::MixedDirections => {
            field(name, "mixes right-to-left and left-to-right letters: use one direction")
        }
        UserNameError::MixedScripts => {
            field(name, "mixes letters of several scripts, which look alike: use one script")
        }
        UserNameError::Unstable => field(name, "has no stable form: choose another"),
    })
}

/// Checks the name that a person or a device shows.
pub(crate) fn display_name(field: &'static str, given: &str) -> Result<String, Refusal> {
    match DisplayName::parse(given) {
        Ok(name) => Ok(name.as_str().to_owned()),
        Err(error) => Err(shown_name(field, DISPLAY_NAME_BYTES_MAX as u64, &error)),
    }
}

/// Checks the name of a group.
pub(crate) fn conversation_name(given: &str) -> Result<String, Refusal> {
    match ConversationName::parse(given) {
        Ok(name) => Ok(name.as_str().to_owned()),
        Err(error) => Err(shown_name("name", CONVERSATION_NAME_BYTES_MAX as u64, &error)),
    }
}

fn shown_name(name: &'static str, max: u64, error: &DisplayNameError) -> Refusal {
    match error {
        DisplayNameError::TooLong { .. } => Refusal::NameTooLong { max },
        DisplayNameError::Empty => field(name, "is empty"),
        DisplayNameError::Blank => field(name, "has no character that can be seen"),
        DisplayNameError::Control { .. } => {
            field(name, "holds a control character or a line break: names are one line")
        }
    }
}
