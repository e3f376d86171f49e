//! The real server in a process of its own: started, killed and started again on the same folder and
//! port, with the CPU time of all its lives.
//!
//! Deliberately not here: the address that clients use, which is the proxy's ([`crate::proxy`]).

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use tidings_protocol_identity::InviteLink;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use wait4::{ResUse, Wait4};

/// How long a start may take until connections are accepted: on a busy machine, with a log to recover.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long an orderly stop may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Time between two looks at a process that starts or stops.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// The server's certificate with its key, in its data folder.
pub(crate) const CERTIFICATE: &str = "certificate.pem";

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignUp {
    /// Whoever has an invite.
    Invite,
    /// Everybody.
    Open,
}

/// The server.
#[derive(Debug)]
pub(crate) struct Server {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    life: Option<Child>,
    /// User and system time of the lives that are over.
    cpu: Duration,
    kills: u64,
}

impl Server {
    /// Prepares a server in an empty folder. Invite links will name `public_port`.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) fn prepare(
        program: PathBuf,
        folder: PathBuf,
        port: u16,
        public_port: u16,
        sign_up: SignUp,
    ) -> Result<Self> {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("server.toml"), configuration(port, public_port, sign_up))?;
        Ok(Self { program, folder, port, life: None, cpu: Duration::ZERO, kills: 0 })
    }

    /// Starts it, and waits until it accepts connections.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) async fn start(&mut self) -> Result<()> {
        let output =
            |name: &str| File::options().create(true).append(true).open(self.folder.join(name));
        let mut command = Command::new(&self.program);
        command
            .arg("run")
            .arg("--config")
            .arg(self.folder.join("server.toml"))
            .arg("--data")
            .arg(self.folder.join("data"))
            .stdin(Stdio::null())
            .stdout(output("out")?)
            .stderr(output("log")?);
        // What the caller has set for a server of theirs is not meant for this one.
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("TIDINGS_") {
                command.env_remove(variable);
            }
        }
        let child = command
            .spawn()
            .with_context(|| format!("{} cannot be started", self.program.display()))?;
        self.life = Some(child);
        let begun = Instant::now();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        while TcpStream::connect(address).await.is_err() {
            if let Some(end) = self.try_wait()? {
                bail!("the server ended at its start: {}\n{}", end.status, self.last_words());
            }
            if begun.elapsed() > START_TIMEOUT {
                bail!("the server accepts no connection after {START_TIMEOUT:?}");
            }
            sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }

    /// Kills it with SIGKILL.
    ///
    /// # Errors
    /// It was not running any more.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        if let Some(end) = self.try_wait()? {
            bail!("the server ended by itself: {}\n{}", end.status, self.last_words());
        }
        let mut life = self.life.take().context("the server is not running")?;
        life.kill()?;
        let end = tokio::task::spawn_blocking(|| life.wait4()).await??;
        self.note(end);
        self.kills += 1;
        Ok(())
    }

    /// Stops it in order, with SIGTERM.
    ///
    /// # Errors
    /// It was not running any more, or it does not stop, or not as it should.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        let life = self.life.as_ref().context("the server is not running")?;
        kill_process(Pid::from_child(life), Signal::TERM)?;
        let stopping = async {
            loop {
                if let Some(end) = self.try_wait()? {
                    return Ok::<_, anyhow::Error>(end);
                }
                sleep(LOOK_INTERVAL).await;
            }
        };
        let end = timeout(STOP_TIMEOUT, stopping)
            .await
            .map_err(|_| anyhow!("the server does not stop within {STOP_TIMEOUT:?}"))??;
        if !end.status.success() {
            bail!("the server stopped with {}\n{}", end.status, self.last_words());
        }
        Ok(())
    }

    /// The invite link that the last start printed.
    ///
    /// # Errors
    /// It has printed none.
    pub(crate) async fn invite(&self) -> Result<InviteLink> {
        // It is printed just before or after the first connection is accepted.
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let output = fs::read_to_string(self.folder.join("out"))?;
            let mut links = output.split_whitespace().filter(|word| word.contains("#invite="));
            if let Some(link) = links.next_back() {
                return Ok(link.parse()?);
            }
            if Instant::now() > deadline {
                bail!("the server printed no invite link\n{}", self.last_words());
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// The lines of its log that call for somebody to look. No fault of a replay is a reason for one.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let is_warning = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
        log.lines().filter(is_warning).map(str::to_owned).collect()
    }

    /// How often it was killed.
    pub(crate) fn kills(&self) -> u64 {
        self.kills
    }

    /// User and system time of all its lives that are over.
    pub(crate) fn cpu(&self) -> Duration {
        self.cpu
    }

    fn try_wait(&mut self) -> Result<Option<ResUse>> {
        let life = self.life.as_mut().context("the server is not running")?;
        let end = life.try_wait4()?;
        if let Some(end) = end {
            self.life = None;
            self.note(end);
        }
        Ok(end)
    }

    fn note(&mut self, end: ResUse) {
        self.cpu += end.rusage.utime + end.rusage.stime;
    }

    /// The end of its log, for the error that tells of its end.
    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut life) = self.life.take() {
            // It may have ended meanwhile; it must not outlive the replay.
            let _ = life.kill();
            let _ = life.wait();
        }
    }
}

