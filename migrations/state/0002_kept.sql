-- What Plimsoll keeps for itself, as JSON text: apart from what the window remembers,
-- which the window may write.
CREATE TABLE kept (
    key         TEXT PRIMARY KEY,
    value       TEXT NOT NULL
) WITHOUT ROWID;

-- Never filled: services that were found are one text in `kept`.
DROP TABLE service;
