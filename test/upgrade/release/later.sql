-- What is in the log alone when the server is killed, and transactions of every end.
SET client_min_messages = warning;
SELECT statement FROM key_inserts WHERE number = 2 \gexec
BEGIN;
CALL twice($$UPDATE pairs SET big = 'logged' WHERE b % 13 = 0$$);
SAVEPOINT s;
CALL twice($$DELETE FROM pairs$$);
ROLLBACK TO s;
CALL twice($$INSERT INTO hot SELECT n, 'later' FROM generate_series(3000, 3100) AS n$$);
COMMIT;
BEGIN;
CALL twice($$DELETE FROM cold$$);
ROLLBACK;
CALL twice($$DELETE FROM cold WHERE a % 2 = 0$$);
CALL twice($$INSERT INTO ids VALUES (77, 'later'), (77, 'later')$$);
CALL make('late', 'a int NOT NULL, b text', 'a');
CALL twice($$INSERT INTO late SELECT n, 'late ' || n FROM generate_series(1, 100) AS n$$);
DROP FOREIGN TABLE ours.unused;
DROP TABLE heap.unused;
BEGIN;
CALL twice($$INSERT INTO late VALUES (1000, 'prepared')$$);
CALL twice($$DELETE FROM late WHERE a = 1$$);
PREPARE TRANSACTION 'to commit';
BEGIN;
CALL twice($$INSERT INTO late VALUES (2000, 'prepared')$$);
CALL twice($$DELETE FROM late WHERE a = 2$$);
PREPARE TRANSACTION 'to roll back';
