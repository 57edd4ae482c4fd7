//! Numbers in a callchain that are no addresses: whose code follows (`enum perf_callchain_context`
//! of `linux/perf_event.h`).

/// They are the highest numbers: this one and those above (`PERF_CONTEXT_MAX`).
pub(crate) const FIRST: u64 = -4095_i64 as u64;
pub(crate) const HYPERVISOR: u64 = -32_i64 as u64;
pub(crate) const KERNEL: u64 = -128_i64 as u64;
pub(crate) const USER: u64 = -512_i64 as u64;
pub(crate) const GUEST: u64 = -2048_i64 as u64;
pub(crate) const GUEST_KERNEL: u64 = -2176_i64 as u64;
pub(crate) const GUEST_USER: u64 = -2560_i64 as u64;
