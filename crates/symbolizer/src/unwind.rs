//! Where functions begin, from `.eh_frame`: the last resort for stripped code.

use std::borrow::Cow;
use std::ops::Range;

use gimli::{BaseAddresses, CieOrFde, EhFrame, LittleEndian, UnwindSection};
use hotproof_image::ImageFile;

/// Linked addresses of the functions that have unwind information, sorted.
pub(crate) fn function_ranges(image: &ImageFile) -> Vec<Range<u64>> {
    let Ok(Some(section)) = image.section(".eh_frame") else {
        return Vec::new();
    };
    let text = image.section_svma(".text").unwrap_or(0..0);
    let bases = BaseAddresses::default()
        .set_eh_frame(section.svma)
        .set_text(text.start);
    let data: &Cow<'_, [u8]> = &section.data;
    let mut frame = EhFrame::new(data, LittleEndian);
    frame.set_address_size(8);
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
pub(crate) fn find(ranges: &[Range<u64>], svma: u64) -> Option<&Range<u64>> {
    let after = ranges.partition_point(|range| range.start <= svma);
    let range = ranges.get(after.checked_sub(1)?)?;
    range.contains(&svma).then_some(range)
}
