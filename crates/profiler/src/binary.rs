//! The binaries that targets map, kept from run to run.

use std::fs::Metadata;
use std::ops::{Deref, Range};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hotproof_image::kernel::build_id_of_notes;
use hotproof_image::{Class, HeldFiles, ImageError, ImageFile};
use hotproof_profile::ImageKind;
use rustc_hash::FxHashMap;

use crate::decode::Mmap;
use crate::run_time::{self, CodeFiles};

/// Number of a binary within its [`Binaries`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BinaryId(pub(crate) u32);

/// One source of code that was mapped.
#[derive(Debug)]
pub(crate) struct Binary {
    /// Where the target saw it.
    pub(crate) path: String,
    /// GNU build-id; empty when there is none.
    pub(crate) build_id: Vec<u8>,
    /// What it is.
    pub(crate) kind: ImageKind,
    /// The file; `None` when there is none or it could not be read.
    pub(crate) file: Option<Arc<ImageFile>>,
    /// Relative address at which it takes over a new process; only known for a dynamic loader.
    pub(crate) loader_entry: Option<u64>,
    /// What unwinding needs of the file; all empty without one.
    pub(crate) unwind: UnwindSections,
}

/// The sections that unwinding reads, found once for each binary.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnwindSections {
    /// `.eh_frame`: call frame information.
    pub(crate) eh_frame: Option<SectionBytes>,
    /// `.eh_frame_hdr`: its index.
    pub(crate) eh_frame_hdr: Option<SectionBytes>,
    /// `.debug_frame`: call frame information of binaries without `.eh_frame`.
    pub(crate) debug_frame: Option<SectionBytes>,
}

impl UnwindSections {
    fn of(file: Option<&Arc<ImageFile>>) -> UnwindSections {
        // Stacks of 32-bit code are not unwound.
        let file = file.filter(|file| file.class() == Class::Bits64);
        let section = |name| file.and_then(|file| SectionBytes::of(file, name));
        let eh_frame = section(".eh_frame");
        let debug_frame = match eh_frame {
            Some(_) => None,
            None => section(".debug_frame"),
        };
        UnwindSections {
            eh_frame,
            eh_frame_hdr: section(".eh_frame_hdr"),
            debug_frame,
        }
    }

    /// Whether there is any unwind information.
    pub(crate) fn exist(&self) -> bool {
        self.eh_frame.is_some() || self.debug_frame.is_some()
    }
}

/// Whether stacks will be unwound through a binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unwinding {
    /// They will.
    Needed,
    /// Its unwind information is not looked for.
    No,
}

/// All binaries seen so far.
#[derive(Debug, Default)]
pub(crate) struct Binaries {
    rows: Vec<Binary>,
    by_file: FxHashMap<FileKey, BinaryId>,
    by_name: FxHashMap<String, BinaryId>,
    /// What names the run-time code of the processes of this run.
    code: CodeFiles,
}

/// A file and its state: another inode, size or change makes it another binary.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct FileKey {
    path: Vec<u8>,
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl FileKey {
    fn new(path: &[u8], facts: &Metadata) -> FileKey {
        FileKey {
            path: path.to_vec(),
            device: facts.dev(),
            inode: facts.ino(),
            size: facts.size(),
            changed: (facts.ctime(), facts.ctime_nsec()),
        }
    }

    /// Whether the path still leads to it.
    fn is_current(&self) -> bool {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(&self.path));
        std::fs::metadata(path).is_ok_and(|facts| FileKey::new(&self.path, &facts) == *self)
    }
}

impl Binaries {
    /// The binary behind a mapping, opened when it is new.
    pub(crate) fn of_mapping(&mut self, mmap: &Mmap) -> BinaryId {
        match mmap.path.as_slice() {
            b"[vdso]" => self.named("[vdso]", ImageKind::Vdso, hotproof_image::vdso),
            path if run_time::is_nameless(path) => self.run_time(mmap.pid),
            [b'[', ..] => {
                let name = String::from_utf8_lossy(&mmap.path).into_owned();
                self.named(&name, ImageKind::Anonymous, || None)
            }
            path if run_time::is_dump(path) => {
                self.code.open_dump(mmap);
                let name = String::from_utf8_lossy(path).into_owned();
                self.named(&name, ImageKind::Jit, || None)
            }
            _ => self.of_file(mmap),
        }
    }

    /// The code that a process makes at run time.
    fn run_time(&mut self, pid: u32) -> BinaryId {
        self.code.look(pid);
        self.named(&run_time::image_path(pid), ImageKind::Jit, || None)
    }

