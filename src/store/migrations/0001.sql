-- Times are unix seconds. What a word means is src/model.rs's affair: rows here only keep it.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

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
    urls         TEXT    NOT NULL,
    PRIMARY KEY (target, id)
) STRICT, WITHOUT ROWID;

-- Asked at each poll: all that it needs is in the index, so no row with its URLs is read.
CREATE INDEX task_in_flight ON task (target, created, id, missed_polls, vanished) WHERE in_flight = 1;
CREATE INDEX task_prunable ON task (changed, created) WHERE in_flight = 0 AND created IS NOT NULL;

-- AUTOINCREMENT: a sequence is never given twice, also when the last events were pruned.
CREATE TABLE event (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT    NOT NULL,
    type     TEXT    NOT NULL,
    time     INTEGER NOT NULL,
    recorded INTEGER NOT NULL,
    target   TEXT    NOT NULL,
    task     TEXT,
    document TEXT    NOT NULL
) STRICT;

CREATE INDEX event_recorded ON event (recorded);

-- Who was ever owed anything: stays when the deliveries are pruned.
CREATE TABLE webhook (
    name TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE delivery (
    sequence    INTEGER NOT NULL REFERENCES event (sequence) ON DELETE CASCADE,
    webhook     TEXT    NOT NULL,
    state       TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts       INTEGER NOT NULL DEFAULT 0,
    next_attempt    INTEGER,
    last_attempt    INTEGER,
    last_answer TEXT,
    PRIMARY KEY (sequence, webhook)
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_pending ON delivery (webhook, sequence) WHERE state = 'pending';
CREATE INDEX delivery_dead ON delivery (webhook, sequence) WHERE state = 'dead';
