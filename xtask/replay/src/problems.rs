//! What went wrong on the way: told on standard error at once, and kept, so that the replay goes on to
//! its end, counts what there is to count, and still fails.

use std::sync::{Arc, Mutex, PoisonError};

/// Problems so far. Clones are the same list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Problems {
    list: Arc<Mutex<Vec<String>>>,
}

impl Problems {
    /// Tells and keeps a problem.
    pub(crate) fn note(&self, problem: impl Into<String>) {
        let problem = problem.into();
        eprintln!("replay: problem: {problem}");
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