    /// What is open of this run and would not be found by its path any more; the next run begins
    /// anew.
    pub(crate) fn take_held(&mut self) -> HeldFiles {
        let mut held = HeldFiles::default();
        std::mem::take(&mut self.code).hand_over(&mut held);
        let mut opened: Vec<(&FileKey, BinaryId)> =
            self.by_file.iter().map(|(key, &id)| (key, id)).collect();
        opened.sort_unstable_by_key(|&(_, id)| id);
        // Of the files without a build-id that had one path, the last one counts.
        let mut last: FxHashMap<(&str, &[u8]), (&FileKey, BinaryId)> = FxHashMap::default();
        for (key, id) in opened {
            let row = &self[id];
            last.insert((&row.path, &row.build_id), (key, id));
        }
        for (key, id) in last.into_values() {
            let row = &self[id];
            if let Some(file) = row.file.as_deref().filter(|_| !key.is_current()) {
                held.hold_image(&row.path, file);
            }
        }
        held
    }

    /// The kernel.
    pub(crate) fn kernel(&mut self) -> BinaryId {
        if let Some(&id) = self.by_name.get("[kernel]") {
            return id;
        }
        let id = self.push(Binary {
            path: "[kernel]".to_owned(),
            build_id: kernel_build_id().unwrap_or_default(),
            kind: ImageKind::Kernel,
            file: None,
            loader_entry: None,
            unwind: UnwindSections::default(),
        });
        self.by_name.insert("[kernel]".to_owned(), id);
        id
    }

    /// The kernel that was recorded, instead of the running one; asked for before any [`kernel`].
    ///
    /// [`kernel`]: Binaries::kernel
    pub(crate) fn recorded_kernel(&mut self, build_id: Vec<u8>) -> BinaryId {
        let open = || None;
        let id = self.named("[kernel]", ImageKind::Kernel, open);
        self.rows[id.0 as usize].build_id = build_id;
        id
    }

    /// The run-time code of a process that a recording names.
    pub(crate) fn recorded_run_time(&mut self, pid: u32) -> BinaryId {
        self.named(&run_time::image_path(pid), ImageKind::Jit, || None)
    }

    /// A binary that a recording names, a new row with each call. Its file is used when it has the
    /// build-id that was recorded, or when none was (`build_id` is empty).
    ///
    /// Without unwinding a file is not even opened: [`Binaries::open_recorded`] does that for the
    /// few whose code was sampled.
    pub(crate) fn recorded(
        &mut self,
        path: &[u8],
        build_id: &[u8],
        unwinding: Unwinding,
    ) -> BinaryId {
        let name = String::from_utf8_lossy(path).into_owned();
        let kind = match path {
            b"[vdso]" => ImageKind::Vdso,
            [b'[', ..] => return self.named(&name, ImageKind::Anonymous, || None),
            path if run_time::is_dump(path) => return self.named(&name, ImageKind::Jit, || None),
            _ => ImageKind::Elf,
        };
        let id = self.push(Binary {
            path: name,
            build_id: build_id.to_vec(),
            kind,
            file: None,
            loader_entry: None,
            unwind: UnwindSections::default(),
        });
        if unwinding == Unwinding::Needed {
            self.open_recorded(id);
            let row = &mut self.rows[id.0 as usize];
            row.unwind = UnwindSections::of(row.file.as_ref());
            let entry = row.file.as_deref();
            row.loader_entry = entry.and_then(|file| loader_entry(&row.path, file));
        }
        id
    }

    /// Opens the file of a binary that a recording names, if it is the one that was recorded; the
    /// build-id is then known.
    pub(crate) fn open_recorded(&mut self, id: BinaryId) {
        let row = &mut self.rows[id.0 as usize];
        let file = match row.kind {
            ImageKind::Vdso => hotproof_image::vdso(),
            ImageKind::Elf => ImageFile::open(Path::new(&row.path)).ok(),
            _ => None,
        };
        let found = build_id(file.as_ref());
        let file = file.filter(|_| row.build_id.is_empty() || row.build_id == found);
        if row.build_id.is_empty() {
            row.build_id = found;
        }
        row.file = file.map(Arc::new);
    }

    fn named(
        &mut self,
        name: &str,
        kind: ImageKind,
        open: impl FnOnce() -> Option<ImageFile>,
    ) -> BinaryId {
        if let Some(&id) = self.by_name.get(name) {
            return id;
        }
        let file = open().map(Arc::new);
        let id = self.push(Binary {
            path: name.to_owned(),
            build_id: build_id(file.as_deref()),
            kind,
            loader_entry: None,
            unwind: UnwindSections::of(file.as_ref()),
            file,
        });
        self.by_name.insert(name.to_owned(), id);
        id
    }

