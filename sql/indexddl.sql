--
-- CREATE INDEX, UNIQUE and what changes them: the catalogue beside that of heap tables.
--
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
\getenv abs_srcdir PG_ABS_SRCDIR
\set twins :abs_srcdir '/sql/include/twins.sql'
\set ECHO none
\i :twins
\set ECHO all
CREATE FUNCTION mutable(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE FUNCTION twice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 2 * $1';

SELECT twins($$CREATE FOREIGN TABLE t (id bigint PRIMARY KEY, email text, region int, joined date, name varchar(20) COLLATE "C", n numeric(10, 2)) SERVER nvmkv$$);
SELECT twins($$INSERT INTO t SELECT g, 'user' || g || '@x', g % 5, date '2020-01-01' + g % 100, 'n' || g, g FROM generate_series(1, 200) g$$);

-- forms
SELECT twins($$CREATE INDEX ON t (region)$$);
SELECT twins($$CREATE INDEX ON t (region)$$);
SELECT twins($$CREATE INDEX ON t (region, joined DESC) INCLUDE (email)$$);
SELECT twins($$CREATE INDEX ON t (region DESC NULLS LAST, name NULLS FIRST)$$);
SELECT twins($$CREATE UNIQUE INDEX ON t (email)$$);
SELECT twins($$CREATE UNIQUE INDEX t_name ON t (name) NULLS NOT DISTINCT WHERE region > 1$$);
SELECT twins($$CREATE INDEX ON t (lower(email), (region + 1) DESC, email)$$);
SELECT twins($$CREATE INDEX ON t (twice(region)) WHERE twice(region) > 2 AND name <> ''$$);
SELECT twins($$CREATE INDEX ON t (name COLLATE "POSIX" varchar_pattern_ops, email text_pattern_ops)$$);
SELECT twins($$CREATE INDEX with_options ON t USING btree (n) WITH (fillfactor = 70, deduplicate_items = off)$$);
SELECT twins($$CREATE INDEX IF NOT EXISTS t_name ON t (n)$$);
SELECT twins($$CREATE INDEX IF NOT EXISTS another ON t ((joined))$$);
SELECT twins($$CREATE INDEX ON t ((email COLLATE "C"))$$);
SELECT twins($$CREATE INDEX ON t (id, id, region, region)$$);
SELECT twins($$CREATE INDEX ON t (n) TABLESPACE pg_default$$);
SELECT unlike();
SELECT count(*) FROM indexes_in('nvmkv_twin');

-- errors
SELECT twins($$CREATE INDEX t_name ON t (n)$$);
SELECT twins($$CREATE INDEX t ON t (n)$$);
SELECT twins($$CREATE INDEX ON t (nothing)$$);
SELECT twins($$CREATE INDEX ON t (mutable(region))$$);
SELECT twins($$CREATE INDEX ON t (region) WHERE mutable(region) > 1$$);
SELECT twins($$CREATE INDEX ON t (region) INCLUDE ((region + 1))$$);
SELECT twins($$CREATE INDEX ON t (region) INCLUDE (name COLLATE "C")$$);
SELECT twins($$CREATE INDEX ON t (region) INCLUDE (name DESC)$$);
SELECT twins($$CREATE INDEX ON t (region COLLATE "C")$$);
SELECT twins($$CREATE INDEX ON t (region text_ops)$$);
SELECT twins($$CREATE INDEX ON t (region nothing_ops)$$);
SELECT twins($$CREATE INDEX ON t (region) WITH (nothing = 1)$$);
SELECT twins($$CREATE INDEX ON t (region) WITH (fillfactor = 5)$$);
SELECT twins($$CREATE INDEX ON t (region) TABLESPACE nothing$$);
SELECT twins($$CREATE INDEX ON t (region) TABLESPACE pg_global$$);
SELECT twins($$CREATE INDEX ON t USING nothing (region)$$);
SELECT twins($$CREATE INDEX ON t (tableoid)$$);
SELECT twins($$CREATE INDEX ON t (n) WHERE tableoid > 0$$);
SELECT twins($$CREATE INDEX ON t ((SELECT 1))$$);
SELECT twins($$CREATE INDEX ON t ((count(*)))$$);
SELECT twins(format('CREATE INDEX ON t (%s)', (SELECT string_agg('n', ',') FROM generate_series(1, 33))));
SELECT twins($$CREATE UNIQUE INDEX ON t ((0 * region))$$);
SELECT twins($$CREATE UNIQUE INDEX ON t ((region - region), (0 * id))$$);
SELECT twins($$UPDATE t SET n = 3 WHERE id = 200$$);
SELECT twins($$ALTER TABLE t ADD UNIQUE (n)$$);
SELECT twins($$UPDATE t SET n = 200 WHERE id = 200$$);
SELECT twins($$INSERT INTO t VALUES (201, 'user1@x')$$);
SELECT twins($$INSERT INTO t VALUES (201, 'user201@x', 2, NULL, 'n4'), (202, 'user202@x', 3, NULL, 'n4')$$);
CREATE INDEX ON nvmkv_twin.t USING hash (region);
CREATE INDEX ON nvmkv_twin.t USING gin (region);
SELECT twins($$ALTER TABLE t ADD CONSTRAINT late UNIQUE (n) DEFERRABLE INITIALLY DEFERRED$$);
SELECT unlike();
SELECT twins($$ALTER TABLE t DROP CONSTRAINT late$$);
ALTER TABLE nvmkv_twin.t ADD EXCLUDE USING btree (n WITH =);
CREATE UNIQUE INDEX pk ON nvmkv_twin.t (id);
ALTER TABLE nvmkv_twin.t ADD PRIMARY KEY USING INDEX pk;
DROP INDEX nvmkv_twin.pk;
ALTER TABLE nvmkv_twin.t REPLICA IDENTITY USING INDEX t_email_idx;
SELECT unlike();

-- constraints
SELECT twins($$ALTER TABLE t ADD UNIQUE (id, region)$$);
SELECT twins($$ALTER TABLE t ADD CONSTRAINT u1 UNIQUE (n) INCLUDE (name) WITH (fillfactor = 50), ADD COLUMN extra int UNIQUE$$);
SELECT twins($$ALTER TABLE t ADD CONSTRAINT u1 UNIQUE (n, name)$$);
SELECT twins($$ALTER TABLE t ADD UNIQUE NULLS NOT DISTINCT (n, extra)$$);
SELECT twins($$ALTER TABLE t ADD UNIQUE (n, n)$$);
SELECT twins($$ALTER TABLE t ADD CONSTRAINT by_index UNIQUE USING INDEX t_email_idx$$);
SELECT twins($$ALTER TABLE t ADD CONSTRAINT by_index2 UNIQUE USING INDEX by_index$$);
SELECT twins($$ALTER TABLE t ADD CONSTRAINT by_index2 UNIQUE USING INDEX t_region_idx$$);
SELECT twins($$ALTER TABLE t ADD CONSTRAINT by_index2 UNIQUE USING INDEX t_name$$);
SELECT twins($$ALTER TABLE t ADD CONSTRAINT by_index2 UNIQUE USING INDEX nothing$$);
SELECT twins($$INSERT INTO t VALUES (201, 'user1@x')$$);
SELECT twins($$INSERT INTO t VALUES (201, 'user1@x') ON CONFLICT ON CONSTRAINT by_index DO UPDATE SET region = 77$$);
SELECT twins($$INSERT INTO t (id, email, extra) VALUES (201, 'e', 1), (202, 'f', 1)$$);
SELECT twins($$CREATE FOREIGN TABLE v (a int UNIQUE, b int CONSTRAINT vb UNIQUE, c int, UNIQUE (a, b) INCLUDE (c), CONSTRAINT vk UNIQUE (c)) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE w (a int UNIQUE PRIMARY KEY, b int) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE x (LIKE t INCLUDING ALL) SERVER nvmkv$$);
SELECT twins($$CREATE FOREIGN TABLE y (a int, UNIQUE (nothing)) SERVER nvmkv$$);
SELECT unlike();

-- changes
SELECT twins($$ALTER INDEX t_name RENAME TO renamed$$);
SELECT twins($$ALTER TABLE t RENAME CONSTRAINT u1 TO u2$$);
SELECT twins($$COMMENT ON INDEX renamed IS 'partial'$$);
SELECT twins($$ALTER TABLE t RENAME region TO zone$$);
SELECT twins($$ALTER TABLE t ALTER name TYPE varchar(40)$$);
SELECT twins($$ALTER TABLE t ALTER name TYPE text$$);
SELECT obj_description('nvmkv_twin.renamed'::regclass, 'pg_class'), obj_description('heap_twin.renamed'::regclass, 'pg_class');
SELECT unlike();
SELECT twins($$ALTER TABLE t DROP COLUMN extra$$);
SELECT twins($$ALTER TABLE t DROP COLUMN joined$$);
SELECT twins($$DROP INDEX by_index$$);
SELECT twins($$ALTER TABLE t DROP CONSTRAINT by_index, DROP CONSTRAINT u2$$);
SELECT twins($$DROP INDEX with_options, renamed$$);
SELECT twins($$DROP INDEX IF EXISTS with_options, t_lower_expr_email_idx$$);
SELECT twins($$DROP INDEX nothing$$);
SELECT twins($$DROP INDEX t$$);
SELECT unlike();
SELECT twins($$REINDEX INDEX t_region_idx1$$);
SELECT twins($$REINDEX TABLE t$$);
SELECT twins($$REINDEX (VERBOSE) TABLE nothing$$);
SELECT twins($$TRUNCATE t$$);
SELECT twins($$INSERT INTO t (id, zone) VALUES (1, 1), (2, 1), (3, 2)$$);
SELECT unlike();
SELECT count(*) FROM nvmkv.check('nvmkv_twin.t');

-- CONCURRENTLY is as without it, but for where it may be said
CREATE INDEX CONCURRENTLY con ON nvmkv_twin.t (n);
DROP INDEX CONCURRENTLY nvmkv_twin.con, nvmkv_twin.t_region_idx1;
DROP INDEX CONCURRENTLY nvmkv_twin.con CASCADE;
BEGIN;
CREATE INDEX CONCURRENTLY con2 ON nvmkv_twin.t (n);
ROLLBACK;
BEGIN;
DROP INDEX CONCURRENTLY nvmkv_twin.con;
ROLLBACK;
DROP INDEX CONCURRENTLY nvmkv_twin.con;
DROP INDEX CONCURRENTLY IF EXISTS nvmkv_twin.con;

-- rollback
BEGIN;
SAVEPOINT s;
CREATE UNIQUE INDEX gone ON nvmkv_twin.t (n);
DROP INDEX nvmkv_twin.t_region_idx1;
ROLLBACK TO s;
INSERT INTO nvmkv_twin.t (id, n) VALUES (10, 1), (11, 1);
COMMIT;
SELECT relname FROM pg_class WHERE relname = 'gone';
SELECT relname FROM pg_class WHERE relname = 't_region_idx1' AND relnamespace = 'nvmkv_twin'::regnamespace;

-- owners and privileges
CREATE ROLE nvmkv_index_owner;
CREATE ROLE nvmkv_index_other;
GRANT USAGE ON SCHEMA nvmkv_twin TO nvmkv_index_owner, nvmkv_index_other;
GRANT CREATE ON SCHEMA nvmkv_twin TO nvmkv_index_owner;
ALTER TABLE nvmkv_twin.v OWNER TO nvmkv_index_owner;
GRANT ALL ON nvmkv_twin.v TO nvmkv_index_other;
SELECT count(*), min(relowner::regrole::text), max(relowner::regrole::text) FROM pg_class WHERE relnamespace = 'nvmkv_twin'::regnamespace AND relname ~ '^v';
SET ROLE nvmkv_index_other;
CREATE INDEX ON nvmkv_twin.v (c);
DROP INDEX nvmkv_twin.vk;
ALTER INDEX nvmkv_twin.vk RENAME TO vk2;
REINDEX INDEX nvmkv_twin.vk;
ALTER TABLE nvmkv_twin.v ADD UNIQUE (b, c);
SET ROLE nvmkv_index_owner;
CREATE INDEX ON nvmkv_twin.v (c);
RESET ROLE;
REVOKE CREATE ON SCHEMA nvmkv_twin FROM nvmkv_index_owner;
SET ROLE nvmkv_index_owner;
CREATE INDEX ON nvmkv_twin.v (b);
DROP INDEX nvmkv_twin.v_c_idx;
RESET ROLE;
DROP OWNED BY nvmkv_index_owner, nvmkv_index_other;
DROP ROLE nvmkv_index_owner, nvmkv_index_other;

-- REINDEX CONCURRENTLY: what the copy is like, what stays of it
CREATE FOREIGN TABLE nvmkv_twin.r (a int NOT NULL, b text, c int CONSTRAINT r_later UNIQUE DEFERRABLE, d int) SERVER nvmkv OPTIONS (primary_key 'a');
INSERT INTO nvmkv_twin.r SELECT g, 'B' || g, g, g / 2 FROM generate_series(1, 3000) g;
CREATE UNIQUE INDEX r_b ON nvmkv_twin.r (lower(b) COLLATE "C" DESC NULLS LAST) INCLUDE (d) WHERE a > 10;
COMMENT ON INDEX nvmkv_twin.r_b IS 'kept';
SELECT storage_id AS old_storage FROM nvmkv.storage WHERE relid = 'nvmkv_twin.r_b'::regclass \gset
REINDEX INDEX CONCURRENTLY nvmkv_twin.r_b;
SELECT pg_get_indexdef(oid), obj_description(oid, 'pg_class') FROM pg_class WHERE oid = 'nvmkv_twin.r_b'::regclass;
SELECT storage_id <> :old_storage AS another FROM nvmkv.storage WHERE relid = 'nvmkv_twin.r_b'::regclass;
SELECT * FROM nvmkv.check('nvmkv_twin.r');
BEGIN;
REINDEX INDEX CONCURRENTLY nvmkv_twin.r_b;
ROLLBACK;
REINDEX TABLE CONCURRENTLY nvmkv_twin.r;
ALTER TABLE nvmkv_twin.r DROP CONSTRAINT r_later;
CREATE UNIQUE INDEX CONCURRENTLY r_d ON nvmkv_twin.r (d);
REINDEX TABLE CONCURRENTLY nvmkv_twin.r;
SET client_min_messages = notice;
CREATE FOREIGN TABLE nvmkv_twin.only_invalid (a int) SERVER nvmkv;
INSERT INTO nvmkv_twin.only_invalid VALUES (1), (1);
CREATE UNIQUE INDEX CONCURRENTLY only_invalid_a ON nvmkv_twin.only_invalid (a);
REINDEX TABLE CONCURRENTLY nvmkv_twin.only_invalid;
SET client_min_messages = warning;
DROP FOREIGN TABLE nvmkv_twin.only_invalid;
REINDEX INDEX CONCURRENTLY nvmkv_twin.r_d;
SELECT indexrelid::regclass::text, indisvalid FROM pg_index WHERE indrelid = 'nvmkv_twin.r'::regclass ORDER BY 1;
DROP INDEX nvmkv_twin.r_d_ccnew;
DELETE FROM nvmkv_twin.r WHERE a % 2 = 1;
REINDEX INDEX CONCURRENTLY nvmkv_twin.r_d;
SELECT indexrelid::regclass::text, indisvalid FROM pg_index WHERE indrelid = 'nvmkv_twin.r'::regclass ORDER BY 1;
SELECT * FROM nvmkv.check('nvmkv_twin.r');
INSERT INTO nvmkv_twin.r VALUES (5001, 'b100', 1, 5001);
INSERT INTO nvmkv_twin.r VALUES (5001, 'b101', 1, 50);
REINDEX TABLE CONCURRENTLY nvmkv_twin.r;
CREATE FOREIGN TABLE nvmkv_twin.no_index (a int) SERVER nvmkv;
REINDEX TABLE CONCURRENTLY nvmkv_twin.no_index;

SET client_min_messages = error;
DROP SCHEMA nvmkv_twin, heap_twin CASCADE;
DROP FUNCTION twice, mutable;
SELECT count(*) FROM nvmkv.storage WHERE relid NOT IN (SELECT oid FROM pg_class);
