//! The environment with its other reader and writer: libubootenv, which RAUC uses on the box.

use std::fs;
use std::path::Path;
use std::process::Command;

use loader::environment::{COPIES, COPY_BYTES, Environment};
use loader::tries::{Slot, Tries};

/// A partition `ubootenv` as a file, and libubootenv's words about it.
struct Partition(tempfile::TempDir);

impl Partition {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ubootenv");
        fs::write(&file, vec![0; 1 << 20]).expect("a file");
        let lines = COPIES.map(|offset| format!("{} {offset:#x} {COPY_BYTES:#x}\n", file.display()));
        fs::write(folder.path().join("config"), lines.concat()).expect("a file");
        Self(folder)
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.path().join("ubootenv")
    }

    fn environment(&self) -> Environment {
        let bytes = fs::read(self.file()).expect("a partition");
        let copy = |offset: u64| &bytes[usize::try_from(offset).expect("an offset")..][..COPY_BYTES];
        Environment::read(COPIES.map(copy))
    }

    fn write(&self, environment: &mut Environment) {
        let (offset, copy) = environment.next_copy();
        let mut bytes = fs::read(self.file()).expect("a partition");
        let at = usize::try_from(offset).expect("an offset");
        bytes[at..at + copy.len()].copy_from_slice(&copy);
        fs::write(self.file(), bytes).expect("a partition");
    }

    fn tool(&self, name: &str, arguments: &[&str]) -> String {
        let path = Path::new("/usr/bin").join(name);
        let output = Command::new(&path)
            .arg("-c")
            .arg(self.0.path().join("config"))
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}: apt-get install libubootenv-tool", path.display()));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }
}

#[test]
fn libubootenv_reads_what_is_written_here_and_the_other_way_round() {
    let partition = Partition::new();
    let mut environment = partition.environment();
    assert_eq!(environment.tries, Tries::default());
    // As many turns as the count has values, and some.
    for turn in 0..300_u32 {
        environment.tries.exhausted = turn;
        environment.tries.left = [3, 3];
        assert_eq!(environment.tries.choose(), Some(Slot::A));
        partition.write(&mut environment);
        assert_eq!(
            partition.tool("fw_printenv", &["BOOT_EXHAUSTED"]),
            format!("BOOT_EXHAUSTED={turn:x}")
        );
        assert_eq!(
            partition.tool("fw_printenv", &["BOOT_A_WHY"]),
            "BOOT_A_WHY=started"
        );
        partition.tool("fw_setenv", &["BOOT_ORDER", "B A"]);
        partition.tool("fw_setenv", &["BOOT_A_WHY"]);
        environment = partition.environment();
        assert_eq!(environment.tries.order, "B A");
        assert_eq!(environment.tries.why[0], "");
        assert_eq!(environment.tries.exhausted, turn);
        environment.tries.order = "A B".to_owned();
    }
}
