/*
 * deferred.c
 *	  Checks that may wait for the end of the transaction.
 *
 * For a heap table the server keeps the address of a row, and fires the trigger
 * when the constraint is to be checked.  Of a foreign table it keeps the rows
 * themselves, to the end of the statement only.  So the trigger's function is
 * called at the end of the statement, in which it keeps the row here; and for the
 * rest of the work it puts an event of its own into the server's queue, of the
 * same trigger, but for the table as a whole, of which no row needs to be kept.
 * When that is fired, the server decides, by all that it knows of constraints
 * that are set deferred or immediate, of savepoints, of PREPARE TRANSACTION; it
 * also refuses to change a table for which such an event waits.
 *
 * The event is that of TRUNCATE: those of other commands the server takes for
 * repetitions of events for the user's own triggers.
 *
 * An event means all rows that its trigger has kept.  There is one for the first
 * row of each command and subtransaction, so that it is fired no later than each
 * row would be.  It may be fired too early, for rows that a command around this
 * one has kept, and whose own event is still to come: commands that are called by
 * another one have greater numbers, and their events are fired first.  Such a row
 * can be put off, then it is kept behind the others.
 *
 * A queue is what a trigger has kept: its rows, one after the other, and how many
 * bytes of them have been checked.  A subtransaction that changes these for the
 * first time saves what they were, and brings them back when it fails: its rows
 * go, and what it has checked is unchecked again, as the server does with its
 * events.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_trigger.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "fdw/modify/deferred.h"
#include "fdw/modify/rowspool.h"

/* Of the events that the server has and has not fired: the commands in which they were queued, ascending. */
typedef struct Pending
{
	CommandId *cids;
	int count;
	int room;
} Pending;

typedef struct Saved
{
	SubTransactionId subid;
	uint64 end;
	uint64 checked;
	Pending pending;
	struct Saved *outer;
} Saved;

typedef struct Queue
{
	Oid trigger; /* key */
	NvmkvRowSpool rows;
	uint64 checked;
	Pending pending;
	Saved *saved; /* of the innermost subtransaction that has changed it */

	/* The last event of this trigger that the server has, as far as it is not fired. */
	SubTransactionId event_subid;
	CommandId event_cid;
} Queue;

typedef struct RowHead
{
	uint32 size;		/* of what follows */
	CommandId cid;		/* that has kept it */
	TriggerEvent event; /* INSERT, UPDATE or DELETE of the row */
} RowHead;

/* In the transaction's memory; NULL: none yet. */
static HTAB *queues = NULL;

/* ---------------------------------------------------------------- queues */

static Queue *
find_queue(Oid trigger)
{
	MemoryContext old_context;
	Queue *queue;
	bool found;

	if (queues == NULL)
	{
		HASHCTL control = {.keysize = sizeof(Oid), .entrysize = sizeof(Queue), .hcxt = TopTransactionContext};

		queues = hash_create("nvmkv deferred checks", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	queue = hash_search(queues, &trigger, HASH_ENTER, &found);
	if (!found)
	{
		old_context = MemoryContextSwitchTo(TopTransactionContext);
		queue->checked = 0;
		queue->saved = NULL;
		queue->pending = (Pending) {0};
		queue->event_subid = InvalidSubTransactionId;
		nvmkv_row_spool_init(&queue->rows);
		MemoryContextSwitchTo(old_context);
	}
	return queue;
}

static void
push_pending(Pending *pending, CommandId cid)
{
	if (pending->count == pending->room)
	{
		int room = pending->room > 0 ? 2 * pending->room : 4;
		Size size = sizeof(CommandId) * (Size) room;

		pending->cids = pending->cids == NULL ? MemoryContextAllocHuge(TopTransactionContext, size)
											  : repalloc_huge(pending->cids, size);
		pending->room = room;
	}
	pending->cids[pending->count++] = cid;
}

static Pending
copy_pending(const Pending *pending)
{
	Pending copy = {0};

	if (pending->count == 0)
		return copy;
	copy.count = copy.room = pending->count;
	copy.cids = MemoryContextAllocHuge(TopTransactionContext, sizeof(CommandId) * (Size) copy.room);
	memcpy(copy.cids, pending->cids, sizeof(CommandId) * (Size) copy.count);
	return copy;
}

/* Before a change of the queue. */
static void
save(Queue *queue)
{
	SubTransactionId subid = GetCurrentSubTransactionId();
	Saved *saved;

	if (subid == TopSubTransactionId || (queue->saved != NULL && queue->saved->subid == subid))
		return;
	saved = MemoryContextAlloc(TopTransactionContext, sizeof(Saved));
	saved->subid = subid;
	saved->end = nvmkv_row_spool_size(&queue->rows);
	saved->checked = queue->checked;
	saved->pending = copy_pending(&queue->pending);
	saved->outer = queue->saved;
	queue->saved = saved;
}

static void
pop_saved(Queue *queue)
{
	Saved *saved = queue->saved;

	queue->saved = saved->outer;
	if (saved->pending.cids != NULL)
		pfree(saved->pending.cids);
	pfree(saved);
}

/* ---------------------------------------------------------------- the server's events */

void
nvmkv_deferred_begin(ResultRelInfo *rri)
{
	TriggerDesc *triggers = rri->ri_TrigDesc; /* a copy of the executor's */

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		triggers->triggers[i].tgdeferrable = false;
		triggers->triggers[i].tginitdeferred = false;
	}
}

/* It is found by its trigger's OID again when it is fired. */
static void
queue_event(const TriggerData *data, bool deferrable, bool initially_deferred)
{
	Trigger trigger = *data->tg_trigger;
	TriggerDesc triggers = {.triggers = &trigger, .numtriggers = 1, .trig_truncate_after_statement = true};
	ResultRelInfo rri = {.type = T_ResultRelInfo, .ri_RelationDesc = data->tg_relation, .ri_TrigDesc = &triggers};

	trigger.tgtype = TRIGGER_TYPE_STATEMENT | TRIGGER_TYPE_AFTER | TRIGGER_TYPE_TRUNCATE;
	trigger.tgdeferrable = deferrable;
	trigger.tginitdeferred = initially_deferred;
	ExecASTruncateTriggers(NULL, &rri);
}

bool
nvmkv_deferred_is_due(const TriggerData *trigger)
{
	return TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event);
}

