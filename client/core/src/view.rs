//! View-models: what every app draws, and how it learns of changes.
//!
//! A view-model is a list of values that an app draws as they are. The core keeps the last one that
//! it told and tells the difference, so that an app changes what changed and nothing else.

mod composer;
mod conversation_list;
mod diff;
mod message;
mod timeline;

pub use composer::{Blocked, Composer, ComposerPurpose};
pub use conversation_list::{ConversationSummary, Preview};
pub use diff::Diff;
pub use message::{DeliveryState, MessageText, MessageView, Person, Quote, ReactionView};
pub use timeline::{EventLine, TimelineRow};

pub(crate) use composer::compose;
pub(crate) use conversation_list::ConversationList;
pub(crate) use diff::difference;
pub(crate) use message::{MessageViews, annotation_target, current_text, person};
pub(crate) use timeline::{Timeline, draw};