    fn of_file(&mut self, mmap: &Mmap) -> BinaryId {
        let name = String::from_utf8_lossy(&mmap.path).into_owned();
        let Some((place, facts)) = find_file(mmap) else {
            if run_time::may_be_made(&mmap.path) {
                return self.run_time(mmap.pid);
            }
            let gone = match name.ends_with(DELETED) {
                true => name,
                false => name + DELETED,
            };
            return self.named(&gone, ImageKind::Elf, || None);
        };
        let key = FileKey::new(&mmap.path, &facts);
        if let Some(&id) = self.by_file.get(&key) {
            return id;
        }
        let file = match ImageFile::open(&place) {
            Ok(file) => Some(Arc::new(file)),
            // Memory that two mappings share is how some run-time compilers keep code unwritable.
            Err(ImageError::NotElf { .. }) if run_time::may_be_made(&mmap.path) => {
                return self.run_time(mmap.pid);
            }
            Err(error) => {
                tracing::debug!("{error}");
                None
            }
        };
        let id = self.push(Binary {
            loader_entry: file.as_deref().and_then(|file| loader_entry(&name, file)),
            path: name,
            build_id: build_id(file.as_deref()),
            kind: ImageKind::Elf,
            unwind: UnwindSections::of(file.as_ref()),
            file,
        });
        self.by_file.insert(key, id);
        id
    }

    fn push(&mut self, binary: Binary) -> BinaryId {
        let id = BinaryId(u32::try_from(self.rows.len()).expect("fewer than 2^32 binaries"));
        self.rows.push(binary);
        id
    }
}

impl std::ops::Index<BinaryId> for Binaries {
    type Output = Binary;

    fn index(&self, id: BinaryId) -> &Binary {
        &self.rows[id.0 as usize]
    }
}

/// What the kernel writes behind the path of a file that is gone.
const DELETED: &str = " (deleted)";

/// The file behind a mapping, from here: its path, its path in the target's root, the program of
/// the target, or the kernel's own link to the mapping (for deleted and nameless files, root only).
///
/// The place whose inode agrees with the mapping is taken. On stacked file systems none does,
/// because the mapping names the inode below; then the path itself is. Anywhere else another inode
/// is another file, which has replaced the one that was mapped.
fn find_file(mmap: &Mmap) -> Option<(PathBuf, Metadata)> {
    use std::os::unix::ffi::OsStrExt;
    let seen = Path::new(std::ffi::OsStr::from_bytes(&mmap.path));
    let below_root = seen.strip_prefix("/").unwrap_or(seen);
    let proc = PathBuf::from(format!("/proc/{}", mmap.pid));
    let places = [
        seen.to_owned(),
        proc.join("root").join(below_root),
        proc.join("exe"),
        proc.join(format!("map_files/{:x}-{:x}", mmap.start, mmap.end)),
    ];
    let mut fallback = None;
    for (number, place) in places.into_iter().enumerate() {
        let Ok(facts) = std::fs::metadata(&place) else {
            continue;
        };
        if !facts.is_file() {
            continue;
        }
        let is_path = number < 2;
        if facts.ino() == mmap.inode || (mmap.inode == 0 && is_path) {
            return Some((place, facts));
        }
        let is_link_to_mapping = number == 3;
        if is_link_to_mapping || (is_path && is_stacked(&place)) {
            fallback = fallback.or(Some((place, facts)));
        }
    }
    fallback
}

/// Whether a file lies on a file system that shows the files of another under inodes of its own.
fn is_stacked(place: &Path) -> bool {
    /// `OVERLAYFS_SUPER_MAGIC` and its kin, from the kernel's `magic.h`: overlay, FUSE, eCryptfs,
    /// AUFS.
    const STACKED: [u64; 4] = [0x794c_7630, 0x6573_5546, 0xf15f, 0x6175_6673];
    rustix::fs::statfs(place).is_ok_and(|facts| STACKED.contains(&(facts.f_type as u64)))
}

/// The entry of a dynamic loader, known by its name: `ld-linux-x86-64.so.2`, `ld-2.31.so`.
fn loader_entry(path: &str, file: &ImageFile) -> Option<u64> {
    /// Offset of `e_entry` in a 64-bit ELF header.
    const ENTRY_OFFSET: usize = 24;
    if !hotproof_profile::file_name(path).starts_with("ld-") || file.class() != Class::Bits64 {
        return None;
    }
    let bytes = file.data().get(ENTRY_OFFSET..ENTRY_OFFSET + 8)?;
    let entry = u64::from_le_bytes(bytes.try_into().ok()?);
    entry.checked_sub(file.base_svma())
}

