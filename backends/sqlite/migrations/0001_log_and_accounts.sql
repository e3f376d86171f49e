-- Conversation logs, accounts, devices, invites, and the outbox between them.
--
-- Identifiers are BLOBs of 16 bytes, times are milliseconds since 1970 UTC, checksums are CRC32C.
-- Unsigned 64-bit numbers without an upper bound of their own (counters, lives of payloads) are kept
-- by their bits. There are no foreign keys: all changes come from one writer that checks them by the
-- store's own rules, and a second check of each row would double the look-ups of an append.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
    arrival            INTEGER PRIMARY KEY,
    account            BLOB NOT NULL UNIQUE,
    user_name          TEXT NOT NULL UNIQUE,
    display_name       TEXT NOT NULL,
    administrator      INTEGER NOT NULL,
    -- Rows of account_conversation, so that the limit costs no count.
    conversation_count INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE verifier (
    account    BLOB NOT NULL,
    position   INTEGER NOT NULL,
    mechanism  TEXT NOT NULL,
    salt       BLOB NOT NULL,
    iterations INTEGER NOT NULL,
    stored_key BLOB NOT NULL,
    server_key BLOB NOT NULL,
    PRIMARY KEY (account, position)
) STRICT, WITHOUT ROWID;

-- An account's own index of its conversations, filled by the relay of the outbox: account and
-- conversation may lie in different shards one day.
CREATE TABLE account_conversation (
    account      BLOB NOT NULL,
    conversation BLOB NOT NULL,
    PRIMARY KEY (account, conversation)
) STRICT, WITHOUT ROWID;

CREATE TABLE device (
    arrival        INTEGER PRIMARY KEY,
    device         BLOB NOT NULL UNIQUE,
    account        BLOB NOT NULL,
    name           TEXT NOT NULL,
    token_hash     BLOB NOT NULL,
    resume_counter INTEGER NOT NULL DEFAULT 0,
    created_at     INTEGER NOT NULL,
    last_seen      INTEGER NOT NULL,
    revoked_at     INTEGER
) STRICT;
CREATE INDEX device_by_account ON device (account);

CREATE TABLE invite (
    invite        BLOB PRIMARY KEY,
    -- NULL: the server's own.
    by_account    BLOB,
    administrator INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    used          INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX invite_by_account ON invite (by_account, expires_at) WHERE used = 0;

-- The number stands for the id in all tables of a log: an entry and its index row carry 2 bytes
-- instead of 16.
CREATE TABLE conversation (
    number           INTEGER PRIMARY KEY,
    conversation     BLOB NOT NULL UNIQUE,
    kind             INTEGER NOT NULL,
    name             TEXT NOT NULL,
    epoch            INTEGER NOT NULL,
    -- NULL until the epoch is renewed for the first time.
    epoch_since      INTEGER,
    head             INTEGER NOT NULL,
    head_time        INTEGER NOT NULL,
    head_checksum    INTEGER NOT NULL,
    floor            INTEGER NOT NULL,
    roster_version   INTEGER NOT NULL,
    member_count     INTEGER NOT NULL,
    -- The first entry, which a repeated creation is answered with even when it was dropped.
    first_device     BLOB NOT NULL,
    first_message_id BLOB NOT NULL,
    first_time       INTEGER NOT NULL,
    first_checksum   INTEGER NOT NULL
) STRICT;

-- A rowid table in order of arrival: appends go to its end, whatever the conversation.
CREATE TABLE entry (
    arrival          INTEGER PRIMARY KEY,
    conversation     INTEGER NOT NULL,
    seq              INTEGER NOT NULL,
    account          BLOB NOT NULL,
    device           BLOB NOT NULL,
    message_id       BLOB NOT NULL,
    time             INTEGER NOT NULL,
    kind             INTEGER NOT NULL,
    -- Of the payload, kept when it is erased, so that the entry's own checksum still verifies.
    payload_checksum INTEGER NOT NULL,
    checksum         INTEGER NOT NULL,
    expires_after_ms INTEGER,
    expires_at       INTEGER,
    -- NULL: erased. Last, since a long one lies on pages of its own.
    payload          BLOB,
    UNIQUE (conversation, seq),
    UNIQUE (device, message_id)
) STRICT;
CREATE INDEX entry_by_expiry ON entry (expires_at)
    WHERE expires_at IS NOT NULL AND payload IS NOT NULL;

-- Members and former ones, in the order in which they first joined.
CREATE TABLE member (
    arrival      INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL,
    account      BLOB NOT NULL,
    -- NULL: a former member.
    role         INTEGER,
    delivered    INTEGER NOT NULL DEFAULT 0,
    read         INTEGER NOT NULL DEFAULT 0,
    -- NULL: the marks were never raised.
    marked_at    INTEGER,
    UNIQUE (conversation, account)
) STRICT;

-- Spans of membership, ends included.
CREATE TABLE member_range (
    conversation INTEGER NOT NULL,
    account      BLOB NOT NULL,
    from_seq     INTEGER NOT NULL,
    -- NULL: a member now.
    to_seq       INTEGER,
    PRIMARY KEY (conversation, account, from_seq)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: an id is never used again, so that a late relay drops no other row.
CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    effect       INTEGER NOT NULL,
    account      BLOB NOT NULL,
    conversation BLOB NOT NULL
) STRICT;
