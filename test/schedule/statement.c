/*
 * statement.c
 *	  See statement.h.
 *
 * A statement that meets several rows has a condition on the key, and sessions have sequential scans switched off: so
 * both flavours meet them in the order of the key, and wait for the same one first.
 */
#include "schedule/statement.h"

#include <stdio.h>
#include <string.h>

#include "schedule/table.h"

typedef struct Draw
{
	Random *random;
	const Rules *rules;
	Schedule *schedule;
	KindSet kinds; /* of this statement */
	Text out;
} Draw;

static bool
may(const Draw *draw, Kind kind)
{
	return rules_allow(draw->rules, draw->schedule->kinds | draw->kinds | KIND_BIT(kind));
}

/* A detail of a statement, where it is allowed. */
static bool
choose(Draw *draw, Kind kind, int percent)
{
	if (!random_percent(draw->random, percent) || !may(draw, kind))
		return false;
	draw->kinds |= KIND_BIT(kind);
	return true;
}

/* Few keys are drawn much more often than the others, so that sessions meet. */
static int
draw_key(Draw *draw)
{
	return random_percent(draw->random, 75) ? 1 + random_below(draw->random, 2) : random_below(draw->random, KEYS);
}

static void
add(Draw *draw, const char *text)
{
	text_add(&draw->out, text);
}

static void
add_returning(Draw *draw)
{
	if (choose(draw, KIND_RETURNING, 40))
		add(draw, " RETURNING *");
}

/* Values of v that rows have, some of them. */
static int
draw_value(Draw *draw)
{
	return random_percent(draw->random, 70) ? 10 * draw_key(draw) : 100 + random_below(draw->random, 5);
}

static void
add_equals(Draw *draw, int key)
{
	if (schedule_has(draw->schedule, KIND_UNIQUE) && random_percent(draw->random, 33))
		text_addf(&draw->out, "v = %d", draw_value(draw));
	else
		key_equals(&draw->out, draw->schedule, "", key);
}

/* Several rows, in the order of the key. */
static void
add_several(Draw *draw)
{
	if (schedule_has(draw->schedule, KIND_UNIQUE) && random_percent(draw->random, 33))
		text_addf(&draw->out, "v < %d", draw_value(draw));
	else
		key_less(&draw->out, draw->schedule, 2 + random_below(draw->random, KEYS));
}

static void
add_row(Draw *draw, int key)
{
	add(draw, "(");
	key_values(&draw->out, draw->schedule, key);
	text_addf(&draw->out, ", %d, 0)", 100 + random_below(draw->random, 5));
}

static void
insert(Draw *draw, Kind kind)
{
	add(draw, "INSERT INTO t VALUES ");
	add_row(draw, draw_key(draw));
	for (int more = kind == KIND_INSERT_MANY ? 1 + random_below(draw->random, 2) : 0; more > 0; more--)
	{
		add(draw, ", ");
		add_row(draw, draw_key(draw));
	}
	add_returning(draw);
}

static void
conflict(Draw *draw, Kind kind)
{
	add(draw, "INSERT INTO t VALUES ");
	add_row(draw, draw_key(draw));
	if (kind == KIND_NOTHING)
	{
		add(draw, " ON CONFLICT DO NOTHING");
		add_returning(draw);
		return;
	}
	text_addf(&draw->out, " ON CONFLICT (%s) DO UPDATE SET ",
			  schedule_has(draw->schedule, KIND_UNIQUE) && random_percent(draw->random, 50) ? "v" :
			  key_columns(draw->schedule));
	if (kind == KIND_UPSERT_KEY)
		key_set(&draw->out, draw->schedule, draw_key(draw));
	else
		add(draw, "v = t.v + EXCLUDED.v, w = t.w + 1");
	if (kind == KIND_UPSERT_WHERE)
		text_addf(&draw->out, " WHERE t.v %s %d", random_percent(draw->random, 50) ? "<" : ">",
						  random_below(draw->random, 40));
	add_returning(draw);
}

static void
update(Draw *draw, Kind kind)
{
	text_addf(&draw->out, "UPDATE t SET v = v + %d WHERE ", 1 + random_below(draw->random, 9));
	if (kind == KIND_UPDATE_MANY)
		add_several(draw);
	else
		add_equals(draw, draw_key(draw));
	if (kind == KIND_UPDATE_WHERE)
		text_addf(&draw->out, " AND v %s %d", random_percent(draw->random, 50) ? "<=" : "=",
						  10 * (1 + random_below(draw->random, 4)));
	add_returning(draw);
}

static void
move(Draw *draw, int from, int to)
{
	add(draw, "UPDATE t SET ");
	key_set(&draw->out, draw->schedule, to);
	add(draw, " WHERE ");
	add_equals(draw, from);
}

