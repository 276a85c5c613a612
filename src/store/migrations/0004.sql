-- A checksum for each row: SQLite has none, so what a disk does to a text would be read as if it had been written so.
-- The engine fills it in and no statement can forget it; `row_checksum` is src/store/sqlite/checksum.rs's. Whoever changes
-- a row from outside is refused, for lack of that function; reading, deleting and copying work.
--
-- A generated column can't be added to a table, so each is made anew. The last sequence moves to `meta`, where it has a
-- checksum: SQLite's own table for AUTOINCREMENT has none.

ALTER TABLE meta RENAME TO old_meta;
ALTER TABLE target RENAME TO old_target;
ALTER TABLE task RENAME TO old_task;
ALTER TABLE webhook RENAME TO old_webhook;
ALTER TABLE delivery RENAME TO old_delivery;
ALTER TABLE event RENAME TO old_event;

CREATE TABLE meta (
    name     TEXT NOT NULL PRIMARY KEY,
    value    TEXT NOT NULL,
    checksum INTEGER NOT NULL GENERATED ALWAYS AS (row_checksum(name, value)) STORED
) STRICT, WITHOUT ROWID;

CREATE TABLE target (
    name             TEXT    NOT NULL PRIMARY KEY,
    list             TEXT    NOT NULL,
    first_polled     INTEGER,
    baseline         TEXT    NOT NULL CHECK (baseline IN ('open', 'taken')),
    failed_polls     INTEGER NOT NULL,
    failing_reported INTEGER NOT NULL CHECK (failing_reported IN (0, 1)),
    paging           TEXT    NOT NULL,
    checksum         INTEGER NOT NULL GENERATED ALWAYS AS (row_checksum(
        name, list, first_polled, baseline, failed_polls, failing_reported, paging)) STORED
) STRICT, WITHOUT ROWID;

CREATE TABLE task (
    number       INTEGER PRIMARY KEY,
    target       TEXT    NOT NULL,
    id           TEXT    NOT NULL,
    type         TEXT,
    status       TEXT    NOT NULL,
    created      INTEGER,
    first_seen   INTEGER NOT NULL,
    changed      INTEGER NOT NULL,
    stalled      INTEGER NOT NULL CHECK (stalled IN (0, 1)),
    missed_polls INTEGER NOT NULL,
    vanished     INTEGER NOT NULL CHECK (vanished IN (0, 1)),
    in_flight    INTEGER NOT NULL CHECK (in_flight IN (0, 1)),
    url_count    INTEGER NOT NULL,
    -- NULL: no text is known that says what this row says. 0: its text changes while it says the same.
    fingerprint  INTEGER,
    urls         TEXT    NOT NULL,
    checksum     INTEGER NOT NULL GENERATED ALWAYS AS (row_checksum(
        number, target, id, type, status, created, first_seen, changed, stalled, missed_polls, vanished, in_flight,
        url_count, fingerprint, urls)) STORED,
    UNIQUE (target, id)
) STRICT;

CREATE TABLE event (
    sequence INTEGER PRIMARY KEY,
    id       TEXT    NOT NULL,
    type     TEXT    NOT NULL,
    time     INTEGER NOT NULL,
    recorded INTEGER NOT NULL,
    target   TEXT    NOT NULL,
    task     TEXT,
    document TEXT    NOT NULL,
    checksum INTEGER NOT NULL GENERATED ALWAYS AS (row_checksum(
        sequence, id, type, time, recorded, target, task, document)) STORED
) STRICT;

-- Who was ever owed anything: stays when the deliveries are pruned.
CREATE TABLE webhook (
    name     TEXT NOT NULL PRIMARY KEY,
    checksum INTEGER NOT NULL GENERATED ALWAYS AS (row_checksum(name)) STORED
) STRICT, WITHOUT ROWID;

CREATE TABLE delivery (
    sequence    INTEGER NOT NULL REFERENCES event (sequence) ON DELETE CASCADE,
    webhook     TEXT    NOT NULL,
    state       TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts       INTEGER NOT NULL DEFAULT 0,
    next_attempt    INTEGER,
    last_attempt    INTEGER,
    last_answer TEXT,
    checksum    INTEGER NOT NULL GENERATED ALWAYS AS (row_checksum(
        sequence, webhook, state, attempts, next_attempt, last_attempt, last_answer)) STORED,
    PRIMARY KEY (sequence, webhook)
) STRICT, WITHOUT ROWID;

INSERT INTO meta (name, value) SELECT name, value FROM old_meta WHERE name <> 'clean_stop';
INSERT INTO meta (name, value)
    SELECT 'last_sequence', coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'old_event'), 0);
INSERT INTO target (name, list, first_polled, baseline, failed_polls, failing_reported, paging)
    SELECT name, list, first_polled, baseline, failed_polls, failing_reported, paging FROM old_target;
INSERT INTO task (number, target, id, type, status, created, first_seen, changed, stalled, missed_polls, vanished, in_flight,
    url_count, fingerprint, urls)
    SELECT number, target, id, type, status, created, first_seen, changed, stalled, missed_polls, vanished, in_flight,
        url_count, fingerprint, urls FROM old_task;
INSERT INTO event (sequence, id, type, time, recorded, target, task, document)
    SELECT sequence, id, type, time, recorded, target, task, document FROM old_event;
INSERT INTO webhook (name) SELECT name FROM old_webhook;
INSERT INTO delivery (sequence, webhook, state, attempts, next_attempt, last_attempt, last_answer)
    SELECT sequence, webhook, state, attempts, next_attempt, last_attempt, last_answer FROM old_delivery;

-- Deliveries first: they would go with their events.
DROP TABLE old_delivery;
DROP TABLE old_event;
DROP TABLE old_webhook;
DROP TABLE old_task;
DROP TABLE old_target;
DROP TABLE old_meta;

CREATE INDEX task_footprint ON task (target, created, id, fingerprint, in_flight, stalled, url_count);
CREATE INDEX task_in_flight ON task (target, number, id, created, missed_polls, vanished) WHERE in_flight = 1;
CREATE INDEX task_prunable ON task (changed, created) WHERE in_flight = 0 AND created IS NOT NULL;
CREATE INDEX task_newest
    ON task (coalesce(created, first_seen), target, id, status, type, stalled, vanished, in_flight);
CREATE INDEX event_recorded ON event (recorded);
CREATE INDEX event_task ON event (task, sequence) WHERE task IS NOT NULL;
CREATE INDEX event_type ON event (type, recorded);
CREATE INDEX delivery_pending ON delivery (webhook, sequence) WHERE state = 'pending';
CREATE INDEX delivery_dead ON delivery (webhook, sequence) WHERE state = 'dead';
