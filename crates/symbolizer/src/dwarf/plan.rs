//! How the entries of a unit are read: for each kind of entry once, which bytes matter.
//!
//! A walk looks at each entry of a unit and needs a few attributes of the few kinds that hold
//! code. A plan joins all that lies between those into as few steps as possible, so that an entry
//! of another kind, nearly always of a fixed size, costs one addition. Forms are those of DWARF 5,
//! section 7.5.6; rare ones are left to gimli.

use gimli::{AttributeSpecification, Encoding, Error, Format, Reader};
use rustc_hash::FxHashMap;

use super::Slice;
use super::abbreviations::{Abbreviation, Abbreviations, read_values};

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

/// One step over an entry of which nothing is wanted: so many bytes, and what follows them.
#[derive(Debug, Clone, Copy)]
struct Hop {
    bytes: usize,
    then: Then,
}

/// What ends a hop.
#[derive(Debug, Clone, Copy)]
enum Then {
    Nothing,
    Leb,
    Text,
    /// As in [`Step::SkipBlock`].
    Block(u8),
    /// By gimli.
    Rare(AttributeSpecification),
}

/// How entries of one abbreviation are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    pub(crate) has_children: bool,
    /// Whether entries are only to be gone over.
    pub(crate) wants_nothing: bool,
    first_step: u32,
    steps: u32,
    first_hop: u32,
    hops: u32,
}

/// The value of a wanted attribute.
pub(crate) enum Value<'a> {
    /// A plain number: an address, a size, an offset in the section or in the unit, as the
    /// attribute has it.
    Number(u64),
    /// As gimli reads it.
    Rare(gimli::AttributeValue<Slice<'a>>),
}

/// The plans of one unit, each looked for when its abbreviation is first met.
pub(crate) struct Plans<'u, 'a> {
    abbreviations: &'u Abbreviations<'a>,
    /// By code; `None` where none was met.
    known: Vec<Option<Plan>>,
    store: PlanStore<'a>,
}

/// The plans of units of one encoding. Their tables of abbreviations number the same few hundred
/// kinds of entries in other orders, so a plan is made for each kind, not for each unit.
pub(crate) struct PlanStore<'a> {
    encoding: Encoding,
    by_content: FxHashMap<Abbreviation<'a>, Plan>,
    steps: Vec<Step>,
    hops: Vec<Hop>,
    /// For each form of the standard how many bytes its values take, or [`UNUSUAL`].
    by_form: [u8; FORMS],
}

/// One more than the last form of DWARF 5.
const FORMS: usize = 0x2d;
/// Not always as many bytes.
const UNUSUAL: u8 = u8::MAX;

/// So many steps are kept at most.
const MOST_STEPS: usize = 1 << 18;

/// Compilers number abbreviations from 1 on without gaps; plans of larger codes are not kept.
const LARGEST_KEPT_CODE: u64 = 1 << 14;

impl<'u, 'a> Plans<'u, 'a> {
    pub(crate) fn new(abbreviations: &'u Abbreviations<'a>, store: PlanStore<'a>) -> Self {
        Plans {
            abbreviations,
            known: Vec::new(),
            store,
        }
    }

