//! Unpacking a package: some threads bring and unpack frames, one holds their bytes against the
//! index, and the caller's writes them.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Mutex;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::buffers::Buffers;
use super::error::{Error, Result};
use super::frame::{ChunkDigests, Decompressor};
use super::package::{Package, Sink};
use super::stream::{Step, Walk};
use super::supply::Form;
use crate::progress::Task;

/// What a frame unpacked to.
type Unpacked = Result<Vec<u8>>;

/// Contents that were checked, and what is to be done with them.
type Checked = Result<(Vec<u8>, Vec<Step>)>;

/// Hands out runs of frames in order, each with a place in the order of what is unpacked.
struct Runs {
    left: Range<usize>,
    order: Option<Sender<Receiver<Unpacked>>>,
}

impl Package {
    /// Unpacks every frame but the index's, and hands what the index lists to `sink`.
    pub(super) fn pour(
        &self,
        sink: &mut dyn Sink,
        threads: NonZeroUsize,
        digests: ChunkDigests,
        task: &dyn Task,
    ) -> Result<()> {
        let readers = self.supply.readers(threads).get();
        let (order, turns) = bounded(readers);
        let (checked, to_write) = bounded(1);
        let buffers = Buffers::new();
        let runs = Mutex::new(Runs { left: 1..self.table.chunks.len(), order: Some(order) });
        std::thread::scope(|scope| {
            for _ in 0..readers {
                scope.spawn(|| self.unpack_runs(&runs, digests, &buffers));
            }
            let checked_buffers = buffers.clone();
            scope.spawn(move || self.check(&turns, &checked, &checked_buffers));
            // Its end, by a failure as well, ends the other threads.
            for checked in to_write {
                let (contents, steps) = checked?;
                self.write(&contents, steps, sink)?;
                task.advance(contents.len() as u64);
                buffers.give(contents);
            }
            Ok(())
        })
    }

    /// Takes runs until none is left or nobody waits for them any more.
    fn unpack_runs(&self, runs: &Mutex<Runs>, digests: ChunkDigests, buffers: &Buffers) {
        let mut decompressor = Decompressor::new();
        while let Some((run, done)) = self.next_run(runs) {
            if self.unpack_run(run, &done, &mut decompressor, digests, buffers).is_none() {
                return;
            }
        }
    }

    /// The next run and where its contents go. Waits where enough are under way.
    fn next_run(&self, runs: &Mutex<Runs>) -> Option<(Range<usize>, Sender<Unpacked>)> {
        let mut runs = runs.lock().ok()?;
        let chunks = &self.table.chunks[runs.left.clone()];
        if chunks.is_empty() {
            // The checking thread ends where no run can come any more.
            runs.order = None;
            return None;
        }
        let length = self.supply.run_length(chunks).clamp(1, chunks.len());
        let run = runs.left.start..runs.left.start + length;
        // The contents of a run of one frame can wait; of longer ones none does, for memory's sake.
        let (done, turn) = bounded(usize::from(length == 1));
        runs.order.as_ref()?.send(turn).ok()?;
        runs.left.start = run.end;
        Some((run, done))
    }

    /// Unpacks a run; `None` where nobody waits for it any more.
    fn unpack_run(
        &self,
        run: Range<usize>,
        done: &Sender<Unpacked>,
        decompressor: &mut Decompressor,
        digests: ChunkDigests,
        buffers: &Buffers,
    ) -> Option<()> {
        let mut reader = self.supply.open(run.clone());
        let mut frame = buffers.take();
        for number in run {
            let chunk = &self.table.chunks[number];
            let mut contents = buffers.take();
            let unpacked = match reader.next(chunk, &mut frame) {
                Ok(Form::Contents) => {
                    std::mem::swap(&mut frame, &mut contents);
                    Ok(())
                }
                Ok(Form::Frame) => decompressor
                    .decompress(number, chunk, self.checksums[number], &frame, &mut contents)
                    .and_then(|()| digests.check(number, chunk, &contents))
                    .map_err(Error::from),
                Err(error) => Err(error),
            };
            done.send(unpacked.map(|()| contents)).ok()?;
        }
        buffers.give(frame);
        Some(())
    }

    /// Holds contents against the index, in order.
    fn check(
        &self,
        turns: &Receiver<Receiver<Unpacked>>,
        out: &Sender<Checked>,
        buffers: &Buffers,
    ) {
        let mut walk = Walk::new(&self.index);
        for unpacked in turns.iter().flatten() {
            let checked = unpacked.and_then(|contents| match walk.take(&contents) {
                Ok(steps) => Ok((contents, steps)),
                Err(error) => {
                    buffers.give(contents);
                    Err(error)
                }
            });
            let failed = checked.is_err();
            if out.send(checked).is_err() || failed {
                return;
            }
        }
        if let Err(error) = walk.end() {
            let _ = out.send(Err(error));
        }
    }

    /// Carries the steps out that `contents` allows.
    fn write(&self, contents: &[u8], steps: Vec<Step>, sink: &mut dyn Sink) -> Result<()> {
        for step in steps {
            match step {
                Step::Begin(file) => sink.begin(&self.index.files[file])?,
                Step::Write(range) => sink.write(&contents[range])?,
                Step::Finish(file) => sink.finish(&self.index.files[file])?,
            }
        }
        Ok(())
    }
}
