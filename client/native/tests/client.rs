//! The client as a program holds it, with a folder and without a server. What it does with one is
//! tested by the terminal program's end-to-end tests.

use std::path::Path;
use std::time::Duration;

use tidings_client_core::{
    Command, Config, ConnectionState, Failure, OfflineReason, Outcome, SignUp,
};
use tidings_client_native::{ClientHandle, FolderError, OpenError, Opening};
use tidings_protocol_identity::{Password, ServerAddress, Transport, UserName};
use tokio::net::TcpListener;
use tokio::time::timeout;

fn opening(folder: &Path) -> Opening {
    Opening { folder: folder.to_owned(), config: Config::default() }
}

#[tokio::test]
async fn folder_belongs_to_one_client_until_its_shutdown() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("anna");
    let (client, _events) = ClientHandle::open(opening(&folder)).await.unwrap();
    let second = ClientHandle::open(opening(&folder)).await.unwrap_err();
    assert!(matches!(second, OpenError::Folder(FolderError::InUse { .. })), "{second}");
    client.shutdown().await;
    ClientHandle::open(opening(&folder)).await.unwrap().0.shutdown().await;
}

#[tokio::test]
async fn client_ends_with_its_last_handle() {
    let folder = tempfile::tempdir().unwrap();
    let (client, mut events) = ClientHandle::open(opening(folder.path())).await.unwrap();
    let clone = client.clone();
    drop(client);
    clone.snapshot().await.unwrap();
    drop(clone);
    let end = async { while events.next().await.is_some() {} };
    timeout(Duration::from_secs(60), end).await.expect("the events end");
}

#[tokio::test]
async fn nobody_is_signed_in_at_first() {
    let folder = tempfile::tempdir().unwrap();
    let (client, _events) = ClientHandle::open(opening(folder.path())).await.unwrap();
    let snapshot = client.snapshot().await.unwrap();
    assert_eq!(snapshot.me, None);
    assert_eq!(snapshot.conversations, []);
    assert_eq!(snapshot.connection, ConnectionState::Offline(OfflineReason::NotWanted));
    let mut outcomes = client.command(Command::Invite).await.unwrap();
    assert_eq!(outcomes.next().await, Some(Outcome::Failed(Failure::NotSignedIn)));
    assert_eq!(outcomes.next().await, None);
    client.shutdown().await;
}

#[tokio::test]
async fn reason_why_there_is_no_connection_reaches_the_person() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let folder = tempfile::tempdir().unwrap();
    let (client, _events) = ClientHandle::open(opening(folder.path())).await.unwrap();
    let sign_up = SignUp {
        server: ServerAddress::new("127.0.0.1", port, Transport::Plain).unwrap(),
        invite: None,
        user_name: UserName::parse("anna").unwrap(),
        password: Password::parse("correct horse").unwrap(),
        display_name: String::new(),
        device_name: String::new(),
    };
    let mut outcomes = client.command(Command::SignUp(Box::new(sign_up))).await.unwrap();
    let outcome = timeout(Duration::from_secs(60), outcomes.next()).await.expect("an outcome");
    let Some(Outcome::Failed(Failure::Unreachable(words))) = outcome else { panic!("{outcome:?}") };
    assert!(words.contains("nothing listens at"), "{words}");
    client.shutdown().await;
}

#[tokio::test]
async fn closed_client_says_that_it_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (client, _events) = ClientHandle::open(opening(folder.path())).await.unwrap();
    let clone = client.clone();
    client.shutdown().await;
    assert!(clone.command(Command::Connect).await.is_err());
    assert!(clone.snapshot().await.is_err());
    assert!(clone.read(|database| database.outbox()).await.is_err());
}
