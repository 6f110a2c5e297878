//! A `libnvidia-ml.so` for machines without a card.
//!
//! It is loaded by the real nvml-wrapper, and answers from a scenario file, which is
//! read anew with every call: the one that `FAKE_NVML_SCENARIO` names, else
//! `scenario` beside the library. Lines are `key = value`, `#` begins a comment:
//!
//! ```text
//! state = ok                # or lost, mismatch, not-loaded, no-card
//! uuid = GPU-5a3f           # a key that is not there: the card does not have it
//! vram.used = 1073741824    # bytes
//! power = 312500            # milliwatts
//! fan = error 999           # this reading fails with that code
//! process = compute 4711 8589934592
//! process = graphics 812 unavailable
//! ```
//!
//! A card that was lost stays lost for whoever had the library open, until it is
//! shut down and opened again, as with the real one.
#![allow(unsafe_code, reason = "it is a C library: callers pass pointers to write to")]
#![allow(non_snake_case, reason = "the names are NVIDIA's")]

mod answers;
mod scenario;
