//! Typed row numbers, so that a stack is never taken for a location.

/// A row number in one table of a [`crate::Profile`].
pub trait Id: Copy + Eq + Ord + std::hash::Hash {
    /// The row as an index into its table.
    fn index(self) -> usize;
    /// The id of row `index`.
    ///
    /// # Panics
    /// Panics when `index` does not fit in 32 bits: no table holds four thousand million rows.
    fn from_index(index: usize) -> Self;
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u32);

        impl Id for $name {
            fn index(self) -> usize {
                self.0 as usize
            }

            fn from_index(index: usize) -> Self {
                $name(u32::try_from(index).expect("a table has fewer than 2^32 rows"))
            }
        }
    )*};
}

ids! {
    /// An interned text.
    StringId;
    /// One exec image of a process.
    ProcessId;
    /// One thread.
    ThreadId;
    /// One binary, or another source of code.
    ImageId;
    /// One mapping of an image into a process.
    MappingId;
    /// One entry of a symbol table.
    SymbolId;
    /// One source function.
    FunctionId;
    /// One function at one line, part of a location.
    FrameId;
    /// One address of an image.
    LocationId;
    /// One interned path from the root.
    StackId;
    /// One interned set of labels.
    LabelSetId;
}
