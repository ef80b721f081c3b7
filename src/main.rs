//! The binary: an allocator and a hand-over to `penstock::command`.

use std::ffi::{c_int, c_long};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
}

/// `mi_option_arena_eager_commit` (mimalloc.h). Where memory is overcommitted mimalloc commits its
/// arena at once and gives purged pages back late: a spilled transaction peaked at 67 MiB with it
/// and at 38 without, at the same speed (2026-11-25).
const ARENA_EAGER_COMMIT: c_int = 4;

/// The arena is made by the first allocation, which comes before `main`: so this comes before it.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = set_allocator_options;

extern "C" fn set_allocator_options() {
    // SAFETY: takes two numbers and writes one entry of mimalloc's own static table; it allocates
    // nothing, and the loader runs it before any other thread exists.
    unsafe { mi_option_set(ARENA_EAGER_COMMIT, 0) };
}

fn main() -> ExitCode {
    penstock::command::main()
}