    /// What the next unit needs.
    pub(crate) fn into_store(self) -> PlanStore<'a> {
        self.store
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
        let abbreviation = self.abbreviations.get(code);
        let abbreviation = abbreviation.ok_or(Error::InvalidAbbreviationCode(code))?;
        if self.store.is_full() {
            self.known.clear();
            self.store = PlanStore::new(self.store.encoding);
        }
        let plan = self.store.plan(abbreviation);
        if code <= LARGEST_KEPT_CODE {
            let code = code as usize;
            if self.known.len() <= code {
                self.known.resize(code + 1, None);
            }
            self.known[code] = Some(plan);
        }
        Ok(plan)
    }

    /// Goes over an entry whose code was read, and of which nothing is wanted.
    #[inline]
    pub(crate) fn hop(&self, plan: Plan, input: &mut Slice<'a>) -> Result<(), Error> {
        let first = plan.first_hop as usize;
        for hop in &self.store.hops[first..first + plan.hops as usize] {
            input.skip(hop.bytes)?;
            match hop.then {
                Then::Nothing => {}
                Then::Leb => skip_leb(input)?,
                Then::Text => skip_text(input)?,
                Then::Block(length_bytes) => skip_block(input, length_bytes)?,
                Then::Rare(specification) => {
                    self.rare(input, specification)?;
                }
            }
        }
        Ok(())
    }

    /// Goes over all that an entry holds, and over the end of it.
    pub(crate) fn hop_children(&mut self, input: &mut Slice<'a>) -> Result<(), Error> {
        let mut depth = 1u64;
        while depth > 0 && !input.is_empty() {
            let code = read_leb(input)?;
            if code == 0 {
                depth -= 1;
                continue;
            }
            let plan = self.plan(code)?;
            self.hop(plan, input)?;
            depth += u64::from(plan.has_children);
        }
        Ok(())
    }

    /// Reads an entry of which something is wanted, and whose code was read.
    #[inline]
    pub(crate) fn read(
        &self,
        plan: Plan,
        input: &mut Slice<'a>,
        mut take: impl FnMut(Wanted, Value<'a>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let first = plan.first_step as usize;
        for step in &self.store.steps[first..first + plan.steps as usize] {
            match *step {
                Step::Skip(bytes) => input.skip(bytes)?,
                Step::SkipLeb => skip_leb(input)?,
                Step::SkipText => skip_text(input)?,
                Step::SkipBlock(length_bytes) => skip_block(input, length_bytes)?,
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
        let mut value = None;
        let attributes = std::iter::once(specification);
        let take = |attribute: &gimli::Attribute<Slice<'a>>| value = Some(attribute.value());
        read_values(input, self.store.encoding, attributes, |_| true, take)?;
        value.ok_or(Error::UnsupportedOffset)
    }
}

impl<'a> PlanStore<'a> {
    pub(crate) fn new(encoding: Encoding) -> PlanStore<'a> {
        PlanStore {
            encoding,
            by_content: FxHashMap::default(),
            steps: Vec::new(),
            hops: Vec::new(),
            by_form: std::array::from_fn(|form| {
                let bytes = fixed_bytes(gimli::DwForm(form as u16), encoding);
                bytes.map_or(UNUSUAL, |bytes| bytes as u8)
            }),
        }
    }

    pub(crate) fn is_of(&self, encoding: Encoding) -> bool {
        self.encoding == encoding
    }

    /// Whether more than compilers write would be kept.
    fn is_full(&self) -> bool {
        self.steps.len() + self.hops.len() > MOST_STEPS
    }

    fn plan(&mut self, abbreviation: Abbreviation<'a>) -> Plan {
        if let Some(&known) = self.by_content.get(&abbreviation) {
            return known;
        }
        let plan = self.add(abbreviation);
        self.by_content.insert(abbreviation, plan);
        plan
    }

    fn add(&mut self, abbreviation: Abbreviation<'a>) -> Plan {
        let (kind, has_children) = (kind_of(abbreviation.tag), abbreviation.has_children);
        let (first_step, first_hop) = (self.steps.len(), self.hops.len());
        let wanted = |name| match kind {
            Kind::Function | Kind::InlinedFunction => wanted_of(name),
            Kind::Other if has_children && name == gimli::DW_AT_sibling => Some(Wanted::Sibling),
            Kind::Holder | Kind::Other => None,
        };
        for specification in abbreviation.attributes() {
            self.add_hop(first_hop, self.step_of(None, specification));
        }
        let mut names = abbreviation.attributes().map(|attribute| attribute.name());
        let is_plain = matches!(kind, Kind::Holder | Kind::Other);
        let wants_nothing = is_plain && !names.any(|name| wanted(name).is_some());
        if !wants_nothing {
            for specification in abbreviation.attributes() {
                let wanted = wanted(specification.name());
                self.add_step(first_step, self.step_of(wanted, specification));
            }
        }
        Plan {
            kind,
            has_children,
            wants_nothing,
            first_step: first_step as u32,
            steps: (self.steps.len() - first_step) as u32,
            first_hop: first_hop as u32,
            hops: (self.hops.len() - first_hop) as u32,
        }
    }

    fn step_of(&self, wanted: Option<Wanted>, specification: AttributeSpecification) -> Step {
        if let Some(wanted) = wanted {
            let number = plain_number(wanted, specification, self.encoding);
            return number.map_or(Step::Rare(Some(wanted), specification), |number| {
                Step::Read(wanted, number)
            });
        }
        let known = self.by_form.get(usize::from(specification.form().0));
        match known {
            Some(&bytes) if bytes != UNUSUAL => Step::Skip(bytes.into()),
            _ => step_of_form(specification, self.encoding),
        }
    }

    fn add_step(&mut self, first: usize, step: Step) {
        match (step, &mut self.steps[first..]) {
            (Step::Skip(0), _) => {}
            (Step::Skip(more), [.., Step::Skip(bytes)]) => *bytes += more,
            _ => self.steps.push(step),
        }
    }

    /// Adds a step that wants nothing.
    fn add_hop(&mut self, first: usize, step: Step) {
        let (bytes, then) = match step {
            Step::Skip(bytes) => (bytes, Then::Nothing),
            Step::SkipLeb => (0, Then::Leb),
            Step::SkipText => (0, Then::Text),
            Step::SkipBlock(length_bytes) => (0, Then::Block(length_bytes)),
            Step::Read(_, _) => return,
            Step::Rare(_, specification) => (0, Then::Rare(specification)),
        };
        match &mut self.hops[first..] {
            [.., last] if matches!(last.then, Then::Nothing) => {
                last.bytes += bytes;
                last.then = then;
            }
            _ => self.hops.push(Hop { bytes, then }),
        }
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
fn skip_text(input: &mut Slice<'_>) -> Result<(), Error> {
    input.read_null_terminated_slice().map(|_| ())
}

#[inline]
fn skip_block(input: &mut Slice<'_>, length_bytes: u8) -> Result<(), Error> {
    let length = match length_bytes {
        0 => read_leb(input)?,
        bytes => read_fixed(input, bytes)?,
    };
    input.skip(usize::try_from(length).map_err(|_| Error::UnsupportedOffset)?)
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

fn step_of_form(specification: AttributeSpecification, encoding: Encoding) -> Step {
    let form = specification.form();
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
