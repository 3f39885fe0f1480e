# Sourced: Rust for arm64. Debian's rustc-web has the standard library for it as a package; elsewhere `rustup target
# add aarch64-unknown-linux-gnu` brings it. Sets $target and what cargo has to know.
# shellcheck shell=bash
needs cargo=cargo aarch64-linux-gnu-gcc=gcc-aarch64-linux-gnu
target=aarch64-unknown-linux-gnu
has_std() { [ -d "$("$1" --print sysroot 2>/dev/null)/lib/rustlib/$target/lib" ]; }
if has_std "${RUSTC:-rustc}"; then :
elif has_std /usr/bin/rustc; then export RUSTC=/usr/bin/rustc
else fail "no standard library for $target: rustup target add $target, or apt-get install rustc-web libstd-rust-web-dev:arm64"
fi
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${SIALOSCOPE_CACHE:-$HOME/.cache/sialoscope}/target}
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
# Paths of this machine stay out of the binary: the same source gives the same bytes elsewhere.
export RUSTFLAGS="--remap-path-prefix=$repository=/sialoscope --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo ${RUSTFLAGS:-}"
