//! The code that a new device shows and an old one is given, typed or scanned.
//!
//! Eight characters of lower-case base32, 40 random bits, in two groups: short enough to be typed. It
//! is no key: the exchange that it authenticates gives one guess per attempt and nothing to try
//! offline, and a new device lets [`TRIES_MAX`] attempts pass. As a QR code it is the same text behind
//! `tidings-link:`.

use std::fmt;
use std::str::FromStr;

use tidings_model::base32;
use zeroize::Zeroize;

use crate::LinkError;

/// Bytes of a code.
const CODE_BYTES: usize = 5;
const CODE_CHARACTERS: usize = 8;
const SCHEME: &str = "tidings-link:";

/// A code. Its `Debug` form hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkCode([u8; CODE_BYTES]);

impl LinkCode {
    /// Makes a code out of random bytes.
    pub const fn from_entropy(entropy: [u8; CODE_BYTES]) -> Self {
        Self(entropy)
    }

    /// The text of a QR code.
    pub fn to_scan(&self) -> String {
        format!("{SCHEME}{}", base32::encode(&self.0))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for LinkCode {
    type Err = LinkError;

    /// Reads what was typed or scanned: capitals, spaces and hyphens do not matter.
    fn from_str(text: &str) -> Result<Self, LinkError> {
        let text = text.trim();
        let text = text.strip_prefix(SCHEME).unwrap_or(text);
        let typed: String = text
            .chars()
            .filter(|character| !character.is_whitespace() && *character != '-')
            .map(|character| character.to_ascii_lowercase())
            .take(CODE_CHARACTERS + 1)
            .collect();
        base32::decode(&typed).map(Self).ok_or(LinkError::NoCode)
    }
}

impl fmt::Display for LinkCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = base32::encode(&self.0);
        let (first, second) = text.split_at(CODE_CHARACTERS / 2);
        write!(formatter, "{first}-{second}")
    }
}

impl fmt::Debug for LinkCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LinkCode(..)")
    }
}

impl Drop for LinkCode {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: LinkCode = LinkCode([0x12, 0x34, 0x56, 0x78, 0x9a]);

    #[test]
    fn code_is_read_as_it_is_shown_typed_or_scanned() {
        let shown = CODE.to_string();
        assert_eq!(shown.len(), 9);
        for text in [
            shown.clone(),
            shown.to_uppercase(),
            shown.replace('-', " "),
            shown.replace('-', ""),
            CODE.to_scan(),
        ] {
            assert_eq!(text.parse(), Ok(CODE), "{text}");
        }
    }

    #[test]
    fn other_text_is_no_code() {
        for text in ["", "abcd", "abcd-efg1", "abcd-efgh-i", "https://example.org"] {
            assert_eq!(text.parse::<LinkCode>(), Err(LinkError::NoCode), "{text}");
        }
    }

    #[test]
    fn code_shows_in_no_debug_output() {
        assert_eq!(format!("{CODE:?}"), "LinkCode(..)");
    }
}
