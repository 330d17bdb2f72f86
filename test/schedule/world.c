/*
 * world.c
 *	  See world.h.
 */
#include "schedule/world.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "schedule/table.h"

#define STOP_PATIENCE 10000 /* milliseconds after a cancel request */

/* Rows are met in the order of the key (statement.c). */
static const char session_settings[] = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; "
	"SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off; SET client_min_messages = notice; SET jit = off; "
	"SET deadlock_timeout = '30ms'; ";

long
world_now(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
world_give_up(const World *world, const char *what, const char *message)
{
	fprintf(stderr, "%s: %s: %s\n", world->schema, what, message);
	exit(2);
}

/* A command that must work, outside of schedules. */
static PGresult *
ask(World *world, PGconn *conn, const char *sql)
{
	PGresult *result = PQexec(conn, sql);
	ExecStatusType status = PQresultStatus(result);

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		world_give_up(world, sql, PQresultErrorMessage(result));
	return result;
}

static void
command(World *world, PGconn *conn, const char *sql)
{
	PQclear(ask(world, conn, sql));
}

static void
ignore_notice(void *arg, const PGresult *result)
{
	(void) arg;
	(void) result;
}

static void
take_notice(void *arg, const PGresult *result)
{
	Session *session = arg;

	text_addf(&session->said, "%s: %s\n", PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED),
					  PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
}

static PGconn *
connect_one(const World *world, const char *name)
{
	char conninfo[1024];
	PGconn *conn;

	(void) snprintf(conninfo, sizeof(conninfo), "%s application_name=%s.%s", world->conninfo, world->schema, name);
	conn = PQconnectdb(conninfo);
	if (PQstatus(conn) != CONNECTION_OK)
		world_give_up(world, "connection", PQerrorMessage(conn));
	return conn;
}

static void
open_session(World *world, int number)
{
	Session *session = &world->sessions[number];
	char name[16];
	char sql[1024];

	(void) snprintf(name, sizeof(name), "s%d", number + 1);
	session->conn = connect_one(world, name);
	session->pid = PQbackendPID(session->conn);
	(void) snprintf(sql, sizeof(sql), "%s SET search_path = %s", session_settings, world->schema);
	command(world, session->conn, sql);
	(void) PQsetNoticeReceiver(session->conn, take_notice, session);
}

void
world_open(World *world, const char *conninfo, Flavour flavour, const char *name)
{
	char sql[512];

	memset(world, 0, sizeof(*world));
	world->flavour = flavour;
	world->conninfo = conninfo;
	(void) snprintf(world->schema, sizeof(world->schema), "schedule_%s", name);
	world->control = connect_one(world, "control");
	(void) PQsetNoticeReceiver(world->control, ignore_notice, NULL);
	(void) snprintf(sql, sizeof(sql), "SET search_path = %s; SET lock_timeout = '60s'; DROP SCHEMA IF EXISTS %s CASCADE; "
					"CREATE SCHEMA %s", world->schema, world->schema, world->schema);
	command(world, world->control, sql);
	PQclear(PQprepare(world->control, "blockers",
					  "SELECT pg_catalog.array_to_string(pg_catalog.pg_blocking_pids(p), ' ') "
					  "FROM pg_catalog.unnest($1::int[]) WITH ORDINALITY AS busy (p, n) ORDER BY n", 1, NULL));
	PQclear(PQprepare(world->control, "races",
					  "SELECT l.transactionid FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid) "
					  "WHERE l.locktype = 'transactionid' AND NOT l.granted "
					  "AND starts_with(a.application_name, pg_catalog.current_schema() || '.') "
					  "GROUP BY 1 HAVING count(*) > 1 "
					  "UNION ALL SELECT NULL FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid) "
					  "WHERE l.locktype = 'tuple' AND l.granted AND a.query LIKE 'INSERT%' "
					  "AND starts_with(a.application_name, pg_catalog.current_schema() || '.') "
					  "AND EXISTS (SELECT FROM pg_catalog.pg_locks w WHERE NOT w.granted AND w.locktype = 'tuple' "
					  "AND w.database = l.database AND w.relation = l.relation AND w.page = l.page AND w.tuple = l.tuple)",
					  0, NULL));
	for (int i = 0; i < MAX_SESSIONS; i++)
	{
		text_init(&world->sessions[i].said);
		open_session(world, i);
	}
}

void
world_close(World *world)
{
	char sql[256];

	for (int i = 0; i < MAX_SESSIONS; i++)
	{
		PQfinish(world->sessions[i].conn);
		text_free(&world->sessions[i].said);
	}
	(void) snprintf(sql, sizeof(sql), "DROP SCHEMA %s CASCADE", world->schema);
	command(world, world->control, sql);
	PQfinish(world->control);
}

void
world_prepare(World *world, const Schedule *schedule)
{
	Text sql;

	text_init(&sql);
	table_create(&sql, schedule, world->flavour);
	command(world, world->control, sql.data);
	text_free(&sql);
}

void
world_clear(World *world, const Schedule *schedule)
{
	Text sql;

	text_init(&sql);
	table_drop(&sql, schedule, world->flavour);
	command(world, world->control, sql.data);
	text_free(&sql);
}

/* The text of a step as this world is to hear it. */
static void
translate(const World *world, const char *sql, Text *out)
{
	const char *level = strstr(sql, " ISOLATION LEVEL");

	text_clear(out);
	for (; *sql != '\0' && !(world->flavour == FLAVOUR_LAX && sql == level); sql++)
	{
		if (*sql == '@')
			text_add(out, world->schema);
		else
			text_add_char(out, *sql);
	}
}

void
world_send(World *world, const Step *step)
{
	Session *session = &world->sessions[step->session];
	Text sql;

	text_init(&sql);
	translate(world, step->sql, &sql);
	text_clear(&session->said);
	session->code[0] = '\0';
	session->alarm = session->committed = session->blocked = false;
	session->busy = true;
	if (PQsendQuery(session->conn, sql.data) != 1)
		world_give_up(world, sql.data, PQerrorMessage(session->conn));
	text_free(&sql);
}

static void
take_result(Session *session, const PGresult *result)
{
	const char *message;
	const char *code;

	switch ((int) PQresultStatus(result))
	{
		case PGRES_TUPLES_OK:
			for (int row = 0; row < PQntuples(result); row++)
			{
				for (int column = 0; column < PQnfields(result); column++)
					text_addf(&session->said, "%s%s", column == 0 ? "(" : "|",
									  PQgetisnull(result, row, column) ? "null" : PQgetvalue(result, row, column));
				text_add(&session->said, ")\n");
			}
			/* FALLTHROUGH */
		case PGRES_COMMAND_OK:
			text_addf(&session->said, "%s\n", PQcmdStatus((PGresult *) (uintptr_t) result));
			session->committed = strcmp(PQcmdStatus((PGresult *) (uintptr_t) result), "COMMIT") == 0;
			break;
		default:
			message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
			if (message == NULL)
				message = PQresultErrorMessage(result);
			code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
			(void) snprintf(session->code, sizeof(session->code), "%s", code != NULL ? code : "lost");
			session->alarm = strstr(message, "read/write dependencies") != NULL;
			session->committed = false;
			text_addf(&session->said, "ERROR %s: %s\n", session->code, message);
			break;
	}
}

/* Reads what is there.  True if the session is not busy any more. */
static bool
receive(Session *session)
{
	(void) PQconsumeInput(session->conn);
	while (session->busy && !PQisBusy(session->conn))
	{
		PGresult *result = PQgetResult(session->conn);

		if (result == NULL)
		{
			session->busy = session->blocked = false;
			text_sort_lines(&session->said); /* order is not compared, nor where notices come */
		}
		else
			take_result(session, result);
		PQclear(result);
	}
	return !session->busy;
}

bool
world_receive(World *world)
{
	bool any = false;

	for (int i = 0; i < MAX_SESSIONS; i++)
		any |= world->sessions[i].busy && receive(&world->sessions[i]);
	return any;
}

void
world_wait(const World *world, int milliseconds)
{
	struct pollfd fds[MAX_SESSIONS];
	nfds_t count = 0;

	for (int i = 0; i < MAX_SESSIONS; i++)
	{
		if (world->sessions[i].busy)
			fds[count++] = (struct pollfd) {.fd = PQsocket(world->sessions[i].conn), .events = POLLIN};
	}
	if (poll(fds, count, milliseconds) < 0 && errno != EINTR)
		world_give_up(world, "poll", strerror(errno));
}

void
world_await_any(World *world)
{
	while (!world_receive(world))
		world_wait(world, 100);
}

void
world_do(World *world, const Step *step)
{
	world_send(world, step);
	while (!receive(&world->sessions[step->session]))
		world_wait(world, 1000);
}

/* The session is not busy then, or it is another one. */
static void
stop_session(World *world, int number)
{
	Session *session = &world->sessions[number];
	long start = world_now();
	char error[256];
	PGcancel *cancel = PQgetCancel(session->conn);

	if (cancel == NULL || PQcancel(cancel, error, sizeof(error)) != 1)
		world_give_up(world, "cancel", error);
	PQfreeCancel(cancel);
	while (session->busy && world_now() - start < STOP_PATIENCE)
	{
		world_wait(world, 10);
		(void) receive(session);
	}
	if (session->busy)
	{
		char sql[128];

		fprintf(stderr, "%s: session %d does not answer a cancel request, and is terminated\n", world->schema, number + 1);
		(void) snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%d, %d)", session->pid, STOP_PATIENCE);
		command(world, world->control, sql);
		session->busy = false;
	}
}

