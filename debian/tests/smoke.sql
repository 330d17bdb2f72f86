-- What a server with this package must be able to do; stops at the first error.
CREATE EXTENSION nvmkv_fdw;
CREATE TABLE smoke (id bigserial PRIMARY KEY, name text NOT NULL, weight numeric CHECK (weight > 0)) USING nvmkv;
CREATE INDEX smoke_name ON smoke (name);
INSERT INTO smoke (name, weight) SELECT 'row ' || n, n FROM generate_series(1, 10000) AS n;
UPDATE smoke SET weight = weight + 1 WHERE id % 2 = 0;
DELETE FROM smoke WHERE id % 5 = 0;
SELECT nvmkv.flush();
SELECT nvmkv.compact();
DO $$
DECLARE
	rows bigint;
	total numeric;
BEGIN
	SELECT count(*), sum(weight) INTO rows, total FROM smoke;
	ASSERT rows = 8000, format('%s rows', rows);
	ASSERT total = 40000000 + 4000, format('a sum of %s', total);
	ASSERT (SELECT id FROM smoke WHERE name = 'row 4711') = 4711, 'the index finds nothing';
	ASSERT NOT EXISTS (SELECT FROM nvmkv.check()), 'nvmkv.check() finds something';
END
$$;
DROP TABLE smoke;
DROP EXTENSION nvmkv_fdw;
