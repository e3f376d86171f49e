-- Conversation logs with the groups of sealed ones, accounts with their logs, devices with what they
-- publish and get, invites, and the outbox between them.
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
    conversation_count INTEGER NOT NULL DEFAULT 0,
    -- The last seq of account_value, and its keys that have a value.
    value_head         INTEGER NOT NULL DEFAULT 0,
    value_count        INTEGER NOT NULL DEFAULT 0,
    -- The last number of backup_chunk, and what its chunks count.
    backup_head        INTEGER NOT NULL DEFAULT 0,
    backup_bytes       INTEGER NOT NULL DEFAULT 0
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
    revoked_at     INTEGER,
    -- The last seq of inbox_item.
    inbox_head     INTEGER NOT NULL DEFAULT 0
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
    -- When that was, the last time.
    renewed_at       INTEGER,
    head             INTEGER NOT NULL,
    head_time        INTEGER NOT NULL,
    head_checksum    INTEGER NOT NULL,
    floor            INTEGER NOT NULL,
    roster_version   INTEGER NOT NULL,
    member_count     INTEGER NOT NULL,
    -- Where the group of a sealed conversation stands. NULL: it is open.
    generation       INTEGER,
    group_epoch      INTEGER,
    -- Leaves of group_leaf that are due, so that a message costs no look-up there.
    leaves_due       INTEGER NOT NULL DEFAULT 0,
    -- The seq up to which all members had acknowledged the log, and when that was noted. NULL: never.
    acknowledged     INTEGER,
    acknowledged_at  INTEGER,
    -- The first entry, which a repeated creation is answered with even when it was dropped.
    first_device     BLOB NOT NULL,
    first_message_id BLOB NOT NULL,
    first_time       INTEGER NOT NULL,
    first_checksum   INTEGER NOT NULL,
    first_asked      INTEGER NOT NULL
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
    -- The sender's own time, as it came. NULL: not told.
    client_time      INTEGER,
    kind             INTEGER NOT NULL,
    -- Of what the device asked for, by which a retry is known. NULL: that is the payload.
    asked            INTEGER,
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
CREATE INDEX member_by_account ON member (account, conversation);

-- Spans of membership, ends included.
CREATE TABLE member_range (
    conversation INTEGER NOT NULL,
    account      BLOB NOT NULL,
    from_seq     INTEGER NOT NULL,
    -- NULL: a member now.
    to_seq       INTEGER,
    PRIMARY KEY (conversation, account, from_seq)
) STRICT, WITHOUT ROWID;

-- The public state of a sealed conversation's group.
CREATE TABLE sealed_group (
    conversation INTEGER PRIMARY KEY,
    state        BLOB NOT NULL,
    group_info   BLOB NOT NULL,
    tree         BLOB NOT NULL
) STRICT;

CREATE TABLE group_leaf (
    conversation INTEGER NOT NULL,
    device       BLOB NOT NULL,
    account      BLOB NOT NULL,
    -- Whether a Commit has to remove it before messages are taken.
    due          INTEGER NOT NULL,
    PRIMARY KEY (conversation, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_leaf_by_device ON group_leaf (device);

-- Accounts that have left a sealed conversation and that no Commit has removed yet, with what they
-- signed.
CREATE TABLE group_left (
    arrival      INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL,
    account      BLOB NOT NULL,
    payload      BLOB NOT NULL,
    UNIQUE (conversation, account)
) STRICT;

-- A Welcome, once for all devices that it is for.
CREATE TABLE welcome (
    welcome      INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL,
    -- Of the Commit, as are the next ones.
    seq          INTEGER NOT NULL,
    log_epoch    INTEGER NOT NULL,
    time         INTEGER NOT NULL,
    generation   INTEGER NOT NULL,
    group_epoch  INTEGER NOT NULL,
    -- Devices that have not acknowledged it. The row goes with the last of them.
    waiting      INTEGER NOT NULL,
    tree         BLOB NOT NULL,
    payload      BLOB NOT NULL,
    UNIQUE (conversation, seq)
) STRICT;

-- What waits for a device: a Welcome, or a message of another device of the account.
CREATE TABLE inbox_item (
    arrival    INTEGER PRIMARY KEY,
    device     BLOB NOT NULL,
    seq        INTEGER NOT NULL,
    time       INTEGER NOT NULL,
    welcome    INTEGER,
    sender     BLOB,
    message_id BLOB,
    payload    BLOB,
    UNIQUE (device, seq)
) STRICT;

-- Messages of other devices that an inbox has ever held, so that a retry is known.
CREATE TABLE inbox_message (
    device     BLOB NOT NULL,
    sender     BLOB NOT NULL,
    message_id BLOB NOT NULL,
    PRIMARY KEY (device, sender, message_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE device_list (
    account  BLOB NOT NULL,
    -- Number of the identity, and place of the entry in it; both from 0.
    identity INTEGER NOT NULL,
    position INTEGER NOT NULL,
    entry    BLOB NOT NULL,
    PRIMARY KEY (account, identity, position)
) STRICT, WITHOUT ROWID;

-- Devices that were taken out of their account's list.
CREATE TABLE unlisted_device (
    device BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE key_package (
    arrival   INTEGER PRIMARY KEY,
    device    BLOB NOT NULL,
    reference BLOB NOT NULL,
    -- NULL: handed out or dropped, and never to be taken again.
    package   BLOB,
    UNIQUE (device, reference)
) STRICT;
CREATE INDEX key_package_stock ON key_package (device, arrival) WHERE package IS NOT NULL;

CREATE TABLE last_resort (
    device  BLOB PRIMARY KEY,
    package BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Claims of key packages, so that a retry gets the same ones.
CREATE TABLE claim (
    claim      INTEGER PRIMARY KEY,
    claimer    BLOB NOT NULL,
    request    BLOB NOT NULL,
    kept_until INTEGER NOT NULL,
    UNIQUE (claimer, request)
) STRICT;
CREATE INDEX claim_by_age ON claim (kept_until);

CREATE TABLE claimed_package (
    claim    INTEGER NOT NULL,
    position INTEGER NOT NULL,
    account  BLOB NOT NULL,
    device   BLOB NOT NULL,
    package  BLOB NOT NULL,
    PRIMARY KEY (claim, position)
) STRICT, WITHOUT ROWID;

-- An account's log of sealed values: of each key the latest.
CREATE TABLE account_value (
    account BLOB NOT NULL,
    key     BLOB NOT NULL,
    seq     INTEGER NOT NULL,
    device  BLOB NOT NULL,
    -- Empty: the key was dropped.
    value   BLOB NOT NULL,
    PRIMARY KEY (account, key)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX account_value_by_seq ON account_value (account, seq);

-- An account's recovery backup, sealed by its devices.
CREATE TABLE backup_chunk (
    account BLOB NOT NULL,
    number  INTEGER NOT NULL,
    -- What the device calls it.
    chunk   BLOB NOT NULL,
    sealed  BLOB NOT NULL,
    PRIMARY KEY (account, number)
) STRICT;
CREATE UNIQUE INDEX backup_chunk_by_name ON backup_chunk (account, chunk);

-- AUTOINCREMENT: an id is never used again, so that a late relay drops no other row. Which columns are
-- filled depends on the effect.
CREATE TABLE outbox (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    effect       INTEGER NOT NULL,
    account      BLOB,
    device       BLOB,
    conversation BLOB,
    seq          INTEGER
) STRICT;
