--
-- LOCK TABLE, by name, of several tables, under views and with children. As a heap table, see scripts/heap_twin.sh.
--
CREATE SCHEMA locktable_test;
SET search_path = locktable_test, public;
CREATE FOREIGN TABLE a (k int, v text) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE FOREIGN TABLE b (k int, v text) SERVER nvmkv;
CREATE TABLE h (k int);
CREATE TABLE p (k int) PARTITION BY RANGE (k);
CREATE FOREIGN TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10) SERVER nvmkv OPTIONS (primary_key 'k');
CREATE VIEW va AS SELECT k FROM a;
CREATE VIEW vv AS SELECT va.k FROM va, h WHERE EXISTS (SELECT FROM b WHERE b.k = va.k);
CREATE VIEW held AS SELECT relation::regclass, mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation IN ('a'::regclass, 'b'::regclass, 'h'::regclass, 'p1'::regclass) ORDER BY relation::regclass::text, mode;
LOCK TABLE a;
BEGIN;
LOCK TABLE a IN SHARE MODE;
SELECT * FROM held;
LOCK TABLE ONLY b, h, p IN ROW EXCLUSIVE MODE NOWAIT;
SELECT * FROM held;
ROLLBACK;
BEGIN;
LOCK TABLE va IN EXCLUSIVE MODE;
SELECT * FROM held;
ROLLBACK;
BEGIN;
LOCK vv;
SELECT * FROM held;
ROLLBACK;
BEGIN READ ONLY;
LOCK TABLE a IN ACCESS SHARE MODE;
SELECT * FROM held;
ROLLBACK;

-- Rights: of the table, or of the view and its owner.
CREATE ROLE nvmkv_locker;
GRANT USAGE ON SCHEMA locktable_test TO nvmkv_locker;
GRANT SELECT ON a, held TO nvmkv_locker;
GRANT UPDATE ON va TO nvmkv_locker;
SET ROLE nvmkv_locker;
BEGIN;
LOCK TABLE a IN ACCESS SHARE MODE;
SELECT * FROM held;
LOCK TABLE va IN EXCLUSIVE MODE;
SELECT * FROM held;
LOCK TABLE a IN SHARE MODE;
ROLLBACK;
BEGIN;
LOCK TABLE b;
ROLLBACK;
RESET ROLE;
ALTER VIEW va SET (security_invoker);
SET ROLE nvmkv_locker;
BEGIN;
LOCK TABLE va IN EXCLUSIVE MODE;
ROLLBACK;
RESET ROLE;
SET client_min_messages = warning;
DROP SCHEMA locktable_test CASCADE;
DROP ROLE nvmkv_locker;
