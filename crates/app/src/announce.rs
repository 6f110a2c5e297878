//! Marks go into the history and to those who listen, at once.

use std::sync::Arc;

use plimsoll_core::{
    mark::Mark,
    record::{Layer, Record},
};

use crate::{api::Live, hub::Hub};

/// A recorder that also tells of marks.
pub struct Announce {
    below: Arc<dyn Record>,
    hub: Hub,
}

// === impl Announce ===

impl Announce {
    pub fn new(below: Arc<dyn Record>, hub: Hub) -> Self {
        Self { below, hub }
    }
}

impl Layer for Announce {
    fn below(&self) -> &dyn Record {
        &*self.below
    }

    fn on_mark(&self, mark: Mark) {
        self.hub.tell(Live::Mark { mark: Arc::new(mark.clone()) });
        self.below.mark(mark);
    }
}
