//! How the entries of a unit are read: for each abbreviation once, which bytes matter.
//!
//! A walk looks at each entry of a unit and needs a few attributes of the few kinds that hold
//! code. A plan joins all that lies between those into as few steps as possible, so that an entry
//! of another kind, nearly always of a fixed size, costs one addition. Forms are those of DWARF 5,
//! section 7.5.6; rare ones are left to gimli.

use gimli::{
    Abbreviation, AttributeSpecification, Encoding, EntriesRaw, Error, Format, Reader, UnitOffset,
};

use super::Slice;

/// Which attribute is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    LowPc,
    HighPc,
    Ranges,
    Origin,
    Sibling,
    CallFile,
    CallLine,
    CallColumn,
}

/// What a walk does with entries of an abbreviation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Function,
    InlinedFunction,
    /// It often holds functions, or inlined copies of them, with code.
    Holder,
    Other,
}

/// How the value of a wanted attribute lies there, where it is a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    /// So many bytes: 1, 2, 4 or 8.
    Fixed(u8),
    Leb,
    /// In the abbreviation.
    Constant(u64),
}

/// One step through the attributes of an entry.
#[derive(Debug, Clone, Copy)]
enum Step {
    Skip(usize),
    SkipLeb,
    SkipText,
    /// A block whose length has so many bytes; 0 for a LEB128 number.
    SkipBlock(u8),
    Read(Wanted, Number),
    /// By gimli, and whether it is wanted.
    Rare(Option<Wanted>, AttributeSpecification),
}

/// How entries of one abbreviation are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) has_children: bool,
    first_step: u32,
    steps: u32,
}

/// The value of a wanted attribute.
pub(crate) enum Value<'a> {
    /// A plain number: an address, a size, an offset in the section or in the unit, as the
    /// attribute has it.
    Number(u64),
    /// As gimli reads it.
    Rare(gimli::AttributeValue<Slice<'a>>),
}

/// The plans of one unit, each made when its abbreviation is first met.
pub(crate) struct Plans<'u, 'a> {
    unit: &'u gimli::Unit<Slice<'a>>,
    encoding: Encoding,
    /// By code; `None` where none was met.
    known: Vec<Option<Plan>>,
    steps: Vec<Step>,
}

/// Compilers number abbreviations from 1 on without gaps; plans of larger codes are not kept.
const LARGEST_KEPT_CODE: u64 = 1 << 14;

