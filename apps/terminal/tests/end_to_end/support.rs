//! A server, people, and what they run.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The password of everybody here.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Seconds that a program may wait for the server: far more than a busy machine needs.
const TIMEOUT: &str = "60";

/// How long a server may take to listen.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The server's program, built once from the same sources.
fn server_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // Beside this program, whatever the profile and the folder that it was built in.
        let here = Path::new(env!("CARGO_BIN_EXE_tidings")).parent().expect("a folder");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "tidings-server", "--target-dir"]);
        build.arg(here.parent().expect("a folder")).current_dir(env!("CARGO_MANIFEST_DIR"));
        if here.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "the server does not build");
        let program = here.join("tidings-server");
        assert!(program.exists(), "{} is missing", program.display());
        program
    })
}

/// A server, killed when it is dropped.
pub(crate) struct Server {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
    /// The administrator's invite link.
    pub(crate) first_link: String,
}

impl Server {
    /// Starts one with an empty folder.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let folder = tempfile::tempdir().expect("a folder");
        let mut server = Self { folder, port, child: None, first_link: String::new() };
        let stdout = server.start_again();
        let mut lines = BufReader::new(stdout).lines();
        server.first_link = lines
            .by_ref()
            .map(|line| line.expect("the server's output is text"))
            .find(|line| line.contains("#invite="))
            .expect("the server prints an invite link")
            .trim()
            .to_owned();
        // A pipe that nobody reads would stop the server one day.
        thread::spawn(move || lines.for_each(drop));
        server
    }

    /// Starts it on the same folder and port, and gives its standard output.
    pub(crate) fn start_again(&mut self) -> ChildStdout {
        let mut child = Command::new(server_program())
            .arg("run")
            .arg("--data")
            .arg(self.folder.path())
            .args(["--server-host", "127.0.0.1", "--metrics-listen", "off"])
            .args(["--server-drain-spread-ms", "0", "--log-filter", "warn"])
            .args(["--limits-messages-per-second", "100000", "--limits-messages-burst", "100000"])
            .args(["--server-listen", &format!("127.0.0.1:{}", self.port)])
            .args(["--limits-look-ups-per-minute", "100000", "--limits-look-ups-per-day", "100000"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let stdout = child.stdout.take().expect("a pipe");
        self.child = Some(child);
        self.wait_until_it_listens();
        stdout
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("the server runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// Whether some words stand in any file of its folder.
    pub(crate) fn holds(&self, words: &str) -> bool {
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("the folder can be read") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let bytes = std::fs::read(&path).expect("the file can be read");
                if bytes.windows(words.len()).any(|window| window == words.as_bytes()) {
                    return true;
                }
            }
        }
        false
    }

    fn wait_until_it_listens(&mut self) {
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let child = self.child.as_mut().expect("the server was started");
            assert_eq!(child.try_wait().expect("it can be asked"), None, "the server has ended");
            assert!(begun.elapsed() < START_TIMEOUT, "the server does not listen");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Signs somebody up with the link that is at hand: the administrator first, then by invites of
    /// theirs.
    pub(crate) fn people<const N: usize>(&self, names: [&str; N]) -> [Person; N] {
        let mut links = vec![self.first_link.clone()];
        names.map(|name| {
            let person = Person::new(name);
            let link = links.pop().expect("a link");
            person.ok(&["sign-up", &link, "--user-name", name, "--display-name", &title(name)]);
            links.push(person.invite());
            person
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

/// A name with a capital letter.
fn title(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    format!("{}{rest}", first.to_uppercase())
}

/// Somebody with a folder of their own.
pub(crate) struct Person {
    pub(crate) name: String,
    parent: TempDir,
}

/// What became of a run.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Person {
    /// Somebody who has not signed in anywhere.
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), parent: tempfile::tempdir().expect("a folder") }
    }

    /// Another device of this person's, signed in and not linked.
    pub(crate) fn other_device(&self, server: &Server, device_name: &str) -> Self {
        let device = Self::new(&format!("{}'s {device_name}", self.name));
        let link = &server.first_link;
        device.ok(&["sign-in", link, "--user-name", &self.name, "--device-name", device_name]);
        device
    }

    /// Shows a code in the background, and waits there until it is used.
    pub(crate) fn show_link_code(&self) -> (Running, String) {
        let mut linking = self.start(&["link", "--yes", "--json"]);
        let shown: Value = serde_json::from_str(&linking.wait_for("link_code")).expect("an object");
        (linking, shown["code"].as_str().expect("a code").to_owned())
    }

    /// Links another device of this person's.
    pub(crate) fn links(&self, device: &Self) {
        let (linking, code) = device.show_link_code();
        self.ok(&["link", &code, "--yes"]);
        self.gives_history_to(linking);
    }

    /// Is connected until a device that was just linked has the history.
    pub(crate) fn gives_history_to(&self, linking: Running) {
        let _connected = self.start(&["follow"]);
        let (exit, rest) = linking.end();
        assert_eq!(exit, 0, "{}: {rest}", self.name);
    }

    /// The folder.
    pub(crate) fn folder(&self) -> PathBuf {
        self.parent.path().join("data")
    }

    /// The program with this person's folder, and without what the environment of the test says.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
        command
            .args(arguments)
            .arg("--data")
            .arg(self.folder())
            .env_remove("TIDINGS_DATA")
            .env("TIDINGS_PASSWORD", PASSWORD)
            .env("TZ", "UTC")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if !arguments.iter().any(|argument| argument.starts_with("--timeout")) {
            command.args(["--timeout", TIMEOUT]);
        }
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().expect("the program starts").into()
    }

    /// Runs it with some standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Ran {
        let mut child =
            self.command(arguments).stdin(Stdio::piped()).spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = input.to_owned();
        let writer = thread::spawn(move || stdin.write_all(input.as_bytes()));
        let ran = child.wait_with_output().expect("it ends").into();
        writer.join().expect("the writer ends").expect("the input is read");
        ran
    }

    /// Runs it and expects that all is done; gives what it printed.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.exit, 0, "{}: {arguments:?}: {ran:#?}", self.name);
        ran.stdout
    }

    /// Runs it with `--json` and expects that all is done; gives its objects.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let with_json = [arguments, &["--json"]].concat();
        objects(&self.ok(&with_json))
    }

    /// Runs it and expects that it fails with an exit code and, with `--json`, a name.
    #[track_caller]
    pub(crate) fn fails(&self, arguments: &[&str], exit: i32, name: &str) -> String {
        let ran = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(ran.exit, exit, "{}: {arguments:?}: {ran:#?}", self.name);
        let error = objects(&ran.stderr).pop().expect("an error object");
        assert_eq!(error["name"], name, "{error}");
        assert_eq!(error["exit"], exit);
        error["message"].as_str().expect("a sentence").to_owned()
    }

    /// An invite link of this person's.
    #[track_caller]
    pub(crate) fn invite(&self) -> String {
        self.ok(&["invite"]).trim().to_owned()
    }

    /// The messages of a conversation.
    #[track_caller]
    pub(crate) fn messages(&self, conversation: &str) -> Vec<Value> {
        let rows = self.json(&["read", conversation, "--last", "100000"]);
        rows.into_iter().filter(|row| row["type"] == "message").collect()
    }

    /// The texts of a conversation, in order.
    #[track_caller]
    pub(crate) fn texts(&self, conversation: &str) -> Vec<String> {
        let text = |message: &Value| message["text"].as_str().unwrap_or("(none)").to_owned();
        self.messages(conversation).iter().map(text).collect()
    }

    /// Starts it in the background with pipes on both sides.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Running { child, stdout }
    }
}

/// A program that runs in the background, killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    /// Reads lines until one that holds some words.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, words: &str) -> String {
        let mut before = String::new();
        loop {
            let mut line = String::new();
            let bytes = self.stdout.read_line(&mut line).expect("the output is text");
            assert_ne!(bytes, 0, "it ended without {words:?} after {before:?}");
            if line.contains(words) {
                return line;
            }
            before.push_str(&line);
        }
    }

    /// Types a line.
    pub(crate) fn type_line(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("a pipe");
        writeln!(stdin, "{line}").expect("it reads");
    }

    /// Ends its input and waits for its end; gives the rest of its output.
    pub(crate) fn end(mut self) -> (i32, String) {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("the output is text");
        let exit = self.child.wait().expect("it ends").code().unwrap_or(-1);
        (exit, rest)
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("panicked"), "{stderr}");
        Self {
            exit: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("the output is text"),
            stderr: String::from_utf8(output.stderr).expect("the errors are text"),
        }
    }
}

/// The objects of a text, one a line.
#[track_caller]
pub(crate) fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("each line is an object")).collect()
}
