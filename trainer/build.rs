//! Links the trainer to libtorch and writes down where it lies.
//!
//! torch-sys links the wrapper only; the binary itself must name libtorch, or the linker drops it
//! as unused and no operator is registered.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-env-changed=LIBTORCH_USE_PYTORCH");
    let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") else {
        println!(
            "cargo::error=libtorch was not found: run `trainer/libtorch` once, then set LIBTORCH to the \
             folder that it prints (or LIBTORCH_USE_PYTORCH=1 where PyTorch 2.11 is installed)"
        );
        return;
    };
    println!("cargo:rustc-link-arg=-Wl,-rpath={lib}");
    println!("cargo:rustc-link-arg=-Wl,--no-as-needed");
    println!("cargo:rustc-link-arg=-ltorch");
}
