-- What one device holds: its account, people, conversations, the read part of their logs, the
-- outbox, and the search index.
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
    cursor_epoch           INTEGER,
    cursor_seq             INTEGER,
    cursor_checksum        INTEGER,
    read                   INTEGER NOT NULL,
    acknowledged_delivered INTEGER NOT NULL,
    acknowledged_read      INTEGER NOT NULL,
    unread                 INTEGER NOT NULL,
    activity               INTEGER NOT NULL,
    draft_text             TEXT NOT NULL,
    -- 1 a message of its own, 2 a reply, 3 an edit.
    draft_purpose          INTEGER NOT NULL,
    draft_account          BLOB,
    draft_message_id       BLOB
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

-- Rows with text are only ever added behind the last one, and a text is dropped by zeros of its own
-- length. SQLite then overwrites it in place and never moves its neighbours: a row that moves
-- leaves a copy in the unused middle of its former page, which `secure_delete` does not reach. So
-- the table is not clustered by conversation, and the room of a dropped text is not used again.
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
    -- 1 message, 2 event, 3 annotation, 4 unreadable.
    role              INTEGER NOT NULL,
    -- What an annotation changes, and whether its sender may.
    target_account    BLOB,
    target_message_id BLOB,
    allowed           INTEGER,
    checksum          INTEGER NOT NULL,
    expires_after_ms  INTEGER,
    expires_at        INTEGER,
    erased            INTEGER NOT NULL,
    -- Last, so that counting and paging do not read the pages that a long one spills into.
    payload           BLOB NOT NULL,
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
    position        INTEGER PRIMARY KEY,
    conversation    BLOB NOT NULL,
    message_id      BLOB NOT NULL,
    time            INTEGER NOT NULL,
    act             BLOB NOT NULL,
    failure_code    INTEGER,
    failure_message TEXT
) STRICT;

-- The texts under which messages are found; a text that was dropped, or replaced by an edit, stays
-- as a row of zeros (see `entry`).
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
