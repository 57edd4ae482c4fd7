//! Parquet: one row a sample, for DuckDB, Spark, Polars and whoever else asks questions in SQL.
//!
//! | column | type | holds |
//! |---|---|---|
//! | `time_ns` | `INT64` | when, on the profile's clock |
//! | `process`, `thread` | text | their names |
//! | `pid`, `tid` | `INT64` | their numbers |
//! | `cpu` | `INT64`, may be null | the CPU that it was taken on |
//! | `stack_end` | text | `complete`, `truncated`, `failed`, `unknown`, `stitched` |
//! | one for each weight | `INT64` | `samples`, `cpu_ns`: the name, with the unit where it counts no things; a name that is taken already gets a number (`samples_2`) |
//! | `function`, `file`, `line`, `image` | text, text, `INT64`, text; all but `function` may be null | of the leaf: whose self weight it is |
//! | `functions` | list of texts | the stack, leaf first; inlined functions are frames of their own; never empty |
//! | `files`, `lines`, `images` | lists like `functions`, elements may be null | where each frame is: declared file, executed line, binary |
//! | `addresses` | list of `UINT64`, elements may be null | relative to the image; inlined frames have that of the frame they are inlined into |
//! | `label_keys`, `label_values` | lists of texts | further labels; a number is written as text, with its unit behind it |
//!
//! What was recorded is in the file's metadata under `hotproof.meta`, as the `meta` of our JSON
//! ([`crate::json`]). Self and total of each function, in DuckDB:
//!
//! ```sql
//! SELECT function, sum(samples) FROM 'p.parquet' GROUP BY ALL ORDER BY 2 DESC;
//! SELECT f, sum(samples) FROM (
//!   SELECT samples, unnest(list_distinct(functions)) AS f FROM 'p.parquet'
//! ) GROUP BY ALL ORDER BY 2 DESC;
//! ```
//!
//! Texts are dictionaries, pages are zstd, and a row group ends after 2^17 samples or 2^22 frames,
//! so that writing takes bounded memory. The format is written here, because the `parquet` crate
//! brings thirty others and two megabytes of program for what are a few hundred lines.
//!
//! Lost: build-ids, linkage names, symbols, mappings, which frames are inlined, starts and ends of
//! threads and processes.

mod column;
mod file;
mod rows;
mod thrift;

use std::io::Write;

use hotproof_profile::Profile;

use crate::WriteError;
use crate::folded::Options;
use crate::viewer::{self, Fact};

/// Writes one row for each sample, in the order of the profile; equal profiles give equal bytes.
/// Of the options, `inline` alone counts. Returns what the format could not carry, in words, such
/// as `symbols`.
///
/// # Errors
/// [`WriteError::Invalid`] when rows refer to rows that do not exist, and those of `out`.
pub fn write(
    profile: &Profile,
    options: &Options,
    out: impl Write,
) -> Result<Vec<String>, WriteError> {
    profile.validate()?;
    let mut table = rows::Table::of(profile, options.inline);
    let mut file = file::File::begin(out)?;
    for row in 0..profile.samples.len() {
        table.push(row);
        if table.is_full() {
            file.row_group(&table.take())?;
        }
    }
    if table.has_rows() {
        file.row_group(&table.take())?;
    }
    file.finish(&table.schema(), &crate::json::meta_text(&profile.meta))?;
    let lost = [
        Fact::BuildIds,
        Fact::LinkageNames,
        Fact::Symbols,
        Fact::Mappings,
    ];
    let carried: Vec<Fact> = Fact::all().filter(|fact| !lost.contains(fact)).collect();
    Ok(viewer::losses(profile, options, &carried))
}
