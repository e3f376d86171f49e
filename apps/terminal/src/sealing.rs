//! Whether a conversation is sealed or open, and what keeps this device out of a sealed one, in words.

use tidings_client_core::Listing;
use tidings_client_core::database::{GroupPart, Sealing};

/// What an open conversation is, wherever it is shown.
pub(crate) const OPEN: &str = "open: the server can read this";

/// Whether the server can read a conversation.
pub(crate) fn is_open(sealing: Sealing) -> bool {
    sealing == Sealing::Open
}

/// The title of a conversation with the mark of an open one.
pub(crate) fn marked(title: &str, sealing: Sealing) -> String {
    if is_open(sealing) { format!("{title} (open)") } else { title.to_owned() }
}

/// Why this device can neither read nor seal here for the moment, as the beginning of a sentence.
pub(crate) fn hindrance(sealing: Sealing, listing: Listing) -> Option<&'static str> {
    let Sealing::Sealed { part } = sealing else { return None };
    match (listing, part) {
        (Listing::Unlisted, _) => {
            Some("this device cannot read sealed conversations yet (`tidings link`)")
        }
        (_, GroupPart::Outside) => Some("waiting for the keys of this conversation"),
        (_, GroupPart::Lost) => Some("the keys were lost here, and this device asks for new ones"),
        (_, GroupPart::Inside | GroupPart::Removed) => None,
    }
}

/// Whether this device is about to come into a sealed conversation.
pub(crate) fn is_coming_in(sealing: Sealing) -> bool {
    matches!(sealing, Sealing::Sealed { part: GroupPart::Outside | GroupPart::Lost })
}

/// Where the keys of a sealed conversation are, by the name that programs read; `None` for an open one.
pub(crate) fn keys_name(sealing: Sealing) -> Option<&'static str> {
    let Sealing::Sealed { part } = sealing else { return None };
    Some(match part {
        GroupPart::Inside => "here",
        GroupPart::Outside => "waited_for",
        GroupPart::Lost => "lost",
        GroupPart::Removed => "removed",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSIDE: Sealing = Sealing::Sealed { part: GroupPart::Inside };
    const OUTSIDE: Sealing = Sealing::Sealed { part: GroupPart::Outside };

    #[test]
    fn open_conversation_is_marked_and_needs_no_keys() {
        assert_eq!(marked("Choir", Sealing::Open), "Choir (open)");
        assert_eq!(marked("Choir", INSIDE), "Choir");
        assert_eq!(hindrance(Sealing::Open, Listing::Unlisted), None);
        assert_eq!(keys_name(Sealing::Open), None);
    }

    #[test]
    fn device_that_is_not_linked_hears_of_that_before_anything_else() {
        for part in [INSIDE, OUTSIDE] {
            let words = hindrance(part, Listing::Unlisted).expect("it is kept out");
            assert!(words.contains("tidings link"), "{words}");
        }
        assert_eq!(hindrance(INSIDE, Listing::Listed), None);
        assert!(hindrance(OUTSIDE, Listing::Listed).is_some_and(|words| words.contains("keys")));
        assert!(is_coming_in(OUTSIDE) && !is_coming_in(INSIDE));
    }
}
