-- What must not be lost together with a damaged history.

CREATE TABLE revision (
    id          INTEGER PRIMARY KEY,
    at_ms       INTEGER NOT NULL,
    by          TEXT NOT NULL,
    summary     TEXT NOT NULL,
    digest      TEXT NOT NULL,
    -- The whole configuration file as it was put in force.
    text        TEXT NOT NULL,
    -- The diff to the revision before, as JSON.
    diff        TEXT NOT NULL
);

-- What the window remembers, as JSON text.
CREATE TABLE remembered (
    key         TEXT PRIMARY KEY,
    value       TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE alert_state (
    -- Rule and subject.
    id          TEXT PRIMARY KEY,
    acknowledged_ms   INTEGER,
    snoozed_until_ms  INTEGER
) WITHOUT ROWID;

-- Services a person accepted as theirs, as JSON text.
CREATE TABLE service (
    id          TEXT PRIMARY KEY,
    accepted_ms INTEGER NOT NULL,
    detail      TEXT NOT NULL
) WITHOUT ROWID;
