//! An allocator that counts what is allocated inside the methods of one stack.

// A global allocator has to be one, and that trait is unsafe.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// Counts what is allocated while [`COUNTING`] is set, and the same blocks when they are freed:
/// one stack's memory is only ever touched inside its own methods.
struct CountingAllocator;

static COUNTING: AtomicBool = AtomicBool::new(false);
static REQUESTED: AtomicUsize = AtomicUsize::new(0);
static TAKEN: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// What glibc's `malloc` takes for a block: its size and a header of 8 bytes, in units of 16, at
/// least 32.
fn with_header(size: usize) -> usize {
    (size + 8).next_multiple_of(16).max(32)
}

fn on_taken(size: usize) {
    if COUNTING.load(Relaxed) {
        REQUESTED.fetch_add(size, Relaxed);
        TAKEN.fetch_add(with_header(size), Relaxed);
    }
}

fn on_given_back(size: usize) {
    if COUNTING.load(Relaxed) {
        REQUESTED.fetch_sub(size, Relaxed);
        TAKEN.fetch_sub(with_header(size), Relaxed);
    }
}

// All four methods, since what stands in for the last two would touch and copy what the system's
// allocator need not.
// SAFETY: every call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        on_taken(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        on_given_back(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        on_taken(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        on_taken(size);
        on_given_back(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Does something of which the memory counts.
pub(crate) fn counted<T>(work: impl FnOnce() -> T) -> T {
    COUNTING.store(true, Relaxed);
    let result = work();
    COUNTING.store(false, Relaxed);
    result
}

/// What the stack has now: bytes as it asked for them, and as `malloc` takes them.
pub(crate) fn held() -> (usize, usize) {
    (REQUESTED.load(Relaxed), TAKEN.load(Relaxed))
}
