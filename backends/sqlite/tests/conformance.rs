//! The rules of a store, held by the one on SQLite. Commits are not synced here: what is durable is
//! asked in `power_loss`.

use rusqlite::{Connection, params};
use tempfile::TempDir;
use tidings_backend_sqlite::{Durability, Options, SqliteWriter, Store};
use tidings_messaging::conformance::Fixture;
use tidings_messaging::store::{Reader, Writer};
use tidings_model::{ConversationId, Seq};

struct SqliteFixture {
    writer: SqliteWriter,
    store: Store,
    folder: TempDir,
}

fn open(folder: &TempDir) -> (Store, SqliteWriter) {
    let options = Options { durability: Durability::Unsynced, ..Options::default() };
    let store = Store::open(folder.path(), options).expect("the store opens");
    let writer = store.writer().expect("its writer");
    (store, writer)
}

impl Fixture for SqliteFixture {
    fn open_fresh() -> Self {
        let folder = TempDir::new().expect("a folder");
        let (store, writer) = open(&folder);
        Self { writer, store, folder }
    }

    fn writer(&mut self) -> &mut dyn Writer {
        &mut self.writer
    }

    fn reader(&mut self) -> Box<dyn Reader> {
        Box::new(self.store.reader().expect("a reader"))
    }

    fn reopen(self) -> Self {
        let Self { writer, store, folder } = self;
        drop((writer, store));
        let (store, writer) = open(&folder);
        Self { writer, store, folder }
    }

    fn damage_payload(&mut self, conversation: ConversationId, seq: Seq) {
        let connection =
            Connection::open(self.folder.path().join("tidings.db")).expect("the database");
        let damaged = connection
            .execute(
                "UPDATE entry SET payload = CAST(x'00' || substr(payload, 2) AS BLOB)
                 WHERE seq = ?2 AND conversation =
                     (SELECT number FROM conversation WHERE conversation = ?1)",
                params![conversation.as_bytes(), seq.get().cast_signed()],
            )
            .expect("a change");
        assert_eq!(damaged, 1);
    }
}

/// All seeds, or the one that is replayed.
fn seeds() -> Vec<u64> {
    match std::env::var("TIDINGS_SEED") {
        Ok(seed) => vec![seed.parse().expect("TIDINGS_SEED is a number")],
        Err(_) => Vec::from_iter(0..24),
    }
}

tidings_messaging::conformance::suite!(SqliteFixture, seeds());
