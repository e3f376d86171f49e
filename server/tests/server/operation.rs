//! What an operator meets: health, metrics, the end, wrong settings, and a log that tells no secrets.

use std::io::{Read as _, Write as _};
use std::process::Output;

use tidings_protocol_app::wire::client_frame::Body;
use tidings_protocol_app::wire::server_frame::Body as Answer;
use tidings_protocol_identity::Password;
use tidings_protocol_identity::scram::Verifier;

use crate::app::{App, Person, accepted, create_group, fetch, random, refused, send};
use crate::house::{House, program, read_response};

#[test]
fn health_readiness_and_metrics_answer_on_their_own_listener() {
    let house = House::plain(&["--accounts-sign-up", "open"]);
    let (mut app, _) = App::new_person(&house, "anna");
    app.check_alive();
    assert_eq!(house.operator("/health").0, 200);
    assert_eq!(house.operator("/ready").0, 200);
    // The core's own numbers are taken over now and then.
    let metrics = house.wait_for_metrics("tidings_live_sessions 1");
    for line in ["tidings_build_info{version=", "tidings_commit_seconds_count"] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    assert!(!metrics.contains("anna"));
    let mut apps = house.connect();
    write!(apps, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(read_response(&mut apps).0, 404);
}

#[test]
fn connection_above_the_limit_is_closed_at_once_and_the_next_one_is_let_in_after_an_end() {
    let house = House::plain(&["--accounts-sign-up", "open", "--limits-connections", "1"]);
    let (mut first, mut anna) = App::new_person(&house, "anna");
    let mut second = house.connect();
    let mut said = Vec::new();
    // Closed before anything was said, whether by an end or by a reset.
    let _ = second.read_to_end(&mut said);
    assert!(said.is_empty(), "{said:?}");
    let metrics = house.wait_for_metrics("tidings_connections_shed_total 1");
    assert!(metrics.lines().any(|line| line == "tidings_connections 1"), "{metrics}");
    first.check_alive();
    drop(first);
    house.wait_for_metrics("tidings_connections 0");
    App::live(&house, &mut anna).check_alive();
}

#[test]
fn page_says_what_this_is() {
    let house = House::plain(&[]);
    let mut stream = house.connect();
    write!(stream, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let (status, page) = read_response(&mut stream);
    assert_eq!(status, 200);
    assert!(page.contains("This is a Tidings server") && page.contains("tidings sign-up"));
}

#[test]
fn stop_is_announced_finishes_what_was_asked_and_exits_with_0() {
    let mut house = House::plain(&["--accounts-sign-up", "open"]);
    let (mut app, mut anna) = App::new_person(&house, "anna");
    let (group, create) = create_group(&[]);
    accepted(app.ask(create));
    let mut silent = App::silent(&house);
    let number = app.say(send(group, random(), b"just before the end"));
    house.signal("-TERM");
    let mut was_told = false;
    let mut answer = None;
    let closed = loop {
        match app.hear() {
            Ok((0, Answer::GoingAway(away))) => {
                assert_eq!(away.spread_ms, 5_000);
                was_told = true;
            }
            Ok((answered, body)) if answered == number => answer = Some(body),
            Ok(_) => {}
            Err(closed) => break closed,
        }
    };
    assert!(was_told);
    assert_eq!(closed.code, 1001);
    assert_eq!(silent.wait_for_close().code, 1001);
    drop((app, silent));
    assert!(house.wait().success());
    house.restart();
    let log = crate::app::read_log(&mut App::live(&house, &mut anna), group);
    match answer {
        Some(Answer::Accepted(accepted)) => assert_eq!(log.last().unwrap().seq, accepted.seq),
        Some(Answer::Refused(refused)) => {
            assert_eq!((refused.name.as_str(), refused.retry), ("UNAVAILABLE", true));
            assert_eq!(log.len(), 1);
        }
        other => panic!("no answer to what was asked before the end: {other:?}"),
    }
}

#[test]
fn log_tells_no_secrets_and_names_and_addresses_from_debug_on_alone() {
    const PLAINTEXT: &str = "canary-plaintext";
    const PASSWORD: &str = "canary-password";
    let talk = |filter: &str| {
        let mut house = House::plain(&["--accounts-sign-up", "open", "--log-filter", filter]);
        let mut app = App::greeted(&house);
        let mut anna = Person::named("canary-name");
        let verifier = Verifier::derive(&Password::parse(PASSWORD).unwrap(), random());
        app.ask(Body::SignUp(anna.sign_up(None, &verifier)));
        let laptop = anna.on_another_device();
        assert!(matches!(app.sign_in(&laptop, PASSWORD), Answer::SignedIn(_)));
        app.resume(&mut anna);
        let (group, create) = create_group(&[]);
        accepted(app.ask(create));
        accepted(app.ask(send(group, random(), PLAINTEXT.as_bytes())));
        app.send(bytes::Bytes::from_static(b"\xff\xffcanary-plaintext"));
        app.wait_for_close();
        house.signal("-TERM");
        assert!(house.wait().success());
        house.wait_for_log("\"stopped\"");
        (house.log() + &house.output(), anna)
    };
    let (log, anna) = talk("trace");
    let token = anna.token.as_bytes();
    let hex: String = token.iter().map(|byte| format!("{byte:02x}")).collect();
    let decimal = format!("{token:?}");
    for secret in [PLAINTEXT, PASSWORD, &anna.token.to_text(), &hex, &decimal[1..40]] {
        assert!(!log.contains(secret), "{secret} stands in the log");
    }
    let (log, _) = talk("info");
    assert!(!log.contains("canary-"), "{log}");
}

#[test]
fn data_folder_is_for_one_server_and_its_owner() {
    let house = House::plain(&[]);
    let second = run(&["--data", house.folder().to_str().unwrap()]);
    assert!(!second.status.success());
    assert!(error(&second).contains("in use by another running server"), "{}", error(&second));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(house.folder()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

#[test]
fn restored_folder_begins_new_epochs_where_the_backup_ends() {
    let mut house = House::plain(&["--accounts-sign-up", "open"]);
    let (mut app, mut anna) = App::new_person(&house, "anna");
    let (group, create) = create_group(&[]);
    accepted(app.ask(create));
    let last = accepted(app.ask(send(group, random(), b"in the backup")));
    drop(app);
    let restored = |house: &House| {
        let data = ["restored", "--data", house.folder().to_str().unwrap()];
        program().args(data).output().unwrap()
    };
    assert!(error(&restored(&house)).contains("in use by another running server"));
    house.signal("-TERM");
    assert!(house.wait().success());
    let output = restored(&house);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("1 conversations begin anew"));
    house.restart();
    let stale = App::live(&house, &mut anna).ask(fetch(group, last.log_epoch, last.seq));
    let refused = refused(stale);
    assert_eq!((refused.name.as_str(), refused.log_epoch_since), ("EPOCH_CHANGED", last.seq));
}

#[test]
fn wrong_settings_are_said_and_nothing_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidings.toml");
    std::fs::write(&file, "[server]\nhosst = \"x\"\n").unwrap();
    let wrong = run(&["--config", file.to_str().unwrap()]);
    assert!(error(&wrong).contains("no setting server.hosst. Did you mean server.host?"));
    let wrong = run(&["--server-listen", "127.0.0.1"]);
    assert!(error(&wrong).contains("server.listen is not ADDRESS:PORT"), "{}", error(&wrong));
    let wrong = run(&["--tls-mode", "off"]);
    assert!(error(&wrong).contains("server.behind_proxy"), "{}", error(&wrong));
    let wrong = run(&["--config", "no-such-file.toml"]);
    assert!(error(&wrong).contains("no-such-file.toml"), "{}", error(&wrong));
}

#[test]
fn reference_and_version_are_printed() {
    let output = program().arg("config-reference").output().unwrap();
    let reference = String::from_utf8(output.stdout).unwrap();
    assert!(reference.contains("| `server.data` | `TIDINGS_SERVER_DATA` | `--data` | `data` |"));
    let output = program().arg("version").output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("tidings-server 0."));
}

fn run(flags: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    program().current_dir(folder.path()).arg("run").args(flags).output().unwrap()
}

fn error(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}
