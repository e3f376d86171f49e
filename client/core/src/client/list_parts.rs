//! Fetched parts of a device list, read as a continuation of what is known.
//!
//! Of a known list its last entry comes once more: without it, or with another one, somebody holds
//! entries back or shows another list.

use tidings_model::AccountId;
use tidings_protocol_app::sealed::DeviceListPart;
use tidings_protocol_mls::{DeviceList, ListError};

/// Why an offered list is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("it ends before entry {known}, which this device knows")]
    Shorter { known: usize },
    #[error("it is another one than what this device knows")]
    Forked,
    #[error("it leaves out a part")]
    Incomplete,
    #[error(transparent)]
    Invalid(#[from] ListError),
}

/// What fetched parts come to: the lists that are new or longer, each with whether it is of a later
/// identity than the one before.
pub(super) type News = Vec<(DeviceList, bool)>;

/// Reads fetched parts as a continuation of what is known, which was asked for from its last entry on.
pub(super) fn read_parts(
    known: Option<&DeviceList>,
    identity: u32,
    account: AccountId,
    parts: Vec<DeviceListPart>,
) -> Result<News, Refusal> {
    let mut news = News::new();
    let mut next_identity = known.map_or(0, |_| identity + 1);
    let mut is_confirmed = known.is_none();
    for part in parts {
        match known {
            Some(known) if part.identity == identity => {
                is_confirmed = true;
                if let Some(list) = continued(known, &part)? {
                    news.push((list, false));
                }
            }
            _ if part.identity == next_identity && part.from == 0 => {
                next_identity += 1;
                let list = DeviceList::verify(account, &part.entries)?;
                news.push((list, true));
            }
            _ => return Err(Refusal::Incomplete),
        }
    }
    match known {
        Some(known) if !is_confirmed => Err(Refusal::Shorter { known: known.entries().len() - 1 }),
        _ => Ok(news),
    }
}

/// The known list with what a part adds to it; `None` where that is nothing.
fn continued(known: &DeviceList, part: &DeviceListPart) -> Result<Option<DeviceList>, Refusal> {
    let entries = known.entries();
    let from = part.from as usize;
    let overlap = entries.get(from..).filter(|overlap| !overlap.is_empty());
    let overlap = overlap.ok_or(Refusal::Incomplete)?;
    if part.entries.len() < overlap.len() {
        return Err(Refusal::Shorter { known: entries.len() - 1 });
    }
    let (repeated, new) = part.entries.split_at(overlap.len());
    if repeated != overlap {
        return Err(Refusal::Forked);
    }
    if new.is_empty() {
        return Ok(None);
    }
    let mut list = known.clone();
    list.extend(new).map_err(|error| match error {
        ListError::ChainBroken { .. } => Refusal::Forked,
        error => Refusal::Invalid(error),
    })?;
    Ok(Some(list))
}

#[cfg(test)]
mod tests {
    use tidings_model::{DeviceId, Timestamp};
    use tidings_protocol_mls::SecretKey;

    use super::*;

    fn account() -> AccountId {
        AccountId::from_bytes([1; 16])
    }

    fn founded(seed: u8) -> DeviceList {
        let (key, recovery) = (SecretKey::from_seed(&[seed; 32]), SecretKey::from_seed(&[99; 32]));
        let device = DeviceId::from_bytes([seed; 16]);
        DeviceList::found(account(), device, &key, recovery.public(), Timestamp::from_millis(0))
    }

    fn grown(list: &DeviceList, founder: u8, seed: u8) -> DeviceList {
        let mut list = list.clone();
        let (signer, key) =
            (SecretKey::from_seed(&[founder; 32]), SecretKey::from_seed(&[seed; 32]));
        let device = DeviceId::from_bytes([seed; 16]);
        list.add_device(&signer, device, key.public(), Timestamp::from_millis(0)).unwrap();
        list
    }

    fn part(list: &DeviceList, identity: u32, from: usize) -> DeviceListPart {
        let entries = list.entries()[from..].to_vec();
        DeviceListPart { account: account(), identity, from: from as u32, entries }
    }

    fn read(known: Option<&DeviceList>, parts: Vec<DeviceListPart>) -> Result<News, Refusal> {
        read_parts(known, 0, account(), parts)
    }

    #[test]
    fn first_list_and_its_continuation_are_taken() {
        let (one, two) = (founded(1), grown(&founded(1), 1, 2));
        assert_eq!(read(None, vec![part(&one, 0, 0)]), Ok(vec![(one.clone(), true)]));
        assert_eq!(read(Some(&one), vec![part(&two, 0, 0)]), Ok(vec![(two.clone(), false)]));
        assert_eq!(read(Some(&two), vec![part(&two, 0, 1)]), Ok(vec![]));
        assert_eq!(read(None, vec![]), Ok(vec![]));
    }

    #[test]
    fn shorter_list_is_refused_whether_it_is_shown_or_not() {
        let (one, two) = (founded(1), grown(&founded(1), 1, 2));
        let refused = Err(Refusal::Shorter { known: 1 });
        assert_eq!(read(Some(&two), vec![]), refused);
        assert_eq!(read(Some(&two), vec![part(&one, 0, 0)]), refused);
    }

    #[test]
    fn forked_list_is_refused_at_its_first_other_entry() {
        let base = founded(1);
        let (one, other) = (grown(&base, 1, 2), grown(&base, 1, 3));
        assert_eq!(read(Some(&one), vec![part(&other, 0, 1)]), Err(Refusal::Forked));
        let mut longer = part(&grown(&other, 1, 4), 0, 1);
        longer.entries[0] = one.entries()[1].clone();
        assert_eq!(read(Some(&one), vec![longer]), Err(Refusal::Forked));
    }

    #[test]
    fn new_identity_comes_whole_and_behind_the_known_one() {
        let (old, new) = (founded(1), founded(5));
        let parts = vec![part(&old, 0, 0), part(&new, 1, 0)];
        assert_eq!(read(Some(&old), parts.clone()), Ok(vec![(new.clone(), true)]));
        assert_eq!(read(None, parts), Ok(vec![(old.clone(), true), (new.clone(), true)]));
        let hides_the_known = vec![part(&new, 1, 0)];
        assert_eq!(read(Some(&old), hides_the_known), Err(Refusal::Shorter { known: 0 }));
        let skips_one = vec![part(&old, 0, 0), part(&new, 2, 0)];
        assert_eq!(read(Some(&old), skips_one), Err(Refusal::Incomplete));
        let ghost =
            DeviceListPart { entries: vec![new.entries()[0].slice(1..)], ..part(&new, 1, 0) };
        let refused = read(Some(&old), vec![part(&old, 0, 0), ghost]);
        assert!(matches!(refused, Err(Refusal::Invalid(_))));
    }
}
