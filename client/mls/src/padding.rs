//! Content is padded to powers of two from 256 bytes, so that its size tells only a bucket.
//!
//! A bucket holds the length (4 bytes, big-endian), the content, and zeros. MLS has padding of its
//! own (RFC 9420 §6.3.1), but no library pads to these sizes, so it stays unused.

use tidings_protocol_mls::limits::{BUCKET_BYTES_MAX, BUCKET_BYTES_MIN};

use crate::MlsError;

const LENGTH_BYTES: usize = 4;

/// The largest content that fits, in bytes.
pub(crate) const CONTENT_BYTES_MAX: usize = BUCKET_BYTES_MAX - LENGTH_BYTES;

pub(crate) fn pad(content: &[u8]) -> Result<Vec<u8>, MlsError> {
    let length = u32::try_from(content.len()).ok().filter(|_| content.len() <= CONTENT_BYTES_MAX);
    let length =
        length.ok_or(MlsError::TooLarge { bytes: content.len(), max: CONTENT_BYTES_MAX })?;
    let size = (LENGTH_BYTES + content.len()).next_power_of_two().max(BUCKET_BYTES_MIN);
    let mut bucket = Vec::with_capacity(size);
    bucket.extend(length.to_be_bytes());
    bucket.extend(content);
    bucket.resize(size, 0);
    Ok(bucket)
}

/// Takes content out of its bucket; `None` for one that [`pad`] does not make.
pub(crate) fn unpad(bucket: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bucket.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (content, padding) = rest.split_at_checked(length)?;
    let is_bucket = bucket.len().is_power_of_two()
        && (BUCKET_BYTES_MIN..=BUCKET_BYTES_MAX).contains(&bucket.len())
        && padding.iter().all(|byte| *byte == 0);
    is_bucket.then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_comes_back_out_of_the_smallest_bucket_that_holds_it() {
        for (length, bucket) in
            [(0, 256), (252, 256), (253, 512), (1_000, 1_024), (CONTENT_BYTES_MAX, 65_536)]
        {
            let content = vec![7; length];
            let padded = pad(&content).unwrap();
            assert_eq!(padded.len(), bucket, "{length} bytes");
            assert_eq!(unpad(&padded), Some(&content[..]));
        }
    }

    #[test]
    fn content_past_the_largest_bucket_is_refused() {
        let refused = pad(&vec![0; CONTENT_BYTES_MAX + 1]);
        assert!(matches!(refused, Err(MlsError::TooLarge { max: CONTENT_BYTES_MAX, .. })));
    }

    #[test]
    fn bucket_of_another_shape_is_refused() {
        let bucket = pad(b"hello").unwrap();
        assert_eq!(unpad(&bucket[..255]), None);
        assert_eq!(unpad(&bucket[..128]), None);
        assert_eq!(unpad(&[]), None);
        let mut longer_than_itself = bucket.clone();
        longer_than_itself[2] = 1;
        assert_eq!(unpad(&longer_than_itself), None);
        let mut hidden = bucket;
        hidden[255] = 1;
        assert_eq!(unpad(&hidden), None);
    }
}
