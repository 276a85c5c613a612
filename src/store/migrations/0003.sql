-- A poll asks of each task that a page shows whether it is still as it was: task_footprint answers without reading a row
-- with its URLs, and in the order in which lists show tasks. `number` names a row in few bits: see src/poll/seen.rs.

ALTER TABLE task RENAME TO old_task;

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
    UNIQUE (target, id)
) STRICT;

INSERT INTO task (target, id, type, status, created, first_seen, changed, stalled, missed_polls, vanished, in_flight,
    url_count, urls)
    SELECT target, id, type, status, created, first_seen, changed, stalled, missed_polls, vanished, in_flight,
        (SELECT count(*) FROM json_each(old_task.urls)), urls
    FROM old_task ORDER BY created, id;

DROP TABLE old_task;

CREATE INDEX task_footprint ON task (target, created, id, fingerprint, in_flight, stalled, url_count);
CREATE INDEX task_in_flight ON task (target, number, id, created, missed_polls, vanished) WHERE in_flight = 1;
CREATE INDEX task_newest
    ON task (coalesce(created, first_seen), target, id, status, type, stalled, vanished, in_flight);
CREATE INDEX task_prunable ON task (changed, created) WHERE in_flight = 0 AND created IS NOT NULL;

INSERT INTO meta (name, value) VALUES ('fingerprint_seed', lower(hex(randomblob(8))));
