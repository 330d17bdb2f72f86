/*
 * side.c
 *	  See side.h.
 */
#include "query/side.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE 90 /* seconds that a server may need to recover */

void
answer_init(Answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	text_init(&answer->tag);
	text_init(&answer->rows);
	text_init(&answer->heads);
	text_init(&answer->warnings);
}

void
answer_free(Answer *answer)
{
	text_free(&answer->tag);
	text_free(&answer->rows);
	text_free(&answer->heads);
	text_free(&answer->warnings);
}

static void
take_warning(void *arg, const PGresult *result)
{
	Side *side = arg;
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	if (severity != NULL && strcmp(severity, "WARNING") == 0)
		text_addf(&side->warnings, "%s\n", PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
}

static void
connect_side(Side *side)
{
	char conninfo[1024];
	time_t start = time(NULL);

	(void) snprintf(conninfo, sizeof(conninfo), "%s application_name=%s options='-csearch_path=%s,pg_catalog "
					"-cstatement_timeout=20s -cclient_min_messages=warning -cjit=off -ctimezone=Europe/Berlin'",
					side->conninfo, side->schema, side->schema);
	for (;;)
	{
		static const struct timespec moment = {0, 200 * 1000 * 1000};

		side->conn = PQconnectdb(conninfo);
		if (PQstatus(side->conn) == CONNECTION_OK)
			break;
		/* A server that recovers refuses, and says nothing when it is ready. */
		if (time(NULL) - start > PATIENCE)
		{
			fprintf(stderr, "%s: %s", side->schema, PQerrorMessage(side->conn));
			exit(2);
		}
		PQfinish(side->conn);
		(void) nanosleep(&moment, NULL);
	}
	(void) PQsetNoticeReceiver(side->conn, take_warning, side);
}

void
side_open(Side *side, Flavour flavour, const char *conninfo, const char *name)
{
	memset(side, 0, sizeof(*side));
	side->flavour = flavour;
	side->conninfo = conninfo;
	(void) snprintf(side->schema, sizeof(side->schema), "query_%s", name);
	text_init(&side->warnings);
	connect_side(side);
}

static void
take_rows(const PGresult *result, int ordered, Answer *answer)
{
	int columns = PQnfields(result);

	for (int row = 0; row < PQntuples(result); row++)
	{
		for (int i = 0; i < columns; i++)
		{
			const char *value = PQgetisnull(result, row, i) ? "\\N" : PQgetvalue(result, row, i);

			text_addf(&answer->rows, "%s%s", i == 0 ? "(" : "|", value);
			if (i < ordered)
				text_addf(&answer->heads, "%s|", value);
		}
		text_add(&answer->rows, ")\n");
		if (ordered > 0)
			text_add(&answer->heads, "\n");
	}
	if (ordered != IN_ORDER)
		text_sort_lines(&answer->rows);
}

static void
say(Side *side, const char *sql, int ordered, Answer *answer)
{
	PGresult *result;
	ExecStatusType status;
	const char *code;

	text_clear(&side->warnings);
	result = PQexec(side->conn, sql);
	answer->lost = PQstatus(side->conn) == CONNECTION_BAD;
	status = PQresultStatus(result);
	if (status == PGRES_TUPLES_OK)
		take_rows(result, ordered, answer);
	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		text_add(&answer->tag, PQcmdStatus(result));
	else
	{
		code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
		(void) snprintf(answer->code, sizeof(answer->code), "%s", code != NULL ? code : "lost");
		text_add(&answer->tag, PQresultErrorMessage(result));
	}
	text_add(&answer->warnings, side->warnings.data);
	PQclear(result);
}

void
side_run(Side *side, const Command *command, Answer *answer)
{
	if (!command->nvmkv_only || side->flavour == FLAVOUR_NVMKV)
		say(side, command->sql.data, command->ordered, answer);
}

/* What is said outside of units, and must work, however long it takes. */
static void
must(Side *side, const char *sql)
{
	PGresult *result = PQexec(side->conn, sql);
	ExecStatusType status = PQresultStatus(result);
	const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (code != NULL && strcmp(code, CANCELED) == 0)
	{
		PQclear(result);
		must(side, sql);
		return;
	}
	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
	{
		fprintf(stderr, "%s: %s: %s", side->schema, sql, PQresultErrorMessage(result));
		exit(2);
	}
	PQclear(result);
}

bool
side_prepare(Side *side, const Shape *shape, Answer *answer)
{
	char sql[512];
	char *statements = strdup(side->flavour == FLAVOUR_NVMKV ? shape->nvmkv.data : shape->heap.data);
	char *rest = NULL;
	bool ok = statements != NULL;

	(void) snprintf(sql, sizeof(sql), "DROP SCHEMA IF EXISTS %s CASCADE; CREATE SCHEMA %s", side->schema, side->schema);
	must(side, sql);
	for (char *line = ok ? strtok_r(statements, "\n", &rest) : NULL; line != NULL && ok; line = strtok_r(NULL, "\n", &rest))
	{
		text_clear(&answer->tag);
		say(side, line, 0, answer);
		ok = answer->code[0] == '\0' && answer->warnings.length == 0;
		if (!ok)
			text_addf(&answer->tag, "%s\n%s\n", answer->warnings.data, line);
	}
	free(statements);
	if (side->flavour == FLAVOUR_SHORT && ok)
		must(side, "DELETE FROM a WHERE v2::text >= '2'");
	return ok;
}

void
side_reset(Side *side)
{
	if (PQstatus(side->conn) == CONNECTION_BAD)
	{
		PQfinish(side->conn);
		connect_side(side);
		return;
	}
	if (PQtransactionStatus(side->conn) != PQTRANS_IDLE)
		must(side, "ROLLBACK");
	must(side, "RESET ALL; DEALLOCATE ALL; CLOSE ALL");
}

void
side_close(Side *side)
{
	char sql[128];

	(void) snprintf(sql, sizeof(sql), "DROP SCHEMA IF EXISTS %s CASCADE", side->schema);
	must(side, sql);
	PQfinish(side->conn);
	text_free(&side->warnings);
}
