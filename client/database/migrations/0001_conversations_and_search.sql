-- What one device holds: its account, people, conversations, the read part of their logs, the
-- outbox, its keys, and the search index.
--
-- Identifiers are BLOBs of 16 bytes, times are milliseconds since 1970 UTC. Unsigned 64-bit numbers
-- without an upper bound of their own are kept by their bits. There are no foreign keys: all
-- changes come from the core, whose change sets are whole by themselves, and which may hear of a
-- member before it hears of the conversation.

CREATE TABLE account (
    -- A device belongs to one account: one row.
    id                 INTEGER PRIMARY KEY CHECK (id = 1),
    host               TEXT NOT NULL,
    port               INTEGER NOT NULL,
    tls                INTEGER NOT NULL,
    certificate_sha256 BLOB,
    account            BLOB,
    device             BLOB NOT NULL,
    token              BLOB NOT NULL,
    user_name          TEXT NOT NULL,
    display_name       TEXT NOT NULL,
    administrator      INTEGER NOT NULL,
    -- 1 signing up, 2 signed in, 3 must read first, 4 signed out.
    standing           INTEGER NOT NULL,
    -- The encoded request, while signing up.
    sign_up            BLOB,
    resume_counter     INTEGER NOT NULL,
    receipts_since     INTEGER NOT NULL,
    -- Whether the person hides on this device.
    hidden             INTEGER NOT NULL
) STRICT;

