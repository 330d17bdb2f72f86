/*
 * table.c
 *	  See table.h.
 *
 * A composite key has the columns a and b: key n is (n / 3, n % 3).  Partitions cut the keys at 2 and 5.
 */
#include "schedule/table.h"

#include <stdio.h>
#include <string.h>

bool
flavour_read(const char *name, Flavour *flavour)
{
	static const char *const names[] = {[FLAVOUR_HEAP] = "heap", [FLAVOUR_NVMKV] = "nvmkv", [FLAVOUR_LAX] = "lax"};

	for (int i = 0; i < 3; i++)
	{
		if (strcmp(name, names[i]) == 0)
		{
			*flavour = (Flavour) i;
			return true;
		}
	}
	fprintf(stderr, "no such flavour: %s\n", name);
	return false;
}

const char *
key_columns(const Schedule *schedule)
{
	return schedule_has(schedule, KIND_COMPOSITE) ? "a, b" : "k";
}

void
key_values(Text *out, const Schedule *schedule, int key)
{
	if (schedule_has(schedule, KIND_COMPOSITE))
		text_addf(out, "%d, %d", key / 3, key % 3);
	else
		text_addf(out, "%d", key);
}

void
key_equals(Text *out, const Schedule *schedule, const char *prefix, int key)
{
	if (schedule_has(schedule, KIND_COMPOSITE))
		text_addf(out, "%sa = %d AND %sb = %d", prefix, key / 3, prefix, key % 3);
	else
		text_addf(out, "%sk = %d", prefix, key);
}

void
key_less(Text *out, const Schedule *schedule, int key)
{
	if (schedule_has(schedule, KIND_COMPOSITE))
		text_addf(out, "(a, b) < (%d, %d)", key / 3, key % 3);
	else
		text_addf(out, "k < %d", key);
}

void
key_set(Text *out, const Schedule *schedule, int key)
{
	if (schedule_has(schedule, KIND_COMPOSITE))
		text_addf(out, "a = %d, b = %d", key / 3, key % 3);
	else
		text_addf(out, "k = %d", key);
}

static void
create_plain(Text *out, const Schedule *schedule, Flavour flavour)
{
	bool keyless = schedule_has(schedule, KIND_NO_KEY);
	const char *columns = schedule_has(schedule, KIND_COMPOSITE) ? "a int NOT NULL, b int NOT NULL, v int, w int" :
		"k int NOT NULL, v int, w int";

	if (flavour == FLAVOUR_NVMKV && keyless)
		text_addf(out, "CREATE FOREIGN TABLE t (%s) SERVER nvmkv;\n", columns);
	else if (flavour == FLAVOUR_NVMKV)
		text_addf(out, "CREATE FOREIGN TABLE t (%s) SERVER nvmkv OPTIONS (primary_key '%s');\n", columns,
						  key_columns(schedule));
	else if (keyless)
		text_addf(out, "CREATE TABLE t (%s);\n", columns);
	else
		text_addf(out, "CREATE TABLE t (%s, PRIMARY KEY (%s));\n", columns, key_columns(schedule));
}

static void
create_child(Text *out, Flavour flavour)
{
	if (flavour == FLAVOUR_NVMKV)
		text_add(out, "CREATE FOREIGN TABLE c () INHERITS (t) SERVER nvmkv OPTIONS (primary_key 'k');\n");
	else
		text_add(out, "CREATE TABLE c () INHERITS (t);\nALTER TABLE c ADD PRIMARY KEY (k);\n");
}

static void
create_partition(Text *out, Flavour flavour, const char *name, const char *bounds)
{
	if (flavour == FLAVOUR_NVMKV)
		text_addf(out, "CREATE FOREIGN TABLE %s PARTITION OF t FOR VALUES %s SERVER nvmkv OPTIONS (primary_key 'k');\n",
						  name, bounds);
	else
		text_addf(out, "CREATE TABLE %s PARTITION OF t FOR VALUES %s;\nALTER TABLE %s ADD PRIMARY KEY (k);\n", name,
						  bounds, name);
}

static void
create_triggers(Text *out, const Schedule *schedule)
{
	bool before = schedule_has(schedule, KIND_BEFORE_TRIGGER);
	bool after = schedule_has(schedule, KIND_AFTER_TRIGGER);

	if (!before && !after)
		return;
	text_add(out, "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
						 "IF TG_WHEN = 'BEFORE' AND TG_OP = 'UPDATE' THEN NEW.w := OLD.w + 1; END IF; "
						 "RAISE NOTICE '% % % %', TG_WHEN, TG_OP, OLD, NEW; "
						 "RETURN coalesce(NEW, OLD); END $$;\n");
	if (before)
		text_add(out, "CREATE TRIGGER b BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH ROW "
							 "EXECUTE FUNCTION note();\n");
	if (after)
		text_add(out, "CREATE TRIGGER a AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW "
							 "EXECUTE FUNCTION note();\n");
}

void
table_create(Text *out, const Schedule *schedule, Flavour flavour)
{
	if (schedule_has(schedule, KIND_PARTITION))
	{
		text_add(out, "CREATE TABLE t (k int NOT NULL, v int, w int) PARTITION BY RANGE (k);\n");
		create_partition(out, flavour, "t1", "FROM (MINVALUE) TO (2)");
		create_partition(out, flavour, "t2", "FROM (2) TO (5)");
		create_partition(out, flavour, "t3", "FROM (5) TO (MAXVALUE)");
	}
	else
		create_plain(out, schedule, flavour);
	if (schedule_has(schedule, KIND_UNIQUE))
		text_add(out, "CREATE UNIQUE INDEX ON t (v);\n");
	if (schedule_has(schedule, KIND_INHERITANCE))
		create_child(out, flavour);
	text_add(out, "CREATE TABLE o (x int PRIMARY KEY, y int);\nINSERT INTO o VALUES (1, 1), (2, 2), (4, 4);\n");
	for (int i = 0; i < schedule->row_count; i++)
	{
		bool in_child = schedule_has(schedule, KIND_INHERITANCE) && schedule->rows[i] % 2 == 0;

		text_addf(out, "INSERT INTO %s VALUES (", in_child ? "c" : "t");
		key_values(out, schedule, schedule->rows[i]);
		text_addf(out, ", %d, 0);\n", schedule->rows[i] * 10);
	}
	create_triggers(out, schedule);
}

void
table_drop(Text *out, const Schedule *schedule, Flavour flavour)
{
	bool foreign = flavour == FLAVOUR_NVMKV && !schedule_has(schedule, KIND_PARTITION);

	text_addf(out, "DROP %sTABLE t%s;\nDROP TABLE o;\n", foreign ? "FOREIGN " : "",
			  schedule_has(schedule, KIND_INHERITANCE) ? " CASCADE" : "");
	if (schedule_has(schedule, KIND_BEFORE_TRIGGER) || schedule_has(schedule, KIND_AFTER_TRIGGER))
		text_add(out, "DROP FUNCTION note();\n");
}
