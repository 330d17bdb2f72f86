-- Constraints, defaults, generated columns, triggers, views.  A heap table with the same primary key says the same (scripts/heap_twin.sh).
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN 0 AND 100);
CREATE FOREIGN TABLE rules (k int NOT NULL, a text NOT NULL, b int CHECK (b > 0), p percent, m mood DEFAULT 'ok', twice int GENERATED ALWAYS AS (b * 2) STORED, id int GENERATED ALWAYS AS IDENTITY, CONSTRAINT a_not_b CHECK (length(a) <> b)) SERVER nvmkv OPTIONS (primary_key 'k');

INSERT INTO rules (k, a, b, p) VALUES (1, 'one', 1, 50), (2, 'two', 2, NULL) RETURNING *;
INSERT INTO rules (k, a, b) VALUES (3, NULL, 1);
INSERT INTO rules (k, a, b) VALUES (NULL, 'x', 1);
INSERT INTO rules (a, b) VALUES ('x', 1);
INSERT INTO rules (k, a, b) VALUES (3, 'x', 0);
INSERT INTO rules (k, a, b) VALUES (3, 'xxxx', 4);
INSERT INTO rules (k, a, p) VALUES (3, 'x', 101);
INSERT INTO rules (k, a, m) VALUES (3, 'x', 'angry');
INSERT INTO rules (k, a, twice) VALUES (3, 'x', 5);
INSERT INTO rules (k, a, id) VALUES (3, 'x', 5);
INSERT INTO rules (k, a, id) OVERRIDING SYSTEM VALUE VALUES (3, 'x', 77) RETURNING *;
UPDATE rules SET a = NULL WHERE k = 1;
UPDATE rules SET k = NULL WHERE k = 1;
UPDATE rules SET b = -1 WHERE k = 1;
UPDATE rules SET b = 3 WHERE k = 1;
UPDATE rules SET p = 1000 WHERE k = 1;
UPDATE rules SET twice = 3 WHERE k = 1;
UPDATE rules SET b = 9, m = 'happy' WHERE k = 1 RETURNING *;
SELECT * FROM rules ORDER BY k;

-- a check option, and a view that can be written
CREATE VIEW small AS SELECT k, a, b FROM rules WHERE b < 10 WITH CHECK OPTION;
INSERT INTO small VALUES (4, 'four', 5) RETURNING *;
INSERT INTO small VALUES (5, 'five', 50);
UPDATE small SET b = 20 WHERE k = 4;
UPDATE small SET b = 6 WHERE k = 4 RETURNING *;
DELETE FROM small WHERE k = 4 RETURNING *;
SELECT * FROM small ORDER BY k;

-- row triggers
CREATE TABLE trail (n int GENERATED ALWAYS AS IDENTITY, op text, old text, new text);
CREATE FUNCTION trail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO trail (op, old, new) VALUES (TG_WHEN || ' ' || TG_OP,
    CASE WHEN TG_OP <> 'INSERT' THEN OLD.k || ',' || OLD.a || ',' || coalesce(OLD.b, 0) END,
    CASE WHEN TG_OP <> 'DELETE' THEN NEW.k || ',' || NEW.a || ',' || coalesce(NEW.b, 0) END);
  RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.a = 'no' THEN RETURN NULL; END IF;
  NEW.a := upper(NEW.a);
  RETURN NEW;
END $$;
CREATE TRIGGER t0 BEFORE INSERT OR UPDATE ON rules FOR EACH ROW EXECUTE FUNCTION shout();
CREATE TRIGGER t1 BEFORE INSERT OR UPDATE OR DELETE ON rules FOR EACH ROW EXECUTE FUNCTION trail();
CREATE TRIGGER t2 AFTER INSERT OR UPDATE OR DELETE ON rules FOR EACH ROW EXECUTE FUNCTION trail();
INSERT INTO rules (k, a, b) VALUES (10, 'ten', 10), (11, 'no', 11), (12, 'twelve', 12);
UPDATE rules SET b = b + 1 WHERE k >= 10 RETURNING k, a, b, twice;
UPDATE rules SET k = k + 10, a = 'moved' WHERE k = 12;
UPDATE rules SET a = 'no' WHERE k = 10;
DELETE FROM rules WHERE k >= 10 RETURNING k, a;
SELECT op, old, new FROM trail ORDER BY n;
DROP TRIGGER t0 ON rules;
DROP TRIGGER t1 ON rules;
DROP TRIGGER t2 ON rules;
TRUNCATE trail;

-- a trigger that changes the row it is called for
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    UPDATE rules SET b = 500 WHERE k = OLD.k AND NEW.b <> 500;
  ELSE
    DELETE FROM rules WHERE k = OLD.k AND pg_trigger_depth() = 1;
  END IF;
  RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER meddle BEFORE UPDATE OR DELETE ON rules FOR EACH ROW EXECUTE FUNCTION meddle();
UPDATE rules SET b = 100 WHERE k = 1;
DELETE FROM rules WHERE k = 1;
SELECT * FROM rules ORDER BY k;
DROP TRIGGER meddle ON rules;

-- statement triggers, and a column's
CREATE FUNCTION statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO trail (op, new) VALUES (TG_WHEN || ' ' || TG_OP, (SELECT sum(b) FROM rules));
  RETURN NULL;
END $$;
CREATE TRIGGER s1 BEFORE INSERT OR UPDATE OR DELETE ON rules FOR EACH STATEMENT EXECUTE FUNCTION statement();
CREATE TRIGGER s2 AFTER INSERT OR UPDATE OR DELETE ON rules FOR EACH STATEMENT EXECUTE FUNCTION statement();
CREATE TRIGGER c1 AFTER UPDATE OF m ON rules FOR EACH ROW WHEN (OLD.m IS DISTINCT FROM NEW.m) EXECUTE FUNCTION trail();
INSERT INTO rules (k, a, b) SELECT g, 'many', g FROM generate_series(20, 25) g;
UPDATE rules SET m = 'happy' WHERE k IN (1, 21, 22);
UPDATE rules SET b = b + 1000 WHERE k IN (21, 22);
DELETE FROM rules WHERE k >= 20;
SELECT op, old, new FROM trail ORDER BY n;

DROP TRIGGER s1 ON rules;
DROP TRIGGER s2 ON rules;
DROP TRIGGER c1 ON rules;

-- privileges of the table and of columns
CREATE ROLE nvmkv_reader;
GRANT SELECT (k, b), UPDATE (b) ON rules TO nvmkv_reader;
SET ROLE nvmkv_reader;
SELECT k, b FROM rules ORDER BY k;
\set VERBOSITY sqlstate
SELECT * FROM rules;
UPDATE rules SET b = 42 WHERE k = 2;
UPDATE rules SET a = 'x' WHERE k = 2;
INSERT INTO rules (k, a) VALUES (99, 'x');
DELETE FROM rules WHERE k = 1;
\set VERBOSITY default
RESET ROLE;
GRANT INSERT (k, a) ON rules TO nvmkv_reader;
REVOKE SELECT (k) ON rules FROM nvmkv_reader;
SET ROLE nvmkv_reader;
INSERT INTO rules (k, a) VALUES (1, 'x');
RESET ROLE;
SELECT k, b FROM rules ORDER BY k;

DROP VIEW small;
DROP FOREIGN TABLE rules;
DROP TABLE trail;
DROP FUNCTION trail(), shout(), meddle(), statement();
DROP DOMAIN percent;
DROP TYPE mood;
DROP ROLE nvmkv_reader;
