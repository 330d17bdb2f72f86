-- Writes that go on with the new version, and what the old one did not have.
SET client_min_messages = warning;
COMMIT PREPARED 'to commit';
ROLLBACK PREPARED 'to roll back';
SELECT format('CALL twice($$UPDATE %I SET v = v || %L$$)', c.relname, ' again')
FROM pg_class AS c WHERE c.relnamespace = 'ours'::regnamespace AND c.relkind = 'f' AND c.relname ~ '^(up|down)_' \gexec
CALL twice($$DELETE FROM up_text_icu WHERE k LIKE 'E%'$$);
CALL twice($$INSERT INTO up_text_icu VALUES (U&'\00C4rger', 'new'), (U&'\00E4rger', 'new')$$);
CALL twice($$INSERT INTO pairs SELECT 'new', n, 'new', n FROM generate_series(1, 500) AS n$$);
CALL twice($$UPDATE pairs SET b = b + 20000 WHERE b % 17 = 0$$);
CALL twice($$ALTER TABLE altered ADD COLUMN later int DEFAULT 3$$);
CALL twice($$INSERT INTO altered (a, b) VALUES (12, 'after')$$);
INSERT INTO ours.up_text_icu VALUES ('Zort 30', 'twice') ON CONFLICT DO NOTHING;
CREATE INDEX ON ours.up_text_icu (v);
CREATE INDEX ON ours.up_text_icu (k);
CREATE INDEX ON ours.pairs (n, a) INCLUDE (b);
CREATE UNIQUE INDEX ON ours.late (b);
-- Keys of the first release are no constraints.
ALTER TABLE ours.late ADD PRIMARY KEY (a);
CREATE TABLE ours.children (id int PRIMARY KEY, parent int REFERENCES ours.late ON DELETE CASCADE) USING nvmkv;
CREATE TABLE heap.children (id int, parent int);
CALL twice($$INSERT INTO children SELECT n, n FROM generate_series(10, 90) AS n$$);
DELETE FROM ours.late WHERE a = 20;
DELETE FROM heap.late WHERE a = 20;
DELETE FROM heap.children WHERE parent = 20;
-- The same key with sort keys, from its next storage on.
CALL twice($$TRUNCATE down_text_icu$$);
CALL twice($$INSERT INTO down_text_icu TABLE up_text_icu$$);
SELECT 'sort keys of ' || relid::regclass FROM nvmkv.storage
WHERE relid IN ('ours.up_text_icu'::regclass, 'ours.down_text_icu'::regclass)
	AND (key_versions[1] <> '') <> (relid = 'ours.down_text_icu'::regclass);
