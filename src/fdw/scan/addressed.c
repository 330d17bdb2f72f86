/*
 * addressed.c
 *	  Scans of a table with a primary key for the rows of some ctids.
 *
 * WHERE ctid = ..., or = ANY (...).  A ctid is that of one version
 * (addressbook.h).  If this transaction has shown all of these, their keys are
 * known and looked up; else the ranges of the scan are read as they would be
 * without the condition.  Either way the rows that have another version by now
 * are left out here: the executor does not test the condition again, as it
 * does not on a heap when a row has changed meanwhile (EvalPlanQual).
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "fdw/scan/addressed.h"
#include "fdw/txn/addressbook.h"

struct NvmkvAddressed
{
	ExprState *value;
	bool is_array;
	MemoryContext context; /* of the following */
	uint64 *wanted;		   /* numbers, ascending */
	int nwanted;
	NvmkvSlice *keys; /* the same for them; NULL: not all are known */
	int nkeys;
	int next; /* counted in the direction of the scan */
};

NvmkvAddressed *
nvmkv_addressed_create(Expr *clause, PlanState *parent)
{
	NvmkvAddressed *addressed = palloc0(sizeof(NvmkvAddressed));
	List *args;

	addressed->is_array = IsA(clause, ScalarArrayOpExpr);
	args = addressed->is_array ? ((ScalarArrayOpExpr *) clause)->args : castNode(OpExpr, clause)->args;
	addressed->value = ExecInitExpr(lsecond(args), parent);
	addressed->context = AllocSetContextCreate(CurrentMemoryContext, "nvmkv addresses", ALLOCSET_SMALL_SIZES);
	return addressed;
}

/* ---------------------------------------------------------------- evaluation */

static int
compare_numbers(const void *a, const void *b)
{
	uint64 x = *(const uint64 *) a;
	uint64 y = *(const uint64 *) b;

	return x < y ? -1 : x > y;
}

static int
compare_keys(const void *a, const void *b)
{
	return slice_compare(*(const NvmkvSlice *) a, *(const NvmkvSlice *) b);
}

/* wanted, nwanted from the condition's value. */
static void
take_value(NvmkvAddressed *addressed, Datum value)
{
	Datum *elements = &value;
	bool *nulls = NULL;
	int count = 1;

	if (addressed->is_array)
		deconstruct_array(DatumGetArrayTypeP(value), TIDOID, sizeof(ItemPointerData), false, TYPALIGN_SHORT, &elements,
						  &nulls, &count);
	addressed->wanted = palloc(sizeof(uint64) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		if (nulls == NULL || !nulls[i])
			addressed->wanted[addressed->nwanted++] =
				nvmkv_address_from_tid((ItemPointer) DatumGetPointer(elements[i]));
	}
	qsort(addressed->wanted, (size_t) addressed->nwanted, sizeof(uint64), compare_numbers);
}

/* keys, nkeys: those of wanted, if all are known.  One of another table is known not to be here. */
static void
find_keys(NvmkvAddressed *addressed, const NvmkvTable *table)
{
	const NvmkvAddressBook *book = nvmkv_addressbook_of_transaction();
	uint64 prefix = pg_hton64(table->storage_id);
	NvmkvSlice *keys = palloc(sizeof(NvmkvSlice) * Max(addressed->nwanted, 1));

	for (int i = 0; i < addressed->nwanted; i++)
	{
		const NvmkvAddress *address = nvmkv_addressbook_find(book, addressed->wanted[i]);

		if (address == NULL)
			return;
		if (memcmp(address->key.data, &prefix, sizeof(prefix)) == 0)
			keys[addressed->nkeys++] = address->key;
	}
	qsort(keys, (size_t) addressed->nkeys, sizeof(NvmkvSlice), compare_keys);
	addressed->keys = keys;
}

void
nvmkv_addressed_evaluate(NvmkvAddressed *addressed, const NvmkvTable *table, ExprContext *econtext)
{
	MemoryContext old_context;
	bool isnull;
	Datum value;

	MemoryContextReset(addressed->context);
	addressed->nwanted = 0;
	addressed->keys = NULL;
	addressed->nkeys = 0;
	addressed->next = 0;
	value = ExecEvalExprSwitchContext(addressed->value, econtext, &isnull);
	old_context = MemoryContextSwitchTo(addressed->context);
	if (!isnull)
		take_value(addressed, value);
	find_keys(addressed, table);
	MemoryContextSwitchTo(old_context);
}

/* ---------------------------------------------------------------- rows */

bool
nvmkv_addressed_has(const NvmkvAddressed *addressed, uint64 sequence)
{
	uint64 number = nvmkv_address_number(sequence);

	return addressed->nwanted > 0 &&
		bsearch(&number, addressed->wanted, (size_t) addressed->nwanted, sizeof(uint64), compare_numbers) != NULL;
}

bool
nvmkv_addressed_knows_keys(const NvmkvAddressed *addressed)
{
	return addressed->keys != NULL;
}

bool
nvmkv_addressed_next(NvmkvAddressed *addressed, bool backward, NvmkvSlice *key_out)
{
	while (addressed->next < addressed->nkeys)
	{
		int i = addressed->next++;
		const NvmkvSlice *key = &addressed->keys[backward ? addressed->nkeys - 1 - i : i];

		/* Two versions of a row, or one that is wanted twice. */
		if (i > 0 && slice_equal(*key, backward ? key[1] : key[-1]))
			continue;
		*key_out = *key;
		return true;
	}
	return false;
}

void
nvmkv_addressed_rewind(NvmkvAddressed *addressed)
{
	addressed->next = 0;
}
