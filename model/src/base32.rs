//! The text form of identifiers and tokens: the alphabet of RFC 4648 §6 in lower case, without
//! padding.
//!
//! Only the one canonical text of some bytes is read back: no upper case, no left-over bits. Two texts
//! for one identifier would be two keys in somebody's table.

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Number of characters that stand for 16 bytes.
pub const TEXT_LENGTH_16: usize = 26;

/// Writes bytes as text.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity((bytes.len() * 8).div_ceil(5));
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(char::from(ALPHABET[(bits >> held) as usize & 31]));
        }
    }
    if held > 0 {
        text.push(char::from(ALPHABET[(bits << (5 - held)) as usize & 31]));
    }
    text
}

/// Reads text of exactly `N` bytes; `None` for anything that [`encode`] does not write.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != (N * 8).div_ceil(5) {
        return None;
    }
    let mut bytes = [0; N];
    let mut filled = 0;
    let (mut bits, mut held) = (0u32, 0u32);
    for character in text.bytes() {
        let value = match character {
            b'a'..=b'z' => character - b'a',
            b'2'..=b'7' => character - b'2' + 26,
            _ => return None,
        };
        bits = (bits << 5) | u32::from(value);
        held += 5;
        if held >= 8 {
            held -= 8;
            *bytes.get_mut(filled)? = (bits >> held) as u8;
            filled += 1;
        }
    }
    let left_over = bits & ((1 << held) - 1);
    (filled == N && left_over == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_the_lower_case_of_rfc_4648() {
        assert_eq!(encode(b"foobar"), "mzxw6ytboi");
        assert_eq!(encode(b"f"), "my");
        assert_eq!(decode::<6>("mzxw6ytboi"), Some(*b"foobar"));
    }

    #[test]
    fn other_texts_of_the_same_bytes_are_refused() {
        assert_eq!(decode::<1>("my"), Some(*b"f"));
        for text in ["MY", "mz", "m", "my=", "my ", "m1", "mé"] {
            assert_eq!(decode::<1>(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_16_bytes_come_back(bytes: [u8; 16]) {
            let text = encode(&bytes);
            prop_assert_eq!(text.len(), TEXT_LENGTH_16);
            prop_assert_eq!(decode::<16>(&text), Some(bytes));
        }

        #[test]
        fn text_that_is_read_is_what_would_be_written(text in "[a-z2-7]{26}") {
            if let Some(bytes) = decode::<16>(&text) {
                prop_assert_eq!(encode(&bytes), text);
            }
        }
    }
}
