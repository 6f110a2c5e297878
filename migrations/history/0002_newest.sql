-- The newest value of each series that is sealed, in the metric's unit: what a list of
-- series shows of those that have been silent since.
ALTER TABLE series ADD COLUMN last_ms INTEGER;
ALTER TABLE series ADD COLUMN last REAL;
