//! What lies where in the memory of one process.

use std::collections::BTreeMap;
use std::ops::Range;

use framehop::{ExplicitModuleSectionInfo, MayAllocateDuringUnwind, Module, Unwinder};

use hotproof_profile::ImageKind;

use crate::binary::{Binaries, BinaryId, Placement, SectionBytes};
use crate::decode::Mmap;

/// framehop's view of an address space.
pub(crate) type Modules = framehop::UnwinderNative<SectionBytes, MayAllocateDuringUnwind>;

/// The executable mappings of a process, and the same for the unwinder.
///
/// A fork shares its parent's until one of them maps something.
#[derive(Clone)]
pub(crate) struct AddressSpace {
    /// Changes with each change of the mappings: equal versions mean equal mappings.
    pub(crate) version: u64,
    maps: BTreeMap<u64, Map>,
    modules: Modules,
}

/// One executable mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Map {
    /// First address.
    pub(crate) start: u64,
    /// Behind the last address.
    pub(crate) end: u64,
    /// Offset in the file of the first address.
    pub(crate) file_offset: u64,
    /// What is mapped.
    pub(crate) binary: BinaryId,
    /// How its addresses relate to the binary's.
    pub(crate) placement: Placement,
    /// Whether the binary has unwind information.
    pub(crate) unwindable: bool,
}

impl Map {
    /// An address relative to the binary's base.
    pub(crate) fn relative(&self, avma: u64) -> u64 {
        avma.wrapping_sub(self.placement.base_avma)
    }
}

impl AddressSpace {
    /// An address space without mappings.
    pub(crate) fn empty() -> AddressSpace {
        AddressSpace {
            version: 0,
            maps: BTreeMap::new(),
            modules: Modules::new(),
        }
    }

    /// The mapping that holds an address.
    pub(crate) fn find(&self, avma: u64) -> Option<&Map> {
        let (_, map) = self.maps.range(..=avma).next_back()?;
        (avma < map.end).then_some(map)
    }

    /// The addresses around one that lies in no mapping, which lie in none either; `None` when it
    /// lies in one, and for the last address of all.
    pub(crate) fn gap(&self, avma: u64) -> Option<Range<u64>> {
        let before = self.maps.range(..=avma).next_back();
        let start = before.map_or(0, |(_, map)| map.end);
        let after = self.maps.range(avma..).next();
        let end = after.map_or(u64::MAX, |(&start, _)| start);
        (start..end).contains(&avma).then_some(start..end)
    }

    /// All mappings, by address.
    pub(crate) fn maps(&self) -> impl ExactSizeIterator<Item = &Map> {
        self.maps.values()
    }

    /// framehop's view.
    pub(crate) fn modules(&self) -> &Modules {
        &self.modules
    }

    /// Adds a mapping; what it covers of older ones is gone, because the kernel tells of no unmap.
    pub(crate) fn insert(&mut self, mmap: &Mmap, binary: BinaryId, binaries: &Binaries) -> Map {
        let placement = binaries[binary].placement(mmap);
        let map = Map {
            start: mmap.start,
            end: mmap.end,
            file_offset: match binaries[binary].kind {
                // Its "file" is the memory itself.
                ImageKind::Jit => mmap.start,
                _ => mmap.file_offset,
            },
            binary,
            placement,
            unwindable: binaries[binary].unwind.exist(),
        };
        for rest in self.cut(mmap.start, mmap.end) {
            self.add(rest, binaries);
        }
        self.add(map, binaries);
        map
    }

    fn add(&mut self, map: Map, binaries: &Binaries) {
        if map.start >= map.end {
            return;
        }
        self.maps.insert(map.start, map);
        if map.unwindable {
            self.modules.add_module(module(&map, binaries));
        }
    }

    /// Removes all mappings that overlap a range and returns what they have outside of it.
    fn cut(&mut self, start: u64, end: u64) -> Vec<Map> {
        let overlapping: Vec<Map> = self
            .maps
            .range(..end)
            .rev()
            .map(|(_, map)| *map)
            .take_while(|map| map.end > start)
            .collect();
        let mut rests = Vec::new();
        for map in overlapping {
            self.maps.remove(&map.start);
            self.modules.remove_module(map.start);
            rests.push(Map {
                end: start.min(map.end),
                ..map
            });
            rests.push(Map {
                start: end.max(map.start),
                file_offset: map.file_offset.wrapping_add(end.saturating_sub(map.start)),
                ..map
            });
        }
        rests.retain(|map| map.start < map.end);
        rests
    }
}

