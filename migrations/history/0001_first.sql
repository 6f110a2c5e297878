-- The history. One tick is one row until its ten minutes are sealed; sealed data is
-- one compressed chunk per series and slot.

-- A stretch of time in which wall time only grew. Where two lanes overlap, the later
-- one wins. Usually there is one: a clock that was set back starts another.
CREATE TABLE lane (
    id          INTEGER PRIMARY KEY,
    first_ms    INTEGER NOT NULL,
    last_ms     INTEGER NOT NULL,
    -- Ticks up to this sequence number are in sealed raw chunks.
    sealed_seq  INTEGER NOT NULL DEFAULT 0,
    -- Up to when each level is sealed (exclusive).
    raw_until   INTEGER NOT NULL,
    s10_until   INTEGER NOT NULL,
    m1_until    INTEGER NOT NULL,
    m15_until   INTEGER NOT NULL,
    h1_until    INTEGER NOT NULL,
    closed      INTEGER NOT NULL DEFAULT 0
);

-- An epoch ends where the clock jumps or the machine sleeps.
CREATE TABLE epoch (
    id          INTEGER PRIMARY KEY,
    lane        INTEGER NOT NULL,
    started_ms  INTEGER NOT NULL,
    cause       TEXT NOT NULL
);

CREATE TABLE series (
    id          INTEGER PRIMARY KEY,
    metric      TEXT NOT NULL,
    subject     TEXT NOT NULL,
    cadence_ms  INTEGER NOT NULL,
    UNIQUE (metric, subject)
);

CREATE TABLE tick (
    seq         INTEGER PRIMARY KEY,
    epoch       INTEGER NOT NULL,
    at_ms       INTEGER NOT NULL,
    payload     BLOB NOT NULL
);

-- A slot is the span of one chunk of a level: 0 raw, 1 s10, 2 m1, 3 m15, 4 h1.
-- state: 0 being sealed (invisible), 1 sealed, 2 being purged (invisible).
CREATE TABLE slot (
    id          INTEGER PRIMARY KEY,
    level       INTEGER NOT NULL,
    lane        INTEGER NOT NULL,
    from_ms     INTEGER NOT NULL,
    state       INTEGER NOT NULL,
    chunks      INTEGER NOT NULL DEFAULT 0,
    bytes       INTEGER NOT NULL DEFAULT 0,
    samples     INTEGER NOT NULL DEFAULT 0,
    first_ms    INTEGER NOT NULL DEFAULT 0,
    last_ms     INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX slot_by_time ON slot (level, from_ms);

-- Series 0 of a raw slot holds the times of its ticks.
CREATE TABLE chunk (
    slot        INTEGER NOT NULL,
    series      INTEGER NOT NULL,
    data        BLOB NOT NULL
);
CREATE UNIQUE INDEX chunk_by_slot ON chunk (slot, series);

-- Up to when a level was purged (exclusive): older questions go to a coarser one.
CREATE TABLE purged (
    level       INTEGER PRIMARY KEY,
    until_ms    INTEGER NOT NULL
);

CREATE TABLE mark (
    id          INTEGER PRIMARY KEY,
    at_ms       INTEGER NOT NULL,
    end_ms      INTEGER,
    kind        TEXT NOT NULL,
    subject     TEXT,
    title       TEXT NOT NULL,
    detail      TEXT NOT NULL,
    ref         TEXT
);
CREATE INDEX mark_by_time ON mark (at_ms);

CREATE TABLE alert (
    id          TEXT PRIMARY KEY,
    rule        TEXT NOT NULL,
    subject     TEXT NOT NULL,
    severity    TEXT NOT NULL,
    title       TEXT NOT NULL,
    start_ms    INTEGER NOT NULL,
    end_ms      INTEGER,
    peak        REAL,
    threshold   REAL
);
CREATE INDEX alert_by_time ON alert (start_ms);

CREATE TABLE log (
    id          INTEGER PRIMARY KEY,
    at_ms       INTEGER NOT NULL,
    level       INTEGER NOT NULL,
    module      TEXT NOT NULL,
    message     TEXT NOT NULL,
    fields      TEXT NOT NULL
);
CREATE INDEX log_by_time ON log (at_ms);
