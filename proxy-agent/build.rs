//! Compiles the kernel programs and leaves the object as `$OUT_DIR/router`.
//!
//! By hand and not by aya-build, which gives the compiler no processor: compare-and-exchange and fetching additions are
//! instructions of the third version (Linux 5.12), and the default has neither.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

/// A toolchain with the sources of `core`, made by `cargo xtask setup` where no nightly has them.
const OWN_TOOLCHAIN: &str = "fairlead-ebpf";
const TARGET: &str = "bpfel-unknown-none";
const FLAGS: [&str; 4] = [
    "-Ctarget-cpu=v3",
    "-Cdebuginfo=2",
    "-Clink-arg=--btf",
    "--check-cfg=cfg(bpf_target_arch, values(any()))",
];
/// What belongs to the build around this one and must not reach the one inside it.
const INHERITED: [&str; 5] = [
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the workspace has a folder")?;
    for part in [
        "proxy-ebpf/src",
        "proxy-ebpf/Cargo.toml",
        "proxy-common/src",
        "proxy-common/Cargo.toml",
        "Cargo.lock",
    ] {
        println!("cargo:rerun-if-changed={}", root.join(part).display());
    }
    println!("cargo:rerun-if-env-changed=FAIRLEAD_EBPF_TOOLCHAIN");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let target = out.join("ebpf-target");
    compile(root, &target, &toolchain())?;
    fs::copy(target.join(TARGET).join("release/router"), out.join("router")).context("copying the object")?;
    Ok(())
}

fn compile(root: &Path, target: &Path, toolchain: &str) -> Result<()> {
    let mut cargo = Command::new("rustup");
    cargo.args([
        "run",
        toolchain,
        "cargo",
        "build",
        "--locked",
        "--release",
        "--package",
        "proxy-ebpf",
        "--bin",
        "router",
    ]);
    cargo
        .args(["-Z", "build-std=core", "--target", TARGET, "--target-dir"])
        .arg(target);
    cargo.current_dir(root);
    for name in INHERITED {
        cargo.env_remove(name);
    }
    cargo.env("LD_LIBRARY_PATH", library_path()?);
    // The programs run where the agent does, and must know how strongly that processor orders what it reads.
    let processor = std::env::var("CARGO_CFG_TARGET_ARCH").context("cargo says for which processor it builds")?;
    let flags = [FLAGS.join("\x1f"), format!("--cfg=bpf_target_arch=\"{processor}\"")].join("\x1f");
    // The compiler is a stable one where no nightly has the sources of `core`.
    cargo.env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", flags);
    let status = cargo
        .status()
        .context("running rustup, which finds the toolchain of the kernel programs")?;
    ensure!(
        status.success(),
        "the kernel programs do not compile with toolchain {toolchain}; `cargo xtask setup build` installs what is missing"
    );
    Ok(())
}

/// Where bpf-linker finds LLVM: in the library folder of the compiler that compiles this.
fn library_path() -> Result<String> {
    let rustc = env::var("RUSTC").context("cargo names the compiler")?;
    let sysroot = Command::new(rustc)
        .args(["--print", "sysroot"])
        .output()
        .context("asking the compiler for its folder")?;
    let own = format!("{}/lib", String::from_utf8_lossy(&sysroot.stdout).trim());
    Ok(env::var("LD_LIBRARY_PATH").map_or_else(|_| own.clone(), |others| format!("{own}:{others}")))
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
        !root.is_empty() && Path::new(&root).join("lib/rustlib/src/rust/library/core").is_dir()
    });
    if has_sources {
        "nightly".to_owned()
    } else {
        OWN_TOOLCHAIN.to_owned()
    }
}
