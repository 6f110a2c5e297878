-- Requests that passed the gateway, one row each; never their bodies. Numbers grow with time
-- (ms since 1970 times 4096, and a running number), so that no second index is needed: a row
-- costs one insertion at the end, and the oldest go from the front. What is searched for
-- stands in columns, the rest in `data`, as JSON: the whole schema must fit into the first
-- page, or a damaged database could not be given another one.
CREATE TABLE request(id INTEGER PRIMARY KEY,client,model,backend,finish,total_us,data);
-- How many there are and what they take, kept with every batch: weighing the table would
-- read all of it. One row.
CREATE TABLE request_total(rows,bytes);
INSERT INTO request_total VALUES (0, 0);
