//! Bytes that hold keys: wiped when the last copy goes, and never printed.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// Secret bytes. Copies share them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    /// The bytes, to be stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secret({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_bytes_show_in_no_output() {
        assert_eq!(format!("{:?}", Secret::from(vec![7; 3])), "Secret(3 bytes)");
    }
}
