//! What people say to one another: tidings.content.v1.