/* ---------------------------------------------------------------- rows */

static void
append(Queue *queue, const RowHead *head, const void *data)
{
	nvmkv_row_spool_append(&queue->rows, head, sizeof(*head));
	nvmkv_row_spool_append(&queue->rows, data, head->size);
}

static void
keep(const TriggerData *trigger, bool deferrable, bool initially_deferred, const void *data, Size size)
{
	Queue *queue = find_queue(trigger->tg_trigger->tgoid);
	CommandId cid = GetCurrentCommandId(false);
	RowHead head = {.size = (uint32) size, .cid = cid, .event = trigger->tg_event & TRIGGER_EVENT_OPMASK};

	save(queue);
	append(queue, &head, data);
	if (queue->event_subid == GetCurrentSubTransactionId() && queue->event_cid == cid)
		return;
	queue_event(trigger, deferrable, initially_deferred);
	push_pending(&queue->pending, cid);
	queue->event_subid = GetCurrentSubTransactionId();
	queue->event_cid = cid;
}

void
nvmkv_deferred_keep(const TriggerData *trigger, bool initially_deferred, const void *data, Size size)
{
	keep(trigger, true, initially_deferred, data, size);
}

void
nvmkv_deferred_keep_for_statement(const TriggerData *trigger, const void *data, Size size)
{
	keep(trigger, false, false, data, size);
}

/* The next one to be checked, in the current memory context; NULL: there is none before "end". */
static void *
take(Queue *queue, uint64 end, RowHead *head)
{
	void *data;

	if (queue->checked >= end)
		return NULL;
	nvmkv_row_spool_read(&queue->rows, queue->checked, head, sizeof(*head));
	data = palloc(head->size);
	nvmkv_row_spool_read(&queue->rows, queue->checked + sizeof(*head), data, head->size);
	queue->checked += sizeof(*head) + head->size;
	return data;
}

void
nvmkv_deferred_check(TriggerData *trigger, NvmkvDeferredCheck check, void *arg)
{
	Queue *queue = find_queue(trigger->tg_trigger->tgoid);
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "nvmkv deferred check",
													  ALLOCSET_SMALL_SIZES);
	MemoryContext old_context = MemoryContextSwitchTo(row_context);
	uint64 end = nvmkv_row_spool_size(&queue->rows);
	CommandId cid = FirstCommandId; /* of the event */
	RowHead head;
	void *data;

	save(queue);
	queue->event_subid = InvalidSubTransactionId;
	if (queue->pending.count > 0)
		cid = queue->pending.cids[--queue->pending.count];
	while ((data = take(queue, end, &head)) != NULL)
	{
		TriggerData event = {
			.type = T_TriggerData,
			.tg_event = head.event | TRIGGER_EVENT_ROW,
			.tg_relation = trigger->tg_relation,
			.tg_trigger = trigger->tg_trigger,
		};

		CHECK_FOR_INTERRUPTS();
		if (!check(&event, data, head.size, head.cid < cid, arg))
			append(queue, &head, data);
		MemoryContextReset(row_context);
	}
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(row_context);

	/* Nobody can ask for them again. */
	if (queue->saved == NULL && queue->checked == nvmkv_row_spool_size(&queue->rows))
	{
		nvmkv_row_spool_close(&queue->rows);
		queue->checked = 0;
	}
}

/* ---------------------------------------------------------------- ends of transactions */

void
nvmkv_deferred_subcommit(SubTransactionId subid, SubTransactionId parent)
{
	HASH_SEQ_STATUS scan;
	Queue *queue;

	if (queues == NULL)
		return;
	hash_seq_init(&scan, queues);
	while ((queue = hash_seq_search(&scan)) != NULL)
	{
		if (queue->saved == NULL || queue->saved->subid != subid)
			continue;
		if (parent == TopSubTransactionId || (queue->saved->outer != NULL && queue->saved->outer->subid == parent))
			pop_saved(queue);
		else
			queue->saved->subid = parent;
	}
}

void
nvmkv_deferred_abort(SubTransactionId subid)
{
	HASH_SEQ_STATUS scan;
	Queue *queue;

	if (queues == NULL)
		return;
	hash_seq_init(&scan, queues);
	while ((queue = hash_seq_search(&scan)) != NULL)
	{
		if (queue->saved == NULL || queue->saved->subid != subid)
			continue;
		nvmkv_row_spool_cut(&queue->rows, queue->saved->end);
		queue->checked = queue->saved->checked;
		if (queue->pending.cids != NULL)
			pfree(queue->pending.cids);
		queue->pending = queue->saved->pending;
		queue->saved->pending.cids = NULL;
		queue->event_subid = InvalidSubTransactionId;
		pop_saved(queue);
	}
}

/* Their memory goes with the transaction, after a failure their files, too. */
void
nvmkv_deferred_forget(bool commit)
{
	HASH_SEQ_STATUS scan;
	Queue *queue;

	if (queues == NULL)
		return;
	if (commit)
	{
		hash_seq_init(&scan, queues);
		while ((queue = hash_seq_search(&scan)) != NULL)
			nvmkv_row_spool_close(&queue->rows);
	}
	queues = NULL;
}