/// The server's configuration. The limits are those of a house in which one machine is everybody.
fn configuration(port: u16, public_port: u16, sign_up: SignUp) -> String {
    let sign_up = match sign_up {
        SignUp::Invite => "invite",
        SignUp::Open => "open",
    };
    format!(
        "[server]\n\
         host = \"127.0.0.1\"\n\
         listen = \"127.0.0.1:{port}\"\n\
         public_port = {public_port}\n\
         \n\
         [accounts]\n\
         sign_up = \"{sign_up}\"\n\
         \n\
         [limits]\n\
         messages_per_second = 10000\n\
         messages_burst = 10000\n\
         look_ups_per_minute = 100000\n\
         look_ups_per_day = 100000\n\
         claims_per_minute = 100000\n\
         claims_per_day = 100000\n\
         open_invites_per_account = 10000\n\
         \n\
         [metrics]\n\
         listen = \"off\"\n"
    )
}

/// A port of loopback that is free now.
///
/// # Errors
/// There is none.
pub(crate) async fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?.port())
}

/// The server's program, which is built beside this one.
///
/// # Errors
/// It is not there.
pub(crate) fn program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().unwrap_or(Path::new("."));
    let program = folder.join("tidings-server");
    if !program.exists() {
        bail!("{} is not there: build it with this program", program.display());
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program that listens as a server would, burns a little time and logs a line.
    fn prepare(folder: &Path, script: &str, port: u16) -> Server {
        let program = folder.join("program");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        Server::prepare(program, folder.join("server"), port, 1, SignUp::Open).unwrap()
    }

    #[tokio::test]
    async fn killed_server_counts_as_killed_and_its_time_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        // The test listens in the program's stead.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; echo ready; exec sleep 60";
        let mut server = prepare(folder.path(), script, port);
        server.start().await.unwrap();
        while fs::read_to_string(folder.path().join("server/out")).unwrap().is_empty() {
            sleep(LOOK_INTERVAL).await;
        }
        server.kill().await.unwrap();
        assert_eq!(server.kills(), 1);
        assert!(server.cpu() > Duration::ZERO);
        assert!(server.kill().await.is_err());
    }

    #[tokio::test]
    async fn server_that_ends_at_its_start_is_an_error_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port().await.unwrap();
        let mut server = prepare(folder.path(), "echo the disk is full >&2; exit 1", port);
        let error = server.start().await.unwrap_err();
        assert!(error.to_string().contains("the disk is full"), "{error}");
    }

    #[tokio::test]
    async fn invite_link_is_found_in_what_the_server_prints() {
        let folder = tempfile::tempdir().unwrap();
        let server = prepare(folder.path(), "", 1);
        let link = "https://127.0.0.1:8443/#invite=aaaaaaaaaaaaaaaaaaaaaaaaaa";
        fs::write(folder.path().join("server/out"), format!("Hello:\n\n    {link}\n")).unwrap();
        assert_eq!(server.invite().await.unwrap().to_string(), link);
    }

    #[test]
    fn warnings_and_errors_of_the_servers_log_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let server = prepare(folder.path(), "", 1);
        let log = "2026  INFO run: listening\n2026  WARN core: the log begins a new epoch\n";
        fs::write(folder.path().join("server/log"), log).unwrap();
        assert_eq!(server.warnings(), ["2026  WARN core: the log begins a new epoch"]);
    }

    #[test]
    fn configuration_is_toml_and_names_its_port() {
        let text = configuration(1234, 4321, SignUp::Invite);
        assert!(
            text.contains("listen = \"127.0.0.1:1234\"") && text.contains("public_port = 4321")
        );
        assert!(text.contains("sign_up = \"invite\""));
    }
}
