/*
 * kind.h
 *	  What statements and transactions of a schedule are drawn from, by name, and what must not be drawn.
 *
 * A rule is a set of kinds that one schedule must not have all of: "swap" forbids swaps, "key-move+upsert" forbids
 * both in the same schedule.
 */
#ifndef NVMKV_SCHEDULE_KIND_H
#define NVMKV_SCHEDULE_KIND_H

#include <stdbool.h>
#include <stdint.h>

typedef enum Kind
{
	KIND_INSERT,
	KIND_INSERT_MANY,
	KIND_UPDATE,
	KIND_UPDATE_WHERE, /* with a condition on another column than the key */
	KIND_UPDATE_MANY,
	KIND_KEY_MOVE,
	KIND_SHIFT, /* moves many rows */
	KIND_SWAP,
	KIND_MOVE_BACK, /* a row goes and comes back */
	KIND_DELETE,
	KIND_DELETE_MANY,
	KIND_REINSERT,
	KIND_NOTHING, /* ON CONFLICT DO NOTHING */
	KIND_UPSERT,
	KIND_UPSERT_WHERE,
	KIND_UPSERT_KEY, /* that sets the key */
	KIND_FOR_UPDATE,
	KIND_FOR_NO_KEY_UPDATE,
	KIND_FOR_SHARE,
	KIND_FOR_KEY_SHARE,
	KIND_NOWAIT,
	KIND_SKIP_LOCKED,
	KIND_SELECT,
	KIND_JOIN,
	KIND_SUBQUERY,
	KIND_RETURNING,
	KIND_BEFORE_TRIGGER,
	KIND_AFTER_TRIGGER,
	KIND_PARTITION,
	KIND_INHERITANCE, /* t has a child, in which every other key is */
	KIND_COMPOSITE,
	KIND_NO_KEY,
	KIND_UNIQUE, /* v has a unique index, too; a third of the conditions are about v */
	KIND_SAVEPOINT,
	KIND_ROLLBACK,
	KIND_PREPARED,
	KIND_READ_COMMITTED,
	KIND_REPEATABLE_READ,
	KIND_SERIALIZABLE,
	KIND_COUNT
} Kind;

typedef uint64_t KindSet;

#define KIND_BIT(kind_) (UINT64_C(1) << (kind_))

#define MAX_RULES 64

typedef struct Rules
{
	KindSet forbidden[MAX_RULES];
	int count;
} Rules;

/* The name of a kind. */
extern const char *kind_name(Kind kind);

/* Adds the rules of a list, "swap,key-move+upsert".  False, with a word on stderr, if a name is not known. */
extern bool rules_add(Rules *rules, const char *list);

/* May a schedule have all these kinds? */
extern bool rules_allow(const Rules *rules, KindSet kinds);

#endif
