//! Links the release program so that it is small in memory: without the addresses that a loader has to fill
//! in, and with one copy of functions that are the same.
//!
//! A position-independent program has 34,000 of them: they are read and written whenever it starts,
//! and an idle agent would hold 1.3 MB for them. Libraries, heap and stack are where the kernel puts
//! them all the same, as with other programs beside an engine that Go's linker made.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let set = |name| env::var(name).unwrap_or_default();
    let features = set("CARGO_CFG_TARGET_FEATURE");
    // The compiler itself links a static one like that (scripts/compile-static.sh).
    let is_dynamic = !features.split(',').any(|feature| feature == "crt-static");
    let is_gnu = set("CARGO_CFG_TARGET_OS") == "linux" && set("CARGO_CFG_TARGET_ENV") == "gnu";
    if set("PROFILE") == "release" && is_gnu && is_dynamic {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
    // Generic functions for different types are often the same code. Only the linker that Rust has for this
    // target can merge them.
    if set("PROFILE") == "release" && is_gnu && set("CARGO_CFG_TARGET_ARCH") == "x86_64" {
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
}