impl<'u, 'a> Plans<'u, 'a> {
    pub(crate) fn new(unit: &'u gimli::Unit<Slice<'a>>) -> Self {
        Plans {
            unit,
            encoding: unit.header.encoding(),
            known: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// The plan for a code that is not 0.
    #[inline]
    pub(crate) fn plan(&mut self, code: u64) -> Result<Plan, Error> {
        match self.known.get(code as usize) {
            Some(Some(plan)) => Ok(*plan),
            _ => self.new_plan(code),
        }
    }

    #[cold]
    fn new_plan(&mut self, code: u64) -> Result<Plan, Error> {
        let abbreviation = self.unit.abbreviations.get(code);
        let abbreviation = abbreviation.ok_or(Error::InvalidAbbreviationCode(code))?;
        if code > LARGEST_KEPT_CODE {
            // The steps of the last such plan are not needed any more.
            let kept = self.known.iter().flatten();
            let kept = kept.map(|plan| plan.first_step + plan.steps).max();
            self.steps.truncate(kept.unwrap_or(0) as usize);
            return Ok(self.add(abbreviation));
        }
        let plan = self.add(abbreviation);
        let code = code as usize;
        if self.known.len() <= code {
            self.known.resize(code + 1, None);
        }
        self.known[code] = Some(plan);
        Ok(plan)
    }

    fn add(&mut self, abbreviation: &Abbreviation) -> Plan {
        let kind = kind_of(abbreviation.tag());
        let has_children = abbreviation.has_children();
        let first_step = self.steps.len();
        for &specification in abbreviation.attributes() {
            let wanted = wanted_of(specification.name()).filter(|wanted| match kind {
                Kind::Function | Kind::InlinedFunction => true,
                Kind::Holder => false,
                Kind::Other => has_children && *wanted == Wanted::Sibling,
            });
            let step = step_of(wanted, specification, self.encoding);
            match (step, &mut self.steps[first_step..]) {
                (Step::Skip(0), _) => {}
                (Step::Skip(more), [.., Step::Skip(bytes)]) => *bytes += more,
                _ => self.steps.push(step),
            }
        }
        Plan {
            kind,
            has_children,
            first_step: first_step as u32,
            steps: (self.steps.len() - first_step) as u32,
        }
    }

    /// Reads over an entry whose code was read, and hands out what is wanted of it.
    #[inline]
    pub(crate) fn read(
        &self,
        plan: Plan,
        input: &mut Slice<'a>,
        mut take: impl FnMut(Wanted, Value<'a>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let first = plan.first_step as usize;
        for step in &self.steps[first..first + plan.steps as usize] {
            match *step {
                Step::Skip(bytes) => input.skip(bytes)?,
                Step::SkipLeb => skip_leb(input)?,
                Step::SkipText => {
                    input.read_null_terminated_slice()?;
                }
                Step::SkipBlock(length_bytes) => {
                    let length = match length_bytes {
                        0 => read_leb(input)?,
                        bytes => read_fixed(input, bytes)?,
                    };
                    input.skip(usize::try_from(length).map_err(|_| Error::UnsupportedOffset)?)?;
                }
                Step::Read(wanted, number) => {
                    let number = match number {
                        Number::Fixed(bytes) => read_fixed(input, bytes)?,
                        Number::Leb => read_leb(input)?,
                        Number::Constant(number) => number,
                    };
                    take(wanted, Value::Number(number))?;
                }
                Step::Rare(wanted, specification) => {
                    let value = self.rare(input, specification)?;
                    if let Some(wanted) = wanted {
                        take(wanted, Value::Rare(value))?;
                    }
                }
            }
        }
        Ok(())
    }

    #[cold]
    fn rare(
        &self,
        input: &mut Slice<'a>,
        specification: AttributeSpecification,
    ) -> Result<gimli::AttributeValue<Slice<'a>>, Error> {
        let abbreviations = &self.unit.abbreviations;
        let mut entries = EntriesRaw::new(*input, self.encoding, abbreviations, UnitOffset(0));
        let attribute = entries.read_attribute(specification)?;
        input.skip(entries.next_offset().0)?;
        Ok(attribute.value())
    }
}

/// Reads an abbreviation's code.
#[inline]
pub(crate) fn read_leb(input: &mut Slice<'_>) -> Result<u64, Error> {
    match input.slice().first() {
        Some(&byte) if byte < 0x80 => {
            input.skip(1)?;
            Ok(byte.into())
        }
        _ => input.read_uleb128(),
    }
}

#[inline]
fn skip_leb(input: &mut Slice<'_>) -> Result<(), Error> {
    match input.slice().first() {
        Some(&byte) if byte < 0x80 => input.skip(1),
        _ => input.skip_leb128(),
    }
}

#[inline]
fn read_fixed(input: &mut Slice<'_>, bytes: u8) -> Result<u64, Error> {
    match bytes {
        1 => input.read_u8().map(u64::from),
        2 => input.read_u16().map(u64::from),
        4 => input.read_u32().map(u64::from),
        _ => input.read_u64(),
    }
}

fn kind_of(tag: gimli::DwTag) -> Kind {
    match tag {
        gimli::DW_TAG_subprogram => Kind::Function,
        gimli::DW_TAG_inlined_subroutine => Kind::InlinedFunction,
        gimli::DW_TAG_compile_unit
        | gimli::DW_TAG_partial_unit
        | gimli::DW_TAG_skeleton_unit
        | gimli::DW_TAG_namespace
        | gimli::DW_TAG_module
        | gimli::DW_TAG_lexical_block
        | gimli::DW_TAG_try_block
        | gimli::DW_TAG_catch_block
        | gimli::DW_TAG_with_stmt
        | gimli::DW_TAG_common_block => Kind::Holder,
        _ => Kind::Other,
    }
}

fn wanted_of(name: gimli::DwAt) -> Option<Wanted> {
    Some(match name {
        gimli::DW_AT_low_pc => Wanted::LowPc,
        gimli::DW_AT_high_pc => Wanted::HighPc,
        gimli::DW_AT_ranges => Wanted::Ranges,
        gimli::DW_AT_abstract_origin => Wanted::Origin,
        gimli::DW_AT_sibling => Wanted::Sibling,
        gimli::DW_AT_call_file => Wanted::CallFile,
        gimli::DW_AT_call_line => Wanted::CallLine,
        gimli::DW_AT_call_column => Wanted::CallColumn,
        _ => return None,
    })
}

fn step_of(
    wanted: Option<Wanted>,
    specification: AttributeSpecification,
    encoding: Encoding,
) -> Step {
    let form = specification.form();
    if let Some(wanted) = wanted {
        let number = plain_number(wanted, specification, encoding);
        return number.map_or(Step::Rare(Some(wanted), specification), |number| {
            Step::Read(wanted, number)
        });
    }
    if let Some(bytes) = fixed_bytes(form, encoding) {
        return Step::Skip(bytes);
    }
    match form {
        gimli::DW_FORM_udata
        | gimli::DW_FORM_sdata
        | gimli::DW_FORM_ref_udata
        | gimli::DW_FORM_strx
        | gimli::DW_FORM_GNU_str_index
        | gimli::DW_FORM_addrx
        | gimli::DW_FORM_GNU_addr_index
        | gimli::DW_FORM_loclistx
        | gimli::DW_FORM_rnglistx => Step::SkipLeb,
        gimli::DW_FORM_string => Step::SkipText,
        gimli::DW_FORM_block1 => Step::SkipBlock(1),
        gimli::DW_FORM_block2 => Step::SkipBlock(2),
        gimli::DW_FORM_block4 => Step::SkipBlock(4),
        gimli::DW_FORM_block | gimli::DW_FORM_exprloc => Step::SkipBlock(0),
        _ => Step::Rare(None, specification),
    }
}

/// How a wanted attribute is read when it is a plain number; `None` for what takes more.
fn plain_number(
    wanted: Wanted,
    specification: AttributeSpecification,
    encoding: Encoding,
) -> Option<Number> {
    let form = specification.form();
    let constant = || match form {
        gimli::DW_FORM_data1 => Some(Number::Fixed(1)),
        gimli::DW_FORM_data2 => Some(Number::Fixed(2)),
        gimli::DW_FORM_data4 => Some(Number::Fixed(4)),
        gimli::DW_FORM_data8 => Some(Number::Fixed(8)),
        gimli::DW_FORM_udata => Some(Number::Leb),
        gimli::DW_FORM_implicit_const => {
            let value = specification.implicit_const_value()?;
            value.try_into().ok().map(Number::Constant)
        }
        _ => None,
    };
    match wanted {
        Wanted::LowPc => {
            let is_plain = form == gimli::DW_FORM_addr && matches!(encoding.address_size, 4 | 8);
            is_plain.then_some(Number::Fixed(encoding.address_size))
        }
        // An address is told apart from a size by its form.
        Wanted::HighPc | Wanted::CallFile | Wanted::CallLine | Wanted::CallColumn => constant(),
        Wanted::Ranges => {
            let is_plain = form == gimli::DW_FORM_sec_offset && encoding.format == Format::Dwarf32;
            is_plain.then_some(Number::Fixed(4))
        }
        Wanted::Origin | Wanted::Sibling => match form {
            gimli::DW_FORM_ref1 => Some(Number::Fixed(1)),
            gimli::DW_FORM_ref2 => Some(Number::Fixed(2)),
            gimli::DW_FORM_ref4 => Some(Number::Fixed(4)),
            gimli::DW_FORM_ref8 => Some(Number::Fixed(8)),
            gimli::DW_FORM_ref_udata => Some(Number::Leb),
            _ => None,
        },
    }
}

/// How many bytes values of a form take, where that is fixed.
fn fixed_bytes(form: gimli::DwForm, encoding: Encoding) -> Option<usize> {
    let word = usize::from(encoding.format.word_size());
    Some(match form {
        gimli::DW_FORM_implicit_const | gimli::DW_FORM_flag_present => 0,
        gimli::DW_FORM_data1
        | gimli::DW_FORM_flag
        | gimli::DW_FORM_strx1
        | gimli::DW_FORM_ref1
        | gimli::DW_FORM_addrx1 => 1,
        gimli::DW_FORM_data2
        | gimli::DW_FORM_ref2
        | gimli::DW_FORM_addrx2
        | gimli::DW_FORM_strx2 => 2,
        gimli::DW_FORM_addrx3 | gimli::DW_FORM_strx3 => 3,
        gimli::DW_FORM_data4
        | gimli::DW_FORM_ref4
        | gimli::DW_FORM_ref_sup4
        | gimli::DW_FORM_strx4
        | gimli::DW_FORM_addrx4 => 4,
        gimli::DW_FORM_data8
        | gimli::DW_FORM_ref8
        | gimli::DW_FORM_ref_sig8
        | gimli::DW_FORM_ref_sup8 => 8,
        gimli::DW_FORM_data16 => 16,
        gimli::DW_FORM_addr => usize::from(encoding.address_size),
        gimli::DW_FORM_sec_offset
        | gimli::DW_FORM_strp
        | gimli::DW_FORM_strp_sup
        | gimli::DW_FORM_line_strp
        | gimli::DW_FORM_GNU_ref_alt
        | gimli::DW_FORM_GNU_strp_alt => word,
        // See the note on it in DWARF 3, section 7.5.4.
        gimli::DW_FORM_ref_addr if encoding.version == 2 => usize::from(encoding.address_size),
        gimli::DW_FORM_ref_addr => word,
        _ => return None,
    })
}
