//! Compiles the kernel programs and leaves the object where `include_bytes_aligned!` finds it.

use std::{env, process::Command};

use anyhow::{Context as _, anyhow};
use aya_build::{Package, Toolchain};

/// A toolchain with the sources of `core`, made by `cargo xtask setup` where no nightly has them.
const OWN_TOOLCHAIN: &str = "fairlead-ebpf";

fn main() -> anyhow::Result<()> {
    println!("cargo:rerun-if-env-changed=FAIRLEAD_EBPF_TOOLCHAIN");
    let toolchain = toolchain();
    // SAFETY: a build script has one thread until it spawns others.
    unsafe { env::set_var("RUSTC_BOOTSTRAP", "1") };
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../proxy-ebpf");
    aya_build::build_ebpf(
        [Package {
            name: "proxy-ebpf",
            root_dir: root,
            no_default_features: false,
            features: &[],
        }],
        Toolchain::Custom(&toolchain),
    )
    .map_err(|error| anyhow!("{error:#}"))
    .with_context(|| {
        format!(
            "compiling the kernel programs with toolchain {toolchain}; `cargo xtask setup` installs what is missing"
        )
    })
}

/// `FAIRLEAD_EBPF_TOOLCHAIN`, or nightly if it has the sources of `core`, or our own.
fn toolchain() -> String {
    if let Ok(name) = env::var("FAIRLEAD_EBPF_TOOLCHAIN") {
        return name;
    }
    let sysroot = Command::new("rustup")
        .args(["run", "nightly", "rustc", "--print", "sysroot"])
        .output();
    let has_sources = sysroot.is_ok_and(|output| {
        let root = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        !root.is_empty()
            && std::path::Path::new(&root)
                .join("lib/rustlib/src/rust/library/core")
                .is_dir()
    });
    if has_sources {
        "nightly".to_owned()
    } else {
        OWN_TOOLCHAIN.to_owned()
    }
}