static void
end_prepared(World *world)
{
	char sql[256];
	PGresult *result;

	(void) snprintf(sql, sizeof(sql), "SELECT gid FROM pg_prepared_xacts WHERE gid LIKE '%% %s'", world->schema);
	result = ask(world, world->control, sql);
	for (int row = 0; row < PQntuples(result); row++)
	{
		(void) snprintf(sql, sizeof(sql), "ROLLBACK PREPARED '%s'", PQgetvalue(result, row, 0));
		command(world, world->control, sql);
	}
	PQclear(result);
}

void
world_stop(World *world)
{
	end_prepared(world);
	for (int i = 0; i < MAX_SESSIONS; i++)
	{
		if (world->sessions[i].busy)
			stop_session(world, i);
		if (PQtransactionStatus(world->sessions[i].conn) == PQTRANS_ACTIVE ||
			PQstatus(world->sessions[i].conn) != CONNECTION_OK)
		{
			PQfinish(world->sessions[i].conn);
			open_session(world, i);
		}
		/* The cancel request may come after what it was for, and hit the first of these. */
		for (int tries = 0; tries < 3 && PQtransactionStatus(world->sessions[i].conn) != PQTRANS_IDLE; tries++)
			PQclear(PQexec(world->sessions[i].conn, "ROLLBACK"));
		if (PQtransactionStatus(world->sessions[i].conn) != PQTRANS_IDLE)
			world_give_up(world, "ROLLBACK", PQerrorMessage(world->sessions[i].conn));
	}
	end_prepared(world);
}

void
world_content(World *world, PGconn *conn, Text *out)
{
	static const char *const queries[] = {"SELECT * FROM t", "SELECT 'o', * FROM o"};

	text_clear(out);
	for (int i = 0; i < 2; i++)
	{
		PGresult *result = ask(world, conn, queries[i]);

		for (int row = 0; row < PQntuples(result); row++)
		{
			for (int column = 0; column < PQnfields(result); column++)
				text_addf(out, "%s%s", column == 0 ? "(" : "|",
								  PQgetisnull(result, row, column) ? "null" : PQgetvalue(result, row, column));
			text_add(out, ")\n");
		}
		PQclear(result);
	}
	text_sort_lines(out);
}