fn module(map: &Map, binaries: &Binaries) -> Module<SectionBytes> {
    let binary = &binaries[map.binary];
    let svma = |name| binary.file.as_ref()?.section_svma(name);
    let sections = ExplicitModuleSectionInfo {
        base_svma: map.placement.base_svma,
        text_svma: svma(".text"),
        got_svma: svma(".got"),
        eh_frame_svma: svma(".eh_frame"),
        eh_frame: binary.unwind.eh_frame.clone(),
        eh_frame_hdr_svma: svma(".eh_frame_hdr"),
        eh_frame_hdr: binary.unwind.eh_frame_hdr.clone(),
        debug_frame: binary.unwind.debug_frame.clone(),
        text: None,
        stubs_svma: None,
        stub_helper_svma: None,
        unwind_info: None,
        text_segment_svma: None,
        text_segment: None,
    };
    Module::new(
        String::new(),
        map.start..map.end,
        map.placement.base_avma,
        sections,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mmap(start: u64, end: u64, file_offset: u64) -> Mmap {
        Mmap {
            pid: 1,
            start,
            end,
            file_offset,
            inode: 0,
            path: b"[test]".to_vec(),
        }
    }

    fn ranges(space: &AddressSpace) -> Vec<(u64, u64, u64)> {
        let rows = space.maps().map(|m| (m.start, m.end, m.file_offset));
        rows.collect()
    }

    fn insert(space: &mut AddressSpace, binaries: &mut Binaries, mmap: &Mmap) {
        let binary = binaries.of_mapping(mmap);
        space.insert(mmap, binary, binaries);
    }

    /// A mapping over others leaves exactly what it does not cover, with the right file offsets.
    #[test]
    fn a_new_mapping_replaces_what_it_covers() {
        let cases = [
            ((0x1000, 0x5000), vec![(0x1000, 0x5000, 0x70)]),
            (
                (0x2000, 0x3000),
                vec![
                    (0x1000, 0x2000, 0),
                    (0x2000, 0x3000, 0x70),
                    (0x3000, 0x4000, 0x2000),
                    (0x4000, 0x5000, 0x9000),
                ],
            ),
            (
                (0x3000, 0x4800),
                vec![
                    (0x1000, 0x3000, 0),
                    (0x3000, 0x4800, 0x70),
                    (0x4800, 0x5000, 0x9800),
                ],
            ),
            (
                (0x5000, 0x6000),
                vec![
                    (0x1000, 0x4000, 0),
                    (0x4000, 0x5000, 0x9000),
                    (0x5000, 0x6000, 0x70),
                ],
            ),
        ];
        for ((start, end), expected) in cases {
            let (mut space, mut binaries) = (AddressSpace::empty(), Binaries::default());
            insert(&mut space, &mut binaries, &mmap(0x1000, 0x4000, 0));
            insert(&mut space, &mut binaries, &mmap(0x4000, 0x5000, 0x9000));
            insert(&mut space, &mut binaries, &mmap(start, end, 0x70));
            assert_eq!(ranges(&space), expected, "{start:x}..{end:x}");
        }
    }

    /// Addresses are found in the mapping that holds them, and nowhere else.
    #[test]
    fn addresses_are_found_within_their_mapping_only() {
        let (mut space, mut binaries) = (AddressSpace::empty(), Binaries::default());
        insert(&mut space, &mut binaries, &mmap(0x1000, 0x2000, 0x1000));
        insert(&mut space, &mut binaries, &mmap(0x3000, 0x4000, 0x3000));
        let start = |avma| space.find(avma).map(|map| map.start);
        let expected = [
            (0xfff, None),
            (0x1000, Some(0x1000)),
            (0x1fff, Some(0x1000)),
            (0x2000, None),
            (0x3000, Some(0x3000)),
            (0x4000, None),
            (u64::MAX, None),
        ];
        for (avma, found) in expected {
            assert_eq!(start(avma), found, "{avma:x}");
        }
    }

    /// Our own code, found through our own mappings, has the address that the ELF file gives it:
    /// the segment is the executable one, although others may share its page.
    #[test]
    fn our_own_function_has_its_linked_address() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let here = our_own_function_has_its_linked_address as fn() as usize as u64;
        let line = maps.lines().find(|line| {
            let (range, _) = line.split_once(' ').unwrap();
            let (start, end) = range.split_once('-').unwrap();
            let hex = |text| u64::from_str_radix(text, 16).unwrap();
            (hex(start)..hex(end)).contains(&here)
        });
        let fields: Vec<&str> = line.unwrap().split_whitespace().collect();
        let (start, end) = fields[0].split_once('-').unwrap();
        let hex = |text| u64::from_str_radix(text, 16).unwrap();
        let mmap = Mmap {
            pid: std::process::id(),
            start: hex(start),
            end: hex(end),
            file_offset: hex(fields[2]),
            inode: fields[4].parse().unwrap(),
            path: fields[5].as_bytes().to_vec(),
        };
        let (mut space, mut binaries) = (AddressSpace::empty(), Binaries::default());
        insert(&mut space, &mut binaries, &mmap);
        let map = space.find(here).unwrap();
        let file = binaries[map.binary].file.clone().unwrap();
        let svma = map.relative(here) + file.base_svma();
        let bytes_at = |svma: u64| {
            let code = file
                .segments()
                .iter()
                .find(|s| s.executable && (s.svma..s.svma + s.file_size).contains(&svma));
            let code = code.expect("the address lies in code");
            let at = usize::try_from(svma - code.svma + code.file_offset).unwrap();
            file.data()[at..at + 16].to_vec()
        };
        let text = file.section_svma(".text").unwrap();
        assert!(text.contains(&svma), "{svma:x} in {text:x?}");
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        let mut live = [0; 16];
        std::os::unix::fs::FileExt::read_exact_at(&memory, &mut live, here).unwrap();
        assert_eq!(live.to_vec(), bytes_at(svma));
    }
}
