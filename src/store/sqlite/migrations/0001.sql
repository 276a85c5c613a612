-- Times are unix seconds. The meaning of a word, such as a status, is defined in src/domain/model.rs: rows only keep it.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The last event's sequence. Not max(sequence): the last events may have been pruned, and no sequence is given twice.
INSERT INTO meta (name, value) VALUES ('last_sequence', '0');

CREATE TABLE target (
    name             TEXT    NOT NULL PRIMARY KEY,
    list             TEXT    NOT NULL,
    first_polled     INTEGER,
    baseline         TEXT    NOT NULL CHECK (baseline IN ('open', 'taken')),
    failed_polls     INTEGER NOT NULL,
    failing_reported INTEGER NOT NULL CHECK (failing_reported IN (0, 1)),
    paging           TEXT    NOT NULL
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
    -- NULL: no API text is known that says what this row says. 0: the API's text changes while it says the same.
    fingerprint  INTEGER,
    urls         TEXT    NOT NULL,
    UNIQUE (target, id)
) STRICT;

-- A poll looks up each listed task here, without reading the row and its URLs, in the order in which the API lists tasks.
CREATE INDEX task_footprint ON task (target, created, id, fingerprint, in_flight, stalled, url_count);
CREATE INDEX task_in_flight ON task (target, number, id, created, missed_polls, vanished) WHERE in_flight = 1;
-- A changed task rewrites a page of each index that holds a changed column. So the index over all tasks holds no column that
-- changes, and the columns that lists and counts select by are indexed only for tasks that have not simply succeeded.
CREATE INDEX task_newest ON task (coalesce(created, first_seen), target, id);
CREATE INDEX task_notable
    ON task (coalesce(created, first_seen), target, id, status, type, stalled, vanished, in_flight)
    WHERE status <> 'success' OR in_flight = 1 OR vanished = 1;

CREATE TABLE event (
    sequence INTEGER PRIMARY KEY,
    id       TEXT    NOT NULL,
    type     TEXT    NOT NULL,
    time     INTEGER NOT NULL,
    recorded INTEGER NOT NULL,
    target   TEXT    NOT NULL,
    task     TEXT,
    document TEXT    NOT NULL
) STRICT;

CREATE INDEX event_recorded ON event (recorded);
CREATE INDEX event_task ON event (task, sequence) WHERE task IS NOT NULL;
CREATE INDEX event_type ON event (type, recorded);

-- Each webhook that ever had a delivery. Its row stays when its deliveries are pruned.
CREATE TABLE webhook (
    name TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE delivery (
    sequence     INTEGER NOT NULL REFERENCES event (sequence) ON DELETE CASCADE,
    webhook      TEXT    NOT NULL,
    state        TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts     INTEGER NOT NULL DEFAULT 0,
    next_attempt INTEGER,
    last_attempt INTEGER,
    last_answer  TEXT,
    PRIMARY KEY (sequence, webhook)
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_pending ON delivery (webhook, sequence) WHERE state = 'pending';
CREATE INDEX delivery_dead ON delivery (webhook, sequence) WHERE state = 'dead';
