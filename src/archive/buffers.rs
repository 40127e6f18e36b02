//! Memory that is used again and again: fresh memory costs as much time as what is done with it.

use crossbeam_channel::{Receiver, Sender, unbounded};

/// Buffers that go round. There are never more than were in use at once.
#[derive(Clone)]
pub(super) struct Buffers {
    give: Sender<Vec<u8>>,
    take: Receiver<Vec<u8>>,
}

impl Buffers {
    pub(super) fn new() -> Self {
        let (give, take) = unbounded();
        Self { give, take }
    }

    /// A buffer with whatever stands in it, or a new one.
    pub(super) fn take(&self) -> Vec<u8> {
        self.take.try_recv().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub(super) fn give(&self, buffer: Vec<u8>) {
        // The other end is in the same struct.
        let _ = self.give.send(buffer);
    }
}
