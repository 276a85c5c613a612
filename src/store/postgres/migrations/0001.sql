-- The same tables as SQLite's, in this engine's types. Times are unix seconds. The meaning of a word, such as a status, is
-- defined in src/domain/model.rs. Texts compare by their bytes (COLLATE "C"), as in the program.

CREATE TABLE meta (
    name  text COLLATE "C" PRIMARY KEY,
    value text NOT NULL
);

-- Targets have numbers because advisory locks are numbers.
CREATE TABLE target_key (
    id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE
);

CREATE TABLE target (
    name             text COLLATE "C" PRIMARY KEY,
    list             text    NOT NULL,
    first_polled     bigint,
    baseline         text    NOT NULL CHECK (baseline IN ('open', 'taken')),
    failed_polls     bigint  NOT NULL,
    failing_reported boolean NOT NULL,
    paging           text    NOT NULL
);

CREATE TABLE task (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target       text COLLATE "C" NOT NULL,
    id           text COLLATE "C" NOT NULL,
    type         text,
    status       text    NOT NULL,
    created      bigint,
    first_seen   bigint  NOT NULL,
    changed      bigint  NOT NULL,
    stalled      boolean NOT NULL,
    missed_polls bigint  NOT NULL,
    vanished     boolean NOT NULL,
    in_flight    boolean NOT NULL,
    url_count    bigint  NOT NULL,
    -- NULL: no API text is known that says what this row says. 0: the API's text changes while it says the same.
    fingerprint  bigint,
    urls         text    NOT NULL,
    UNIQUE (target, id)
);

CREATE INDEX task_in_flight ON task (target, number) WHERE in_flight;
CREATE INDEX task_listed ON task (target, created, id) WHERE created IS NOT NULL;
CREATE INDEX task_prunable ON task (changed, created) WHERE NOT in_flight AND created IS NOT NULL;
CREATE INDEX task_newest ON task (coalesce(created, first_seen), target, id);

-- The last event's sequence. A transaction that adds events locks this row until it commits: so sequences have no gaps, and
-- no reader sees an event before all events of lower sequences.
CREATE TABLE last_event (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    sequence bigint  NOT NULL
);
INSERT INTO last_event (sequence) VALUES (0);

CREATE TABLE event (
    sequence bigint PRIMARY KEY,
    id       text   NOT NULL,
    type     text COLLATE "C" NOT NULL,
    time     bigint NOT NULL,
    recorded bigint NOT NULL,
    target   text COLLATE "C" NOT NULL,
    task     text COLLATE "C",
    document text   NOT NULL
);

CREATE INDEX event_recorded ON event (recorded);
CREATE INDEX event_task ON event (task, sequence) WHERE task IS NOT NULL;
CREATE INDEX event_type ON event (type, recorded);

-- Each webhook that ever had a delivery. Its row stays when its deliveries are pruned.
CREATE TABLE webhook (
    name text COLLATE "C" PRIMARY KEY
);

-- `target` is the event's: the instance that owns a target makes its deliveries.
CREATE TABLE delivery (
    sequence     bigint NOT NULL REFERENCES event (sequence) ON DELETE CASCADE,
    webhook      text COLLATE "C" NOT NULL,
    target       text COLLATE "C" NOT NULL,
    state        text   NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts     bigint NOT NULL DEFAULT 0,
    next_attempt bigint,
    last_attempt bigint,
    last_answer  text,
    PRIMARY KEY (sequence, webhook)
);

CREATE INDEX delivery_pending ON delivery (webhook, sequence) INCLUDE (target) WHERE state = 'pending';
CREATE INDEX delivery_dead ON delivery (webhook, sequence) WHERE state = 'dead';
CREATE INDEX delivery_pending_target ON delivery (target) WHERE state = 'pending';
