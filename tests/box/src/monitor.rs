//! QEMU's monitor (QMP): one JSON object a line, asked and answered.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The monitor of a running machine.
#[derive(Debug)]
pub struct Monitor {
    lines: BufReader<UnixStream>,
}

/// Connects to a socket that QEMU is about to open.
pub fn connect(socket: &Path) -> UnixStream {
    let start = Instant::now();
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => return stream,
            Err(error) => assert!(
                start.elapsed() < Duration::from_secs(20),
                "{}: {error}",
                socket.display()
            ),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Monitor {
    /// Greets the monitor behind this socket.
    pub fn open(socket: &Path) -> Self {
        let stream = connect(socket);
        let mut monitor = Self {
            lines: BufReader::new(stream),
        };
        monitor.line();
        monitor.ask("qmp_capabilities", json!({}));
        monitor
    }

    /// What the machine answers.
    pub fn ask(&mut self, command: &str, arguments: Value) -> Value {
        let request = json!({ "execute": command, "arguments": arguments });
        writeln!(self.lines.get_mut(), "{request}").expect("QEMU is gone");
        loop {
            let answer = self.line();
            if let Some(error) = answer.get("error") {
                panic!("{command}: {error}");
            }
            if let Some(value) = answer.get("return") {
                return value.clone();
            }
        }
    }

    /// The picture on the screen, as a PNG.
    pub fn picture(&mut self, file: &Path) {
        self.ask("screendump", json!({ "filename": file, "format": "png" }));
    }

    /// A key of the keyboard, by QEMU's name for it.
    pub fn key(&mut self, name: &str) {
        self.ask("send-key", json!({ "keys": [{ "type": "qcode", "data": name }] }));
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("QEMU's monitor");
        assert!(!line.is_empty(), "QEMU is gone");
        serde_json::from_str(&line).expect("QEMU's monitor speaks JSON")
    }
}
