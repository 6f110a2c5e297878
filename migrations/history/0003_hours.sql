-- Hours by series: a chart of years needs few series in many slots. `hours` holds the
-- points themselves and `blocks` the same joined to four hours, which are all that a chart
-- of years reads. A row's number is the number of its series << 32 | that of its slot, so
-- that no index is read beside it. Until now hours stood among the other chunks: they are
-- moved when these tables have been made.
CREATE TABLE hours (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE blocks (id INTEGER PRIMARY KEY, step_ms INTEGER NOT NULL, data BLOB NOT NULL);
-- Slots are found without a look at their rows.
DROP INDEX slot_by_time;
CREATE INDEX slot_by_time ON slot (level, from_ms, lane, state);
