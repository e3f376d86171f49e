//! A server in its own process and folder, and what it says.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tidings_protocol_identity::InviteLink;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. Dropping it kills it.
pub(crate) struct House {
    data: TempDir,
    flags: Vec<String>,
    child: Child,
    output: Said,
    log: Said,
    pub(crate) port: u16,
    pub(crate) metrics_port: u16,
}

/// What a stream of the program has said so far.
#[derive(Clone, Default)]
struct Said(Arc<(Mutex<String>, Condvar)>);

impl House {
    /// Starts a server without TLS on loopback.
    pub(crate) fn plain(flags: &[&str]) -> Self {
        Self::start(&[&["--tls-mode", "off"], flags].concat())
    }

    /// Starts a server.
    pub(crate) fn start(flags: &[&str]) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let flags: Vec<_> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let (child, output, log) = spawn(&data, &flags);
        let mut house = Self { data, flags, child, output, log, port: 0, metrics_port: 0 };
        house.wait_until_it_listens();
        house
    }

    /// Kills the server as a power cut would, and starts it again on the same folder.
    pub(crate) fn kill_and_restart(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
        self.restart();
    }

    /// Starts a server that has ended again, on the same folder.
    pub(crate) fn restart(&mut self) {
        (self.child, self.output, self.log) = spawn(&self.data, &self.flags);
        self.wait_until_it_listens();
    }

    fn wait_until_it_listens(&mut self) {
        let port = |message: &str| {
            self.log.wait_for(|log| {
                let line = log.lines().find(|line| line.contains(message))?;
                let (_, address) = line.split_once("\"address\":\"127.0.0.1:")?;
                address.split('"').next()?.parse().ok()
            })
        };
        let (listening, metrics) = (port("\"listening\""), port("\"health and metrics\""));
        (self.port, self.metrics_port) = (listening, metrics);
    }

    /// The administrator's invite.
    pub(crate) fn invite(&self) -> InviteLink {
        self.output.wait_for(|output| {
            let line = output.lines().find(|line| line.contains("#invite="))?;
            Some(line.parse().expect("a valid link"))
        })
    }

    pub(crate) fn signal(&self, signal: &str) {
        let process = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &process]).status().expect("kill runs");
        assert!(status.success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }

    /// Everything on standard error so far.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// Everything on standard output so far.
    pub(crate) fn output(&self) -> String {
        self.output.text()
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.data.path()
    }

    /// Waits until the log holds a text.
    pub(crate) fn wait_for_log(&self, text: &str) {
        self.log.wait_for(|log| log.contains(text).then_some(()));
    }

    /// A bare connection to the apps' port.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// Asks the operator's listener; gives status line and body.
    pub(crate) fn operator(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.metrics_port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .expect("it reads");
        read_response(&mut stream)
    }

    /// Waits until the metrics hold a line.
    #[track_caller]
    pub(crate) fn wait_for_metrics(&self, line: &str) -> String {
        let begun = std::time::Instant::now();
        loop {
            let (status, metrics) = self.operator("/metrics");
            assert_eq!(status, 200);
            if metrics.lines().any(|said| said == line) {
                return metrics;
            }
            assert!(begun.elapsed() < PATIENCE, "{line} is not in {metrics}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Said {
    fn listen_to(stream: impl Read + Send + 'static) -> Self {
        let said = Self::default();
        let heard = said.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let (text, changed) = &*heard.0;
                let mut text = text.lock().expect("no panic");
                text.push_str(&line);
                text.push('\n');
                changed.notify_all();
            }
        });
        said
    }

    fn text(&self) -> String {
        self.0.0.lock().expect("no panic").clone()
    }

    #[track_caller]
    fn wait_for<T>(&self, find: impl Fn(&str) -> Option<T>) -> T {
        let (text, changed) = &*self.0;
        let mut text = text.lock().expect("no panic");
        loop {
            if let Some(found) = find(&text) {
                return found;
            }
            let (next, waited) = changed.wait_timeout(text, PATIENCE).expect("no panic");
            assert!(!waited.timed_out(), "not said: {}", *next);
            text = next;
        }
    }
}

fn spawn(data: &TempDir, flags: &[String]) -> (Child, Said, Said) {
    let mut child = program()
        .arg("run")
        .arg("--data")
        .arg(data.path())
        .args(["--server-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"])
        .args(["--log-format", "json"])
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let output = Said::listen_to(child.stdout.take().expect("piped"));
    let log = Said::listen_to(child.stderr.take().expect("piped"));
    (child, output, log)
}

/// The program, without the environment's settings.
pub(crate) fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tidings-server"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TIDINGS_") {
            program.env_remove(name);
        }
    }
    program
}

/// Reads an HTTP response up to the end of the connection; gives its status and all of it.
pub(crate) fn read_response(stream: &mut impl Read) -> (u16, String) {
    let mut response = Vec::new();
    // A server that has said everything may reset a connection whose input it did not read.
    let _ = stream.read_to_end(&mut response);
    let response = String::from_utf8_lossy(&response).into_owned();
    let status = response.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no response: {response:?}")), response)
}