CREATE TABLE profile (
    account      BLOB PRIMARY KEY,
    user_name    TEXT NOT NULL,
    display_name TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE conversation (
    conversation           BLOB PRIMARY KEY,
    kind                   INTEGER NOT NULL,
    name                   TEXT NOT NULL,
    partner                BLOB,
    role                   INTEGER,
    roster_version         INTEGER NOT NULL,
    member_count           INTEGER NOT NULL,
    -- 0 open; sealed, and this device is 1 outside of the group, 2 inside, 3 lost, 4 removed.
    sealing                INTEGER NOT NULL,
    cursor_epoch           INTEGER,
    cursor_seq             INTEGER,
    cursor_checksum        INTEGER,
    read                   INTEGER NOT NULL,
    acknowledged_delivered INTEGER NOT NULL,
    acknowledged_read      INTEGER NOT NULL,
    unread                 INTEGER NOT NULL,
    activity               INTEGER NOT NULL,
    -- In `erasable`; NULL: no text.
    draft                  INTEGER,
    -- 1 a message of its own, 2 a reply, 3 an edit.
    draft_purpose          INTEGER NOT NULL,
    draft_account          BLOB,
    draft_message_id       BLOB,
    topic                  TEXT NOT NULL,
    -- When the device's leaf in the group got its present key.
    refreshed              INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE member (
    conversation BLOB NOT NULL,
    account      BLOB NOT NULL,
    role         INTEGER,
    since        INTEGER NOT NULL,
    delivered    INTEGER NOT NULL,
    read         INTEGER NOT NULL,
    PRIMARY KEY (conversation, account)
) STRICT, WITHOUT ROWID;

-- What entries say. Rows are only ever added behind the last one, and bytes are dropped by zeros of
-- their own length. SQLite then overwrites them in place and never moves their neighbours: a row that
-- moves leaves a copy in the unused middle of its former page, which `secure_delete` does not reach.
-- So no row of these goes with its entry, and the room of what was dropped is not used again.
CREATE TABLE payload (
    id    INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE entry (
    id                INTEGER PRIMARY KEY,
    conversation      BLOB NOT NULL,
    seq               INTEGER NOT NULL,
    -- 0 in the log as it is. An entry of a former epoch has the negative number of the rewind that
    -- detached it: so it stands before the entry that took its seq, and no two of one seq collide.
    detachment        INTEGER NOT NULL,
    account           BLOB NOT NULL,
    device            BLOB NOT NULL,
    message_id        BLOB NOT NULL,
    time              INTEGER NOT NULL,
    kind              INTEGER NOT NULL,
    -- 1 message, 2 event, 3 annotation, 4 unreadable, 5 silent.
    role              INTEGER NOT NULL,
    -- What an annotation changes, and whether its sender may.
    target_account    BLOB,
    target_message_id BLOB,
    allowed           INTEGER,
    checksum          INTEGER NOT NULL,
    expires_after_ms  INTEGER,
    expires_at        INTEGER,
    erased            INTEGER NOT NULL,
    -- In `payload`; NULL: erased, or nothing was said.
    payload           INTEGER,
    UNIQUE (conversation, seq, detachment)
) STRICT;

CREATE INDEX entry_by_message ON entry (account, message_id, conversation);
CREATE INDEX entry_by_target ON entry (conversation, target_account, target_message_id, seq)
    WHERE target_account IS NOT NULL;
CREATE INDEX entry_by_expiry ON entry (expires_at) WHERE erased = 0 AND expires_at IS NOT NULL;
CREATE INDEX entry_detached ON entry (conversation, detachment) WHERE detachment < 0;

CREATE TABLE hidden (
    conversation BLOB NOT NULL,
    from_seq     INTEGER NOT NULL,
    to_seq       INTEGER NOT NULL,
    reason       INTEGER NOT NULL,
    PRIMARY KEY (conversation, from_seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    position          INTEGER PRIMARY KEY,
    conversation      BLOB NOT NULL,
    message_id        BLOB NOT NULL,
    time              INTEGER NOT NULL,
    -- In `erasable`.
    act               INTEGER NOT NULL,
    failure_code      INTEGER,
    failure_message   TEXT,
    -- What the act was sealed as, and in which epoch of the group: all set, or none.
    sealed_generation INTEGER,
    sealed_epoch      INTEGER,
    sealed            BLOB
) STRICT;

-- Keys, and words that may be erased, padded to powers of two, the length in front. A row stays
-- where it is: it is overwritten by bytes of its own size, and holds zeros while nobody uses it.
CREATE TABLE erasable (
    id    INTEGER PRIMARY KEY,
    used  INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT;

CREATE INDEX erasable_free ON erasable (length(bytes)) WHERE used = 0;

CREATE TABLE identity (
    -- A device is one: one row.
    id                        INTEGER PRIMARY KEY CHECK (id = 1),
    -- In `erasable`, like the other keys.
    key                       INTEGER NOT NULL,
    recovery                  INTEGER,
    storage_key_version       INTEGER,
    storage_key               INTEGER,
    must_replace_key_packages INTEGER NOT NULL,
    last_resort               INTEGER,
    inbox                     INTEGER NOT NULL,
    account_log               INTEGER NOT NULL
) STRICT;

CREATE TABLE device_list (
    account  BLOB NOT NULL,
    identity INTEGER NOT NULL,
    place    INTEGER NOT NULL,
    entry    BLOB NOT NULL,
    PRIMARY KEY (account, identity, place)
) STRICT, WITHOUT ROWID;

-- The state changes with every step of a ratchet, and the rest seldom.
CREATE TABLE sealed_group (
    conversation BLOB PRIMARY KEY,
    generation   INTEGER NOT NULL,
    -- In `erasable`.
    state        INTEGER,
    pending      INTEGER,
    rejoin       INTEGER
) STRICT, WITHOUT ROWID;

-- Public keys and names: no secret. Hundreds of kilobytes in a large group, written once an epoch.
CREATE TABLE group_tree (
    conversation BLOB NOT NULL PRIMARY KEY,
    epoch        INTEGER NOT NULL,
    tree         BLOB NOT NULL
) STRICT;

-- Commits and leaves of the last 30 days, at most 64 MiB of each conversation, in the order of their
-- logs: given back to a server that has lost them. They are public.
CREATE TABLE handshake (
    id           INTEGER PRIMARY KEY,
    conversation BLOB NOT NULL,
    seq          INTEGER NOT NULL,
    account      BLOB NOT NULL,
    device       BLOB NOT NULL,
    message_id   BLOB NOT NULL,
    time         INTEGER NOT NULL,
    kind         INTEGER NOT NULL,
    -- What it left in the timeline; empty: nothing.
    line         BLOB NOT NULL,
    lost         INTEGER NOT NULL,
    -- Of the payload, which is long.
    bytes        INTEGER NOT NULL,
    payload      BLOB NOT NULL,
    UNIQUE (conversation, device, message_id)
) STRICT;

CREATE INDEX handshake_lost ON handshake (conversation, id) WHERE lost = 1;

CREATE TABLE key_package (
    reference      BLOB PRIMARY KEY,
    is_last_resort INTEGER NOT NULL,
    expires        INTEGER NOT NULL,
    -- In `erasable`.
    secret         INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What the account's devices share, opened.
CREATE TABLE account_value (
    key   BLOB PRIMARY KEY,
    -- In `erasable`.
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The texts under which messages are found; a text that was dropped, or replaced by an edit, stays
-- as a row of zeros (see `payload`).
CREATE TABLE search (
    id           INTEGER PRIMARY KEY,
    conversation BLOB NOT NULL,
    account      BLOB NOT NULL,
    message_id   BLOB NOT NULL,
    seq          INTEGER NOT NULL,
    time         INTEGER NOT NULL,
    dropped      INTEGER NOT NULL,
    text         TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX search_by_message ON search (account, message_id, conversation)
    WHERE dropped = 0;

-- Without content of its own, and not contentless-delete: a text is taken out by the words that it
-- went in with, and only so does `secure-delete` overwrite them at once; contentless-delete would
-- leave them until a merge. Nothing is ranked, so no column sizes are kept.
CREATE VIRTUAL TABLE search_index USING fts5 (
    text,
    content = '',
    columnsize = 0,
    tokenize = 'unicode61 remove_diacritics 2'
);
INSERT INTO search_index (search_index, rank) VALUES ('secure-delete', 1);
