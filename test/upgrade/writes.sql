-- Writes that go on after an upgrade, in one schema.
SET search_path = :schema, public;
INSERT INTO rows_ (page, number, parent) SELECT 'new ' || n, 20000 + n, 1 FROM generate_series(1, 500) AS n;
INSERT INTO rows_ (page, number) VALUES ('twice', 3) ON CONFLICT (number) WHERE number < 1000 DO UPDATE SET page = 'in conflict';
UPDATE rows_ SET number = number + 1, mood = 'glad' WHERE id BETWEEN 4000 AND 4100;
DELETE FROM rows_ WHERE id < 50;
UPDATE parts SET id = id + 1000 WHERE id BETWEEN 900 AND 1999 AND k = 5 AND id % 100 = 4 AND id + 1000 NOT IN (SELECT id FROM parts);
INSERT INTO altered (a, b) VALUES (12, 'after');
ALTER TABLE altered ADD COLUMN later int DEFAULT 3;
ALTER TABLE letters ADD COLUMN more text DEFAULT 'x';
CREATE INDEX letters_more ON letters (more, german);
INSERT INTO letters VALUES ('new', U&'\00D6l');
INSERT INTO generated (n) VALUES (77);
INSERT INTO emptied VALUES (1);
TRUNCATE without_key;
INSERT INTO without_key VALUES (1, 'again');
