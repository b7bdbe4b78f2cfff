// SPDX-License-Identifier: Apache-2.0

// ruststacks.rs - Rust stacks of known shape: ruststacks SECONDS. Recursion through closures behind a trait object, in
// the main thread and in another one.

use std::hint::black_box;
use std::time::{Duration, Instant};

#[inline(never)]
fn spin(rounds: u64) -> u64 {
    let mut value = rounds;
    for _ in 0..rounds {
        value = black_box(value.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407));
    }
    value
}

#[inline(never)]
fn bottom(end: Instant) -> u64 {
    let mut sum = 0u64;
    while Instant::now() < end {
        sum = sum.wrapping_add(spin(200000));
    }
    sum
}

#[inline(never)]
fn call(function: &dyn Fn() -> u64) -> u64 {
    black_box(function()) + 1
}

#[inline(never)]
fn descend(depth: u32, end: Instant) -> u64 {
    if depth == 0 {
        return bottom(end) + 1;
    }
    call(&|| black_box(descend(depth - 1, end)) + 1) + 1
}

#[inline(never)]
fn work(end: Instant) -> u64 {
    black_box(descend(20, end)) + 1
}

fn main() {
    let seconds: f64 = std::env::args().nth(1).expect("usage: ruststacks SECONDS").parse().expect("seconds");
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    println!("ready");
    let other = std::thread::spawn(move || black_box(work(end)));
    black_box(work(end));
    other.join().unwrap();
}
