//! The names of measured quantities for machines.

use hotproof_diff::Quantity;

/// `cpu_time`, `peak_memory`: as schemas have them.
pub(crate) fn quantity_id(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::CpuTime => "cpu_time",
        Quantity::WallTime => "wall_time",
        Quantity::PeakMemory => "peak_memory",
        Quantity::UserAndSystemTime => "user_and_system_time",
        Quantity::PageFaults => "page_faults",
        Quantity::ContextSwitches => "context_switches",
        Quantity::Instructions => "instructions",
        Quantity::Reported => "reported",
    }
}
