-- INSERT ... ON CONFLICT.  A heap table with the same primary key says the same (scripts/heap_twin.sh).
CREATE FOREIGN TABLE stock (shop int NOT NULL, item text COLLATE "C" NOT NULL, n int, note text DEFAULT 'new', CHECK (n >= 0)) SERVER nvmkv OPTIONS (primary_key 'shop, item');
INSERT INTO stock VALUES (1, 'apple', 5), (1, 'pear', 7);

-- do nothing, with and without a target
INSERT INTO stock VALUES (1, 'apple', 100) ON CONFLICT DO NOTHING;
INSERT INTO stock VALUES (1, 'apple', 100), (2, 'fig', 1), (2, 'fig', 2) ON CONFLICT DO NOTHING RETURNING *;
INSERT INTO stock VALUES (1, 'apple', 100) ON CONFLICT (shop, item) DO NOTHING RETURNING *;
INSERT INTO stock VALUES (1, 'kiwi', 3) ON CONFLICT (item, shop) DO NOTHING RETURNING *;
SELECT * FROM stock ORDER BY shop, item;

-- do update
INSERT INTO stock VALUES (1, 'apple', 10) ON CONFLICT (shop, item) DO UPDATE SET n = stock.n + EXCLUDED.n RETURNING *;
INSERT INTO stock AS s VALUES (1, 'apple', 10), (3, 'plum', 4), (1, 'pear', 1) ON CONFLICT (shop, item) DO UPDATE SET (n, note) = (s.n + EXCLUDED.n, 'changed') RETURNING *;
INSERT INTO stock VALUES (1, 'apple', 1) ON CONFLICT (shop, item) DO UPDATE SET n = 0 WHERE stock.n > 1000 RETURNING *;
INSERT INTO stock VALUES (1, 'apple', 1) ON CONFLICT (shop, item) DO UPDATE SET n = EXCLUDED.n WHERE stock.n > EXCLUDED.n RETURNING *;
INSERT INTO stock SELECT 1, v, 1 FROM unnest('{apple,fig,pear}'::text[]) v ON CONFLICT (shop, item) DO UPDATE SET n = stock.n * 100;
INSERT INTO stock VALUES (1, 'apple', -5) ON CONFLICT (shop, item) DO UPDATE SET n = EXCLUDED.n;
INSERT INTO stock VALUES (1, 'apple', 5) ON CONFLICT (shop, item) DO UPDATE SET n = -1;
INSERT INTO stock VALUES (1, 'apple', 5) ON CONFLICT (shop, item) DO UPDATE SET item = NULL;
SELECT * FROM stock ORDER BY shop, item;

-- the key itself
INSERT INTO stock VALUES (1, 'apple', 5) ON CONFLICT (shop, item) DO UPDATE SET item = 'apples', n = 1 RETURNING *;
INSERT INTO stock VALUES (1, 'apples', 5) ON CONFLICT (shop, item) DO UPDATE SET item = 'pear';
SELECT * FROM stock ORDER BY shop, item;

-- updated by what is evaluated for the update
WITH inner_one AS (INSERT INTO stock VALUES (3, 'plum', 0) ON CONFLICT (shop, item) DO UPDATE SET n = stock.n + 1 RETURNING n) INSERT INTO stock VALUES (3, 'plum', 0) ON CONFLICT (shop, item) DO UPDATE SET n = (SELECT n + 100 FROM inner_one) RETURNING *;
SELECT * FROM stock WHERE shop = 3;

-- a second time in one command
INSERT INTO stock VALUES (5, 'x', 1), (5, 'x', 2) ON CONFLICT (shop, item) DO UPDATE SET n = EXCLUDED.n;
INSERT INTO stock VALUES (1, 'pear', 1), (1, 'pear', 2) ON CONFLICT (shop, item) DO UPDATE SET n = EXCLUDED.n;
SELECT * FROM stock ORDER BY shop, item;

-- a target that is no unique constraint
INSERT INTO stock VALUES (1, 'pear', 1) ON CONFLICT (shop) DO NOTHING;
INSERT INTO stock VALUES (1, 'pear', 1) ON CONFLICT (shop, item, n) DO UPDATE SET n = 1;
INSERT INTO stock VALUES (1, 'pear', 1) ON CONFLICT (shop, lower(item)) DO UPDATE SET n = 1;
INSERT INTO stock VALUES (1, 'pear', 1) ON CONFLICT DO UPDATE SET n = 1;

