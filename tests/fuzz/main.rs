//! The smoke run of the fuzz targets: every seed of the corpus, whole, cut and bent, with a bound
//! on every allocation. `tests/fuzz/run` is the long, coverage-guided run.
//!
//! Seeds are captures made by this project (`tests/golden`) and inputs that once failed, in
//! `corpus/TARGET/`. `FUZZ_ROUNDS=N` changes the number of mutations of a seed (500).

mod seeds;
mod targets;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use targets::TARGETS;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// Remembers the largest request.
struct Watching;

// SAFETY: every call is handed to the system's allocator unchanged; the note allocates nothing.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.with(|largest| largest.set(largest.get().max(layout.size())));
        // SAFETY: the caller's own promise about `layout`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: `at` came from `alloc` above, which is the system's.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watching = Watching;

/// What a decoder may ask for at once: fixed working memory, and a multiple of its input (an
/// envelope repeats a row before and after, escaped, with names).
const FIXED_BYTES_MAX: usize = 4 << 20;
const INPUT_FACTOR_MAX: usize = 64;

/// Deterministic xorshift.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n.max(1) as u64).expect("below a usize")
    }
}

/// Bends a seed: bits, interesting bytes, lengths, cuts, repeats, splices.
fn mutate(seed: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    const BYTES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xfb, 0xfc, 0xfe, 0xff];
    let mut data = seed.to_vec();
    for _ in 0..1 + rng.below(6) {
        let at = rng.below(data.len());
        match rng.below(8) {
            0 => data.truncate(at),
            1 | 2 => {
                let bit = rng.below(8);
                data.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << bit);
            }
            3 | 4 => {
                let byte = BYTES[rng.below(BYTES.len())];
                data.get_mut(at).into_iter().for_each(|old| *old = byte);
            }
            5 => {
                let end = (at + 1 + rng.below(32)).min(data.len());
                let piece = data[at.min(end)..end].to_vec();
                data.splice(at..at, piece);
            }
            6 => {
                let end = (at + rng.below(16)).min(data.len());
                drop(data.drain(at.min(end)..end));
            }
            _ => {
                let from = rng.below(other.len());
                let end = (from + rng.below(64)).min(other.len());
                data.splice(at..at, other[from.min(end)..end].iter().copied());
            }
        }
    }
    data
}

fn rounds() -> usize {
    std::env::var("FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(500)
}

/// Runs one input; a panic names the target and prints the input, to become a seed.
fn run(name: &str, target: fn(&[u8]), data: &[u8]) {
    LARGEST.set(0);
    let outcome = std::panic::catch_unwind(|| target(data));
    let largest = LARGEST.get();
    assert!(outcome.is_ok(), "{name} panicked over {}", hex(data));
    let bound = FIXED_BYTES_MAX + INPUT_FACTOR_MAX * data.len();
    assert!(largest <= bound, "{name}: {largest} bytes asked for at once over {}", hex(data));
}

fn hex(data: &[u8]) -> String {
    data.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn no_input_breaks_a_decoder() {
    // Goal: no panic, no endless loop, no allocation beyond what the input allows, in any decoder.
    // Method: seeds from captures, each cut at every 16th of it and bent many times.
    let mut ran = 0;
    for &(name, target) in TARGETS {
        let seeds = seeds::of(name);
        assert!(!seeds.is_empty(), "{name} has no seed");
        let mut rng = Rng(0x9E37_79B9_7F4A_7C15);
        for seed in &seeds {
            run(name, target, seed);
            for part in 0..16 {
                run(name, target, &seed[..seed.len() * part / 16]);
            }
            for _ in 0..rounds() {
                let other = &seeds[rng.below(seeds.len())];
                run(name, target, &mutate(seed, other, &mut rng));
                ran += 1;
            }
        }
    }
    assert!(ran >= TARGETS.len() * rounds());
}

#[test]
fn the_bound_can_fail() {
    // Goal: the allocation bound sees a decoder that trusts a length. Method: one that does.
    fn trusting(data: &[u8]) {
        let len = data.first().map_or(0, |&n| usize::from(n) << 20);
        std::hint::black_box(Vec::<u8>::with_capacity(len));
    }
    let outcome = std::panic::catch_unwind(|| run("trusting", trusting, &[200]));
    assert!(outcome.is_err());
}
