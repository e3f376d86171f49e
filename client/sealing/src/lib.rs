//! How a conversation's content is sealed.