-- prepared, in WITH, in a function, in a transaction
PREPARE up(int, text, int) AS INSERT INTO stock VALUES ($1, $2, $3) ON CONFLICT (shop, item) DO UPDATE SET n = stock.n + EXCLUDED.n;
EXECUTE up(7, 'a', 1); EXECUTE up(7, 'a', 1); EXECUTE up(7, 'a', 1); EXECUTE up(7, 'a', 1); EXECUTE up(7, 'a', 1); EXECUTE up(7, 'a', 1); EXECUTE up(7, 'a', 1);
SELECT n FROM stock WHERE shop = 7;
WITH w AS (INSERT INTO stock VALUES (7, 'a', 10), (7, 'b', 1) ON CONFLICT (shop, item) DO UPDATE SET n = stock.n + EXCLUDED.n RETURNING *) SELECT * FROM w ORDER BY item;
CREATE FUNCTION bump(text) RETURNS int LANGUAGE sql AS $$ INSERT INTO stock VALUES (7, $1, 1) ON CONFLICT (shop, item) DO UPDATE SET n = stock.n + 1 RETURNING n $$;
SELECT bump('a'), bump('c'), bump('c');
BEGIN;
INSERT INTO stock VALUES (7, 'a', 1000) ON CONFLICT (shop, item) DO UPDATE SET n = stock.n + EXCLUDED.n RETURNING n;
DELETE FROM stock WHERE shop = 7 AND item = 'a';
INSERT INTO stock VALUES (7, 'a', 3) ON CONFLICT (shop, item) DO UPDATE SET n = stock.n + EXCLUDED.n RETURNING n;
ROLLBACK;
SELECT * FROM stock WHERE shop = 7 ORDER BY item;

-- through a view with a check option
CREATE VIEW shop8 AS SELECT * FROM stock WHERE shop = 8 AND n < 10 WITH CHECK OPTION;
INSERT INTO shop8 VALUES (8, 'x', 1) ON CONFLICT (shop, item) DO UPDATE SET n = 5;
INSERT INTO shop8 VALUES (8, 'x', 1) ON CONFLICT (shop, item) DO UPDATE SET n = 5;
INSERT INTO shop8 VALUES (8, 'x', 1) ON CONFLICT (shop, item) DO UPDATE SET n = 50;
SELECT * FROM shop8;
DROP VIEW shop8;

-- of a row that the statement around it has inserted, and keeps back
CREATE FUNCTION put(k text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO stock VALUES (11, k, 0) ON CONFLICT (shop, item) DO UPDATE SET n = stock.n + 10;
  RETURN k;
END $$;
CREATE FUNCTION put_quietly(k text) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN put(k); END $$;
INSERT INTO stock SELECT 11, CASE g WHEN 3 THEN put_quietly('1') || '.3' ELSE g::text END, g FROM generate_series(1, 3) g;
SELECT * FROM stock WHERE shop = 11 ORDER BY item;
DROP FUNCTION put, put_quietly;

-- triggers of both kinds
CREATE TABLE fired (n int GENERATED ALWAYS AS IDENTITY, what text);
CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO fired (what) VALUES (TG_WHEN || ' ' || TG_OP || ' ' || TG_LEVEL || coalesce(' ' || NEW.n, '') || CASE WHEN TG_OP = 'UPDATE' AND TG_LEVEL = 'ROW' THEN ' was ' || OLD.n ELSE '' END);
  IF TG_WHEN = 'BEFORE' AND TG_OP = 'UPDATE' AND TG_LEVEL = 'ROW' THEN NEW.note := 'trigger'; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER a BEFORE INSERT OR UPDATE ON stock FOR EACH ROW EXECUTE FUNCTION fire();
CREATE TRIGGER b AFTER INSERT OR UPDATE ON stock FOR EACH ROW EXECUTE FUNCTION fire();
CREATE TRIGGER c AFTER INSERT OR UPDATE ON stock FOR EACH STATEMENT EXECUTE FUNCTION fire();
INSERT INTO stock VALUES (9, 'x', 1), (7, 'a', 2) ON CONFLICT (shop, item) DO UPDATE SET n = stock.n + EXCLUDED.n;
INSERT INTO stock VALUES (9, 'x', 1) ON CONFLICT DO NOTHING;
SELECT what FROM fired ORDER BY n;
SELECT * FROM stock WHERE shop IN (7, 9) ORDER BY shop, item;

EXPLAIN (COSTS OFF) INSERT INTO stock VALUES (9, 'x', 1) ON CONFLICT DO NOTHING;

DROP FOREIGN TABLE stock;
DROP TABLE fired;
DROP FUNCTION fire(), bump(text);
