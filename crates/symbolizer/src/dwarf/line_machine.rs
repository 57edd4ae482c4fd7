//! The machine that line programs run on.
//!
//! It keeps what rows of addresses need and no more, and runs the instructions that compilers
//! write; a program with others is left to gimli. See DWARF 5, section 6.2.

use gimli::{Error, LineProgramHeader, Reader};

use super::Slice;
use super::lines::RawLine;
use super::plan::read_leb;

/// A row of the line table.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowAt {
    pub(super) address: u64,
    pub(super) line: RawLine,
    /// The first address after the sequence is no code.
    pub(super) ends_sequence: bool,
}

/// How far a program ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ran {
    /// To its end, or until its rows were not wanted any more.
    ToItsEnd,
    /// To an instruction that this machine does not know: its rows do not count.
    IntoTheUnusual,
}

/// The registers, and what the header says of the instructions.
pub(super) struct LineMachine<'h, 'a> {
    header: &'h LineProgramHeader<Slice<'a>>,
    address: u64,
    file: u64,
    line: u64,
    column: u64,
    /// Whether the linker removed the code: rows up to the next address do not count.
    is_removed: bool,
    largest_address: u64,
    instruction_bytes: u64,
    line_base: i64,
    opcode_base: u8,
    line_range: u8,
    /// 2^16 / `line_range`, rounded up: a product with it and a shift divide any byte exactly.
    reciprocal: u32,
}

impl<'h, 'a> LineMachine<'h, 'a> {
    pub(super) fn new(header: &'h LineProgramHeader<Slice<'a>>) -> Self {
        let address_bits = u32::from(header.address_size().clamp(1, 8)) * 8;
        LineMachine {
            header,
            address: 0,
            file: 1,
            line: 1,
            column: 0,
            is_removed: false,
            largest_address: u64::MAX >> (64 - address_bits),
            instruction_bytes: header.minimum_instruction_length().into(),
            line_base: header.line_base().into(),
            opcode_base: header.opcode_base(),
            line_range: header.line_range(),
            reciprocal: (1u32 << 16).div_ceil(header.line_range().max(1).into()),
        }
    }

    /// Sets the registers to what they are at the beginning of each sequence.
    fn begin_sequence(&mut self) {
        (self.address, self.file, self.line, self.column) = (0, 1, 1, 0);
        self.is_removed = false;
    }

    /// Runs the program; `each` takes the rows and says whether it wants more.
    pub(super) fn run(&mut self, each: &mut impl FnMut(RowAt) -> bool) -> Result<Ran, Error> {
        let is_usual = self.header.maximum_operations_per_instruction() == 1
            && self.line_range > 0
            && self.opcode_base > 9;
        if !is_usual {
            return Ok(Ran::IntoTheUnusual);
        }
        let mut input = self.header.raw_program_buf();
        while !input.is_empty() {
            let opcode = input.read_u8()?;
            let goes_on = if opcode >= self.opcode_base {
                let adjusted = opcode - self.opcode_base;
                let advance = (u32::from(adjusted) * self.reciprocal) >> 16;
                let lines = u32::from(adjusted) - advance * u32::from(self.line_range);
                self.advance_line(self.line_base + i64::from(lines));
                self.advance(advance.into())?;
                self.emit(false, each)
            } else if opcode == gimli::DW_LNS_copy.0 {
                self.emit(false, each)
            } else if opcode == 0 {
                let length = usize::try_from(read_leb(&mut input)?);
                let mut instruction = input.split(length.map_err(|_| Error::UnsupportedOffset)?)?;
                match gimli::DwLne(instruction.read_u8()?) {
                    gimli::DW_LNE_end_sequence => {
                        let goes_on = self.emit(true, each);
                        self.begin_sequence();
                        goes_on
                    }
                    gimli::DW_LNE_set_address => {
                        let size = self.header.address_size();
                        self.set_address(instruction.read_address(size)?);
                        true
                    }
                    gimli::DW_LNE_set_discriminator => true,
                    _ => return Ok(Ran::IntoTheUnusual),
                }
            } else if self.plain(gimli::DwLns(opcode), &mut input)? {
                true
            } else {
                return Ok(Ran::IntoTheUnusual);
            };
            if !goes_on {
                break;
            }
        }
        Ok(Ran::ToItsEnd)
    }

    /// Runs an instruction that makes no row; false when it is unknown.
    #[inline]
    fn plain(&mut self, opcode: gimli::DwLns, input: &mut Slice<'a>) -> Result<bool, Error> {
        match opcode {
            gimli::DW_LNS_advance_pc => {
                let advance = read_leb(input)?;
                self.advance(advance)?;
            }
            gimli::DW_LNS_advance_line => {
                let lines = input.read_sleb128()?;
                self.advance_line(lines);
            }
            gimli::DW_LNS_set_file => self.file = read_leb(input)?,
            gimli::DW_LNS_set_column => self.column = read_leb(input)?,
            gimli::DW_LNS_const_add_pc => {
                self.advance(((255 - self.opcode_base) / self.line_range).into())?;
            }
            gimli::DW_LNS_fixed_advance_pc => {
                let bytes = input.read_u16()?;
                self.add_to_address(bytes.into())?;
            }
            gimli::DW_LNS_negate_stmt
            | gimli::DW_LNS_set_basic_block
            | gimli::DW_LNS_set_prologue_end
            | gimli::DW_LNS_set_epilogue_begin => {}
            gimli::DW_LNS_set_isa => {
                read_leb(input)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    #[inline]
    fn emit(&self, ends_sequence: bool, each: &mut impl FnMut(RowAt) -> bool) -> bool {
        self.is_removed
            || each(RowAt {
                address: self.address,
                line: RawLine {
                    file: self.file,
                    line: self.line,
                    column: self.column,
                },
                ends_sequence,
            })
    }

    /// A linker leaves the program of a function that it removed, with an address that is lower
    /// than the one before or one of the two largest (DWARF 5 as corrected, section 6.2.5.3).
    fn set_address(&mut self, address: u64) {
        self.is_removed = address < self.address || address >= self.largest_address - 1;
        if !self.is_removed {
            self.address = address;
        }
    }

    #[inline]
    fn advance(&mut self, instructions: u64) -> Result<(), Error> {
        self.add_to_address(self.instruction_bytes.wrapping_mul(instructions))
    }

    #[inline]
    fn add_to_address(&mut self, bytes: u64) -> Result<(), Error> {
        if self.is_removed {
            return Ok(());
        }
        let address = self.address.checked_add(bytes);
        let address = address.filter(|&address| address <= self.largest_address);
        self.address = address.ok_or(Error::AddressOverflow)?;
        Ok(())
    }

    #[inline]
    fn advance_line(&mut self, lines: i64) {
        self.line = match u64::try_from(lines) {
            Ok(lines) => self.line.wrapping_add(lines),
            Err(_) => self.line.saturating_sub(lines.unsigned_abs()),
        };
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_product_divides_every_byte_as_a_division_does() {
        for range in 1..=255u32 {
            let reciprocal = (1u32 << 16).div_ceil(range);
            for byte in 0..=255u32 {
                assert_eq!((byte * reciprocal) >> 16, byte / range, "{byte} / {range}");
            }
        }
    }
}
