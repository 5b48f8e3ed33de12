//! `functions/build.rs`, compiled as Cargo does and told the flags as Cargo tells them.

use std::process::Command;

use sayso_tests::workspace;
use tempfile::TempDir;

#[test]
fn no_function_is_built_for_the_processor_of_the_machine_that_builds_it() {
    let folder = TempDir::new().expect("a folder");
    let script = folder.path().join("build");
    let compiled = Command::new("rustc")
        .args(["--edition", "2024", "-o"])
        .args([&script, &workspace().join("functions/build.rs")])
        .status();
    assert!(compiled.expect("rustc").success());
    let built = |flags: &[&str], profile: &str| {
        let mut command = Command::new(&script);
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")).env("PROFILE", profile);
        command.output().expect("the script")
    };
    for native in
        [&["-Ctarget-cpu=native"][..], &["-C", "target-cpu=native"], &["-g", "--codegen=target-cpu=native"]]
    {
        let refused = built(native, "release");
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && words.contains("CARGO_ENCODED_RUSTFLAGS= sam build"), "{words}");
        assert!(built(native, "debug").status.success(), "what is only tried here may be");
    }
    for other in [&[][..], &["-Ctarget-cpu=x86-64-v2"], &["-C", "strip=symbols"]] {
        assert!(built(other, "release").status.success(), "{other:?}");
    }
}
