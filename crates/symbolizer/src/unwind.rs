//! Where functions begin, from `.eh_frame`: the last resort for stripped code.

use std::cell::OnceCell;
use std::ops::Range;

use gimli::{
    BaseAddresses, CieOrFde, EhFrame, EhFrameHdr, EhFrameOffset, LittleEndian, UnwindSection,
};
use hotproof_image::{ImageFile, Section};

/// The functions that have unwind information.
pub(crate) struct UnwindRanges<'a> {
    image: &'a ImageFile,
    /// `.eh_frame` and its index, `.eh_frame_hdr`; `None` when either is missing.
    indexed: Option<(Section<'a>, Section<'a>)>,
    address_bytes: u8,
    /// All of them, sorted, when there is no index.
    listed: OnceCell<Vec<Range<u64>>>,
}

impl<'a> UnwindRanges<'a> {
    pub(crate) fn new(image: &'a ImageFile) -> UnwindRanges<'a> {
        let section = |name| image.section(name).ok().flatten();
        UnwindRanges {
            image,
            address_bytes: image.class().address_bytes(),
            indexed: section(".eh_frame").zip(section(".eh_frame_hdr")),
            listed: OnceCell::new(),
        }
    }

    /// The function that covers a linked address.
    pub(crate) fn find(&self, svma: u64) -> Option<Range<u64>> {
        if let Some(indexed) = &self.indexed
            && let Some(answer) = look_up(indexed, self.address_bytes, svma)
        {
            return answer;
        }
        let listed = self.listed.get_or_init(|| function_ranges(self.image));
        find(listed, svma).cloned()
    }
}

/// The function by the index; the outer `None` when the index cannot be used.
fn look_up(
    (frame, index): &(Section<'_>, Section<'_>),
    address_bytes: u8,
    svma: u64,
) -> Option<Option<Range<u64>>> {
    let bases = BaseAddresses::default()
        .set_eh_frame_hdr(index.svma)
        .set_eh_frame(frame.svma);
    // Linkers write a count of four bytes. A larger one is damage, and makes the reader's search
    // overflow. Byte 2 says how the count is written.
    let is_sound = index.data.get(2) == Some(&gimli::DW_EH_PE_udata4.0);
    let index = EhFrameHdr::new(&index.data, LittleEndian);
    let index = index
        .parse(&bases, address_bytes)
        .ok()
        .filter(|_| is_sound)?;
    let table = index.table()?;
    let mut entries = EhFrame::new(&frame.data, LittleEndian);
    entries.set_address_size(address_bytes);
    let entry = table.lookup(svma, &bases).ok()?.direct().ok()?;
    // A damaged index points before the section, which the reader's own search does not expect.
    let offset = entry.checked_sub(index.eh_frame_ptr().direct().ok()?)?;
    let offset = EhFrameOffset(usize::try_from(offset).ok()?);
    let fde = entries.fde_from_offset(&bases, offset, EhFrame::cie_from_offset);
    let fde = fde.ok()?;
    let start = fde.initial_address();
    let range = start..start.saturating_add(fde.len());
    Some(Some(range).filter(|range| range.contains(&svma)))
}

/// Linked addresses of the functions that have unwind information, sorted.
fn function_ranges(image: &ImageFile) -> Vec<Range<u64>> {
    let Ok(Some(section)) = image.section(".eh_frame") else {
        return Vec::new();
    };
    let text = image.section_svma(".text").unwrap_or(0..0);
    let bases = BaseAddresses::default()
        .set_eh_frame(section.svma)
        .set_text(text.start);
    let mut frame = EhFrame::new(&section.data, LittleEndian);
    frame.set_address_size(image.class().address_bytes());
    let mut ranges = Vec::new();
    let mut entries = frame.entries(&bases);
    // Damage ends the list: what was read before it is whole.
    while let Ok(Some(entry)) = entries.next() {
        let CieOrFde::Fde(partial) = entry else {
            continue;
        };
        if let Ok(fde) = partial.parse(EhFrame::cie_from_offset) {
            let start = fde.initial_address();
            if fde.len() > 0 {
                ranges.push(start..start.saturating_add(fde.len()));
            }
        }
    }
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    ranges
}

/// The function that covers a linked address.
fn find(ranges: &[Range<u64>], svma: u64) -> Option<&Range<u64>> {
    let after = ranges.partition_point(|range| range.start <= svma);
    let range = ranges.get(after.checked_sub(1)?)?;
    range.contains(&svma).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An index of one entry, which lies at 0xfff, before the section at 0x1000.
    fn sections(count_encoding: u8, count: &[u8]) -> (Section<'static>, Section<'static>) {
        // Version 1; addresses of eight bytes.
        let mut index = vec![1, 0x04, count_encoding, 0x04];
        index.extend(0x1000_u64.to_le_bytes());
        index.extend(count);
        index.extend(0x10_u64.to_le_bytes());
        index.extend(0xfff_u64.to_le_bytes());
        let section = |svma, data: Vec<u8>| Section {
            svma,
            size: data.len() as u64,
            data: data.into(),
        };
        (section(0x1000, vec![0; 64]), section(0x2000, index))
    }

    /// Found by the fuzz target `program`.
    #[test]
    fn index_that_points_before_its_section_is_not_used() {
        let sections = sections(0x03, &1_u32.to_le_bytes());
        assert_eq!(look_up(&sections, 8, 0x10), None);
    }

    /// Found by the fuzz target `program`: the search multiplied the count by the size of a row.
    #[test]
    fn index_with_a_count_beyond_all_files_is_not_used() {
        let sections = sections(0x04, &u64::MAX.to_le_bytes());
        assert_eq!(look_up(&sections, 8, 0x10), None);
    }
}