static void
key_move(Draw *draw, Kind kind)
{
	int from = draw_key(draw);
	int to = draw_key(draw);
	const char *column = schedule_has(draw->schedule, KIND_COMPOSITE) ? "a" : "k";
	const int far_away = KEYS * 3;

	switch ((int) kind)
	{
		case KIND_SHIFT:
			text_addf(&draw->out, "UPDATE t SET %s = %s + 10 WHERE ", column, column);
			add_several(draw);
			break;
		case KIND_SWAP:
			move(draw, from, far_away);
			add(draw, "; ");
			move(draw, to, from);
			add(draw, "; ");
			move(draw, far_away, to);
			return;
		case KIND_MOVE_BACK:
			move(draw, from, to);
			add(draw, "; ");
			move(draw, to, from);
			return;
		default:
			move(draw, from, to);
			break;
	}
	add_returning(draw);
}

static void
delete(Draw *draw, Kind kind)
{
	int key = draw_key(draw);

	add(draw, "DELETE FROM t WHERE ");
	if (kind == KIND_DELETE_MANY)
		add_several(draw);
	else
		add_equals(draw, key);
	if (kind == KIND_REINSERT)
	{
		add(draw, "; INSERT INTO t VALUES ");
		add_row(draw, key);
	}
	else
		add_returning(draw);
}

static void
lock(Draw *draw, Kind kind)
{
	static const char *const strengths[] = {
		[KIND_FOR_UPDATE - KIND_FOR_UPDATE] = "UPDATE",
		[KIND_FOR_NO_KEY_UPDATE - KIND_FOR_UPDATE] = "NO KEY UPDATE",
		[KIND_FOR_SHARE - KIND_FOR_UPDATE] = "SHARE",
		[KIND_FOR_KEY_SHARE - KIND_FOR_UPDATE] = "KEY SHARE",
	};

	add(draw, "SELECT * FROM t WHERE ");
	if (random_percent(draw->random, 30) && !schedule_has(draw->schedule, KIND_NO_KEY))
		add_several(draw);
	else
		add_equals(draw, draw_key(draw));
	if (random_percent(draw->random, 20))
		add(draw, " AND v < 25");
	text_addf(&draw->out, " ORDER BY %s FOR %s", key_columns(draw->schedule), strengths[kind - KIND_FOR_UPDATE]);
	if (choose(draw, KIND_NOWAIT, 10))
		add(draw, " NOWAIT");
	else if (choose(draw, KIND_SKIP_LOCKED, 15))
		add(draw, " SKIP LOCKED");
}

static void
select_rows(Draw *draw, Kind kind)
{
	(void) kind;
	add(draw, random_percent(draw->random, 30) ? "SELECT count(*), sum(v) FROM t WHERE " : "SELECT * FROM t WHERE ");
	if (random_percent(draw->random, 50))
		add_several(draw);
	else
		add_equals(draw, draw_key(draw));
}

static void
join(Draw *draw, Kind kind)
{
	bool composite = schedule_has(draw->schedule, KIND_COMPOSITE);
	const char *on = composite ? "t.a = 0 AND t.b = o.x" : "t.k = o.x";

	(void) kind;
	switch (random_below(draw->random, 5))
	{
		case 0:
			text_addf(&draw->out, "UPDATE t SET v = t.v + o.y FROM o WHERE %s AND o.x = %d", on,
							  draw_key(draw));
			add_returning(draw);
			break;
		case 1:
			if (!choose(draw, KIND_DELETE, 100))
			{
				select_rows(draw, KIND_SELECT);
				return;
			}
			text_addf(&draw->out, "DELETE FROM t USING o WHERE %s AND o.x = %d AND t.v > o.y", on,
							  draw_key(draw));
			add_returning(draw);
			break;
		case 2:
			text_addf(&draw->out, "SELECT * FROM t JOIN o ON %s WHERE o.x = %d", on, draw_key(draw));
			if (choose(draw, KIND_FOR_UPDATE, 60))
				add(draw, " FOR UPDATE OF t");
			break;
		case 3:
			/* Of several rows with a key any may be the one. */
			text_addf(&draw->out, "UPDATE o SET y = t.v FROM %s WHERE %s AND o.x = %d",
							  schedule_has(draw->schedule, KIND_NO_KEY) ?
							  "(SELECT k, max(v) AS v FROM t GROUP BY k) AS t" : "t", on, draw_key(draw));
			add_returning(draw);
			break;
		default:
			text_addf(&draw->out, "UPDATE o SET y = y + 10 WHERE x = %d", draw_key(draw));
			break;
	}
}

