/*
 * kind.c
 *	  See kind.h.
 */
#include "schedule/kind.h"

#include <stdio.h>
#include <string.h>

static const char *const names[KIND_COUNT] = {
	[KIND_INSERT] = "insert",
	[KIND_INSERT_MANY] = "insert-many",
	[KIND_UPDATE] = "update",
	[KIND_UPDATE_WHERE] = "update-where",
	[KIND_UPDATE_MANY] = "update-many",
	[KIND_KEY_MOVE] = "key-move",
	[KIND_SHIFT] = "shift",
	[KIND_SWAP] = "swap",
	[KIND_MOVE_BACK] = "move-back",
	[KIND_DELETE] = "delete",
	[KIND_DELETE_MANY] = "delete-many",
	[KIND_REINSERT] = "reinsert",
	[KIND_NOTHING] = "nothing",
	[KIND_UPSERT] = "upsert",
	[KIND_UPSERT_WHERE] = "upsert-where",
	[KIND_UPSERT_KEY] = "upsert-key",
	[KIND_FOR_UPDATE] = "for-update",
	[KIND_FOR_NO_KEY_UPDATE] = "for-no-key-update",
	[KIND_FOR_SHARE] = "for-share",
	[KIND_FOR_KEY_SHARE] = "for-key-share",
	[KIND_NOWAIT] = "nowait",
	[KIND_SKIP_LOCKED] = "skip-locked",
	[KIND_SELECT] = "select",
	[KIND_JOIN] = "join",
	[KIND_SUBQUERY] = "subquery",
	[KIND_RETURNING] = "returning",
	[KIND_BEFORE_TRIGGER] = "before-trigger",
	[KIND_AFTER_TRIGGER] = "after-trigger",
	[KIND_PARTITION] = "partition",
	[KIND_INHERITANCE] = "inheritance",
	[KIND_COMPOSITE] = "composite",
	[KIND_NO_KEY] = "no-key",
	[KIND_UNIQUE] = "unique",
	[KIND_SAVEPOINT] = "savepoint",
	[KIND_ROLLBACK] = "rollback",
	[KIND_PREPARED] = "prepared",
	[KIND_READ_COMMITTED] = "read-committed",
	[KIND_REPEATABLE_READ] = "repeatable-read",
	[KIND_SERIALIZABLE] = "serializable",
};

const char *
kind_name(Kind kind)
{
	return names[kind];
}

static bool
add_kind(KindSet *set, const char *name, size_t length)
{
	for (int kind = 0; kind < KIND_COUNT; kind++)
	{
		if (strlen(names[kind]) == length && strncmp(names[kind], name, length) == 0)
		{
			*set |= KIND_BIT(kind);
			return true;
		}
	}
	fprintf(stderr, "no such kind: %.*s; there are", (int) length, name);
	for (int kind = 0; kind < KIND_COUNT; kind++)
		fprintf(stderr, " %s", names[kind]);
	fprintf(stderr, "\n");
	return false;
}

bool
rules_add(Rules *rules, const char *list)
{
	KindSet set = 0;

	while (*list != '\0')
	{
		size_t length = strcspn(list, "+,");

		if (!add_kind(&set, list, length))
			return false;
		list += length;
		if (*list != '+')
		{
			if (rules->count == MAX_RULES)
			{
				fprintf(stderr, "more than %d rules\n", MAX_RULES);
				return false;
			}
			rules->forbidden[rules->count++] = set;
			set = 0;
		}
		if (*list != '\0')
			list++;
	}
	return true;
}

bool
rules_allow(const Rules *rules, KindSet kinds)
{
	for (int i = 0; i < rules->count; i++)
	{
		if ((kinds & rules->forbidden[i]) == rules->forbidden[i])
			return false;
	}
	return true;
}