fn build_id(file: Option<&ImageFile>) -> Vec<u8> {
    let id = file.and_then(ImageFile::build_id);
    id.map_or(Vec::new(), <[u8]>::to_vec)
}

/// The running kernel's build-id, from the notes that it shows in `/sys/kernel/notes`.
pub(crate) fn kernel_build_id() -> Option<Vec<u8>> {
    let notes = std::fs::read("/sys/kernel/notes").ok()?;
    build_id_of_notes(&notes).map(<[u8]>::to_vec)
}

/// How addresses of one mapping of a binary relate to the binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Address at run time of the binary's lowest loadable byte.
    pub(crate) base_avma: u64,
    /// Address of that byte as linked.
    pub(crate) base_svma: u64,
}

impl Binary {
    /// Where a mapping puts the binary; see [`placement`].
    pub(crate) fn placement(&self, mmap: &Mmap) -> Placement {
        self.placement_at(mmap.start..mmap.end, mmap.file_offset)
    }

    /// As [`Binary::placement`], of a mapping at these addresses.
    pub(crate) fn placement_at(&self, addresses: Range<u64>, file_offset: u64) -> Placement {
        if self.kind == ImageKind::Jit {
            // Run-time code is written down by the addresses that it has.
            return Placement {
                base_avma: 0,
                base_svma: 0,
            };
        }
        placement(self.file.as_deref(), addresses, file_offset)
    }
}

/// Where a mapping of a file puts it.
///
/// Only executable segments are considered: two segments may share a page of the file, and the
/// read-only one would give plausible nonsense. The kernel maps whole pages, so that a mapping
/// may begin before its segment does. Without a file, addresses count from where byte 0 of the
/// file would be.
fn placement(file: Option<&ImageFile>, addresses: Range<u64>, file_offset: u64) -> Placement {
    let from_file = Placement {
        base_avma: addresses.start.wrapping_sub(file_offset),
        base_svma: 0,
    };
    let Some(file) = file else {
        return from_file;
    };
    let page = rustix::param::page_size() as u64;
    let length = addresses.end - addresses.start;
    let shared = |segment: &&hotproof_image::Segment| {
        let start = segment.file_offset - segment.file_offset % page;
        let end = segment.file_offset.saturating_add(segment.file_size);
        let mapped_end = file_offset.saturating_add(length).min(end);
        mapped_end.saturating_sub(file_offset.max(start))
    };
    let code = file.segments().iter().filter(|s| s.executable);
    // The first of equals, because `max_by_key` would take the last.
    let best = code.rev().max_by_key(shared).filter(|s| shared(s) > 0);
    let Some(segment) = best else {
        return from_file;
    };
    let svma_of_start = file_offset
        .wrapping_sub(segment.file_offset)
        .wrapping_add(segment.svma);
    let base_svma = file.base_svma();
    Placement {
        base_avma: addresses
            .start
            .wrapping_sub(svma_of_start)
            .wrapping_add(base_svma),
        base_svma,
    }
}

/// The bytes of a section: a piece of a mapped file, or a copy when it was compressed.
#[derive(Debug, Clone)]
pub(crate) enum SectionBytes {
    /// Bytes of a file.
    Mapped(Arc<ImageFile>, Range<usize>),
    /// Bytes of our own.
    Owned(Arc<[u8]>),
}

impl SectionBytes {
    /// A section's contents; `None` when the binary has none of this name, or it cannot be read.
    pub(crate) fn of(file: &Arc<ImageFile>, name: &str) -> Option<SectionBytes> {
        let section = match file.section(name) {
            Ok(section) => section?,
            Err(error) => {
                tracing::debug!("{error}");
                return None;
            }
        };
        let whole = file.data();
        match section.data {
            std::borrow::Cow::Borrowed(data) => {
                let start = (data.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
                let end = start.checked_add(data.len())?;
                (end <= whole.len()).then(|| SectionBytes::Mapped(Arc::clone(file), start..end))
            }
            std::borrow::Cow::Owned(data) => Some(SectionBytes::Owned(data.into())),
        }
    }
}

impl Deref for SectionBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            SectionBytes::Mapped(file, range) => &file.data()[range.clone()],
            SectionBytes::Owned(data) => data,
        }
    }
}