static void
subquery(Draw *draw, Kind kind)
{
	bool composite = schedule_has(draw->schedule, KIND_COMPOSITE);
	const char *on = composite ? "o.x = t.b" : "o.x = t.k";

	(void) kind;
	switch (random_below(draw->random, 5))
	{
		case 0:
			add(draw, "UPDATE t SET v = (SELECT max(y) FROM o) WHERE ");
			add_equals(draw, draw_key(draw));
			break;
		case 1:
			add(draw, "UPDATE t SET v = v + 1 WHERE ");
			add_equals(draw, draw_key(draw));
			text_addf(&draw->out, " AND EXISTS (SELECT FROM o WHERE %s AND o.y < 5)", on);
			break;
		case 2:
			if (!choose(draw, KIND_DELETE, 100))
			{
				select_rows(draw, KIND_SELECT);
				return;
			}
			add(draw, "DELETE FROM t WHERE ");
			add_equals(draw, draw_key(draw));
			text_addf(&draw->out, " AND NOT EXISTS (SELECT FROM o WHERE %s)", on);
			break;
		case 3:
			add(draw, "UPDATE t SET w = (SELECT count(*) FROM t s WHERE s.v < t.v) WHERE ");
			add_equals(draw, draw_key(draw));
			break;
		default:
			text_addf(&draw->out, "SELECT x, (SELECT v FROM t WHERE %s) FROM o", composite ? "t.a = 0 AND t.b = x" :
							  "t.k = x");
			return;
	}
	add_returning(draw);
}

typedef struct Choice
{
	Kind kind;
	int weight;
	void (*draw)(Draw *draw, Kind kind);
	bool needs_key; /* makes sense only with a key that is unique */
	bool needs_arbiter; /* an index of the whole table that ON CONFLICT can name: partitions have one each */
} Choice;

static const Choice choices[] = {
	{KIND_INSERT, 8, insert, false, false},
	{KIND_INSERT_MANY, 3, insert, false, false},
	{KIND_UPDATE, 12, update, false, false},
	{KIND_UPDATE_WHERE, 8, update, false, false},
	{KIND_UPDATE_MANY, 4, update, true, false},
	{KIND_KEY_MOVE, 8, key_move, false, false},
	{KIND_SHIFT, 2, key_move, true, false},
	{KIND_SWAP, 3, key_move, true, false},
	{KIND_MOVE_BACK, 3, key_move, true, false},
	{KIND_DELETE, 7, delete, false, false},
	{KIND_DELETE_MANY, 2, delete, true, false},
	{KIND_REINSERT, 5, delete, false, false},
	{KIND_NOTHING, 4, conflict, false, false},
	{KIND_UPSERT, 6, conflict, true, true},
	{KIND_UPSERT_WHERE, 3, conflict, true, true},
	{KIND_UPSERT_KEY, 2, conflict, true, true},
	{KIND_FOR_UPDATE, 6, lock, false, false},
	{KIND_FOR_NO_KEY_UPDATE, 3, lock, false, false},
	{KIND_FOR_SHARE, 5, lock, false, false},
	{KIND_FOR_KEY_SHARE, 3, lock, false, false},
	{KIND_SELECT, 6, select_rows, false, false},
	{KIND_JOIN, 5, join, false, false},
	{KIND_SUBQUERY, 5, subquery, false, false},
};

#define CHOICES ((int) (sizeof(choices) / sizeof(choices[0])))

static bool
fits(const Draw *draw, const Choice *choice)
{
	if (choice->needs_key && schedule_has(draw->schedule, KIND_NO_KEY))
		return false;
	if (choice->needs_arbiter && schedule_has(draw->schedule, KIND_PARTITION))
		return false;
	return may(draw, choice->kind);
}

void
statement_draw(Random *random, const Rules *rules, Schedule *schedule, char *sql)
{
	Draw draw = {.random = random, .rules = rules, .schedule = schedule};
	int total = 0;
	int at;

	text_init(&draw.out);
	for (int i = 0; i < CHOICES; i++)
		total += fits(&draw, &choices[i]) ? choices[i].weight : 0;
	at = total > 0 ? random_below(random, total) : 0;
	for (int i = 0; i < CHOICES && total > 0; i++)
	{
		if (!fits(&draw, &choices[i]))
			continue;
		at -= choices[i].weight;
		if (at < 0)
		{
			draw.kinds |= KIND_BIT(choices[i].kind);
			choices[i].draw(&draw, choices[i].kind);
			break;
		}
	}
	if (total == 0)
		select_rows(&draw, KIND_SELECT);
	schedule->kinds |= draw.kinds;
	(void) snprintf(sql, SQL_BYTES, "%s", draw.out.data);
	text_free(&draw.out);
}

void
statement_draw_read(Random *random, Schedule *schedule, char *sql)
{
	Draw draw = {.random = random, .schedule = schedule};

	text_init(&draw.out);
	select_rows(&draw, KIND_SELECT);
	schedule->kinds |= KIND_BIT(KIND_SELECT);
	(void) snprintf(sql, SQL_BYTES, "%s", draw.out.data);
	text_free(&draw.out);
}
