//! A thread for each image, which owns its mapped files and what was read of them.
//!
//! The readers borrow from the mapped files, so files and readers have to live side by side. On
//! the stack of a thread they do, without copies of the sections and without unsafe code; images
//! are read at the same time, and a reader that panics ends its own thread alone.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crate::answer::{StoredAnswer, Tables};
use crate::cache::{CacheError, SectionStore};
use crate::files::{Detail, Files, Wanted};
use crate::namer::{Namer, load_dwarf};
use crate::summary::Problem;

/// Readers recurse into nested entries; the system gives memory as it is used.
const STACK_BYTES: usize = 64 << 20;

/// What a worker found in one batch.
pub(crate) struct Batch {
    /// One for each address, in order; empty when the image cannot be used.
    pub(crate) answers: Vec<StoredAnswer>,
    /// Rows that the answers refer to, continuing those of earlier batches.
    pub(crate) rows: Tables,
    /// All problems so far.
    pub(crate) problems: Vec<Problem>,
    /// Whether the image answers at all.
    pub(crate) is_open: bool,
    /// Where files with names were looked for; the answers hold while these look the same.
    pub(crate) looked_at: Vec<PathBuf>,
    /// Why sections could not be kept for another time, said once.
    pub(crate) unkept: Option<CacheError>,
}

/// The running thread of one image.
pub(crate) struct Worker {
    /// `None` only while it is dropped.
    addresses: Option<Sender<Vec<u64>>>,
    batches: Receiver<Batch>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread, which begins to read at once; none for a file that is not there.
    pub(crate) fn start(wanted: Wanted) -> Result<Worker, Problem> {
        wanted.check_is_there()?;
        let (addresses, requests) = channel();
        let (replies, batches) = channel();
        let thread = std::thread::Builder::new()
            .name("symbolizer".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || run(&wanted, &requests, &replies))
            .map_err(|error| Problem::ReaderFailed {
                detail: format!("no thread could be started: {error}"),
            })?;
        Ok(Worker {
            addresses: Some(addresses),
            batches,
            thread: Some(thread),
        })
    }

    /// Asks for relative addresses; [`Worker::receive`] must follow.
    pub(crate) fn ask(&self, addresses: Vec<u64>) {
        if let Some(sender) = &self.addresses {
            // A thread that has ended is noticed by `receive`.
            let _ = sender.send(addresses);
        }
    }

    /// The answer to the oldest question.
    pub(crate) fn receive(&self) -> Result<Batch, Problem> {
        self.batches.recv().map_err(|_| Problem::ReaderFailed {
            detail: "it ended with a panic".to_owned(),
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The thread ends when nobody can ask it any more.
        self.addresses = None;
        if let Some(thread) = self.thread.take() {
            // A panic was reported when its answer was awaited.
            let _ = thread.join();
        }
    }
}

fn run(wanted: &Wanted, requests: &Receiver<Vec<u64>>, replies: &Sender<Batch>) {
    let files = match Files::open(wanted) {
        Ok(files) => files,
        Err(problem) => {
            let _ = replies.send(Batch {
                answers: Vec::new(),
                rows: Tables::default(),
                problems: vec![problem],
                is_open: false,
                looked_at: Vec::new(),
                unkept: None,
            });
            return;
        }
    };
    let mut store = SectionStore::new(wanted.cache.clone());
    let (bytes, damage) = match wanted.detail {
        Detail::Names if files.has_full_table() => (None, Vec::new()),
        Detail::Names | Detail::Full => load_dwarf(&files, &mut store),
    };
    let mut namer = Namer::new(&files, bytes.as_ref());
    let mut looked_at = files.looked_at.clone();
    while let Ok(addresses) = requests.recv() {
        let answers = namer.name_all(addresses);
        looked_at.extend(namer.take_looked_at());
        let mut problems = files.problems.clone();
        problems.extend_from_slice(&damage);
        problems.extend_from_slice(namer.problems());
        let batch = Batch {
            answers,
            rows: namer.take_rows(),
            problems,
            is_open: true,
            looked_at: looked_at.clone(),
            unkept: store.take_error(),
        };
        if replies.send(batch).is_err() {
            return;
        }
    }
}
