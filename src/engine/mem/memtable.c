/*
 * memtable.c
 *	  Lock-free skiplist in a shared-memory arena (contract in memtable.h).
 *
 * Memory of one memtable:
 *
 *	  header | filter | nodes -> ...   free   ... <- payloads
 *
 * Nodes and payloads grow towards each other.  A search touches nodes only, so
 * they are kept dense: the nodes of 400 000 entries of 16-byte keys take
 * 17 MB whatever the payloads are, and the upper levels stay in the processor's
 * caches.  This is worth more than any trick in the search itself.
 *
 * A node is addressed by the 8 bytes that hold its bottom link, because these
 * and the key's first 16 bytes are what a search reads:
 *
 *	  link[height-1] .. link[2] link[1] | link[0] key_bytes height hint | key, zero-padded | NodeTail
 *	                                    ^ node
 *
 * Keys order as bytes; the first 16 (storage id and what follows it) are
 * compared as two big-endian words, and only a tie looks further.  Padding
 * shorter keys with zeros keeps the order: among equal padded words the
 * shorter key is a prefix of the longer one.
 *
 * Concurrency.  A node is written completely before the compare-and-swap
 * (release) that links it at the bottom level; from there on it is in the
 * memtable.  Upper links are short cuts: a process that dies between two of
 * them leaves a valid list.  Links never change except by inserting, so a
 * search may use any path it remembers ("finger").
 *
 * Room.  "used" is a budget: reservations add to it if they fit, and
 * memtable_finish gives back what was not needed (towers are reserved at their
 * tallest).  Actual places come from "places", one fetch-and-add a node, which
 * cannot overlap because the sum of all places stays within the budget.
 */
#include "engine/mem/memtable.h"

#include "engine/base/assert.h"
#include "engine/base/filter.h"
#include "engine/base/options.h"
#include "engine/port/port.h"

#define UNIT 8			  /* offsets of nodes count units */
#define PREFIX_BYTES 16	  /* of a key, compared as two words */
#define FILTER_SHARE 64	  /* the filter takes one part in so many */
#define RANGE_STEPS 256	  /* nodes of the range on the level that memtable_range_estimate goes by */
#define LINE_BYTES 64	  /* of the processor's caches */
#define FINGER_CLIMB 3	  /* levels that a search from the last entry's place climbs, at most */
#define SORTED_CLIMB 8	  /* the same, of entries that come in order */
#define CACHED_LEVELS 9	  /* the uppermost levels, whose nodes stay in the processor's caches */
#define PLACE_PAYLOAD 32  /* "places": units of nodes in the low half, bytes of payload in the high half */

typedef struct Node
{
	uint32_t link; /* of the bottom level; the others precede the node */
	uint16_t key_bytes;
	uint8_t height;
	uint8_t hint; /* the host's, see memtable_iter_hint */
	uint8_t key[];
} Node;

/* Follows the padded key. */
typedef struct NodeTail
{
	uint64_t tag;
	uint32_t payload; /* byte offset from the memtable's start */
	uint32_t payload_bytes;
} NodeTail;

_Static_assert(sizeof(Node) == UNIT, "a node's fixed part is one unit");
_Static_assert(NVMKV_KEY_BYTES_MAX <= UINT16_MAX, "key_bytes is 16 bits wide");

struct MemtableShm
{
	/* Constant after memtable_init. */
	uint64_t bytes;
	uint64_t filter_bytes;
	uint64_t nodes_start; /* byte offset, multiple of UNIT */
	uint64_t capacity;	  /* bytes between nodes_start and the end */

	uint32_t height; /* levels in use; changes log2(entries) times */

	_Alignas(64) uint64_t used; /* bytes reserved or placed */
	uint64_t places;
	/* Statistics, written once a batch. */
	uint64_t entries;
	uint64_t first_sequence;
	uint64_t last_sequence;
	uint64_t first_fxid; /* of no tagged entry larger; set before the entry is linked */

	/* The head: links as those of a node, and nothing else.  Its place in units is HEAD. */
	_Alignas(64) uint32_t head_tower[MEMTABLE_HEIGHT_MAX]; /* link l is [MEMTABLE_HEIGHT_MAX - l] */
	uint32_t head_link;

	_Alignas(64) uint8_t filter[];
};

#define HEAD_START offsetof(MemtableShm, head_tower)
#define HEAD ((uint32_t) (offsetof(MemtableShm, head_link) / UNIT))

_Static_assert(offsetof(MemtableShm, head_link) % UNIT == 0, "the head is addressed like a node");
_Static_assert(offsetof(MemtableShm, head_link) == offsetof(MemtableShm, head_tower) + 4 * MEMTABLE_HEIGHT_MAX,
			   "the head's tower precedes it");

/* A search target with its first bytes as words. */
typedef struct Target
{
	uint64_t word[2];
	const uint8_t *key;
	size_t key_bytes;
	uint64_t tag;
} Target;

static inline Node *
node_at(MemtableShm *mt, uint32_t node)
{
	return (Node *) (void *) ((uint8_t *) mt + (uint64_t) node * UNIT);
}

static inline const Node *
node_at_const(const MemtableShm *mt, uint32_t node)
{
	return (const Node *) (const void *) ((const uint8_t *) mt + (uint64_t) node * UNIT);
}

static inline uint32_t *
link_at(MemtableShm *mt, uint32_t node, unsigned level)
{
	return (uint32_t *) (void *) ((uint8_t *) mt + (uint64_t) node * UNIT) - level;
}

static inline uint32_t
next_of(const MemtableShm *mt, uint32_t node, unsigned level)
{
	return port_load_acquire((const uint32_t *) (const void *) ((const uint8_t *) mt + (uint64_t) node * UNIT) - level);
}

static inline size_t
padded_key_bytes(size_t key_bytes)
{
	return key_bytes <= PREFIX_BYTES ? PREFIX_BYTES : (key_bytes + UNIT - 1) / UNIT * UNIT;
}

static inline const NodeTail *
node_tail(const Node *node)
{
	return (const NodeTail *) (const void *) (node->key + padded_key_bytes(node->key_bytes));
}

static inline void
target_set(Target *t, NvmkvSlice key, uint64_t tag)
{
	if (key.size >= PREFIX_BYTES)
	{
		t->word[0] = get_be64(key.data);
		t->word[1] = get_be64(key.data + 8);
	}
	else
	{
		uint8_t padded[PREFIX_BYTES] = {0};

		if (key.size > 0)
			memcpy(padded, key.data, key.size);
		t->word[0] = get_be64(padded);
		t->word[1] = get_be64(padded + 8);
	}
	t->key = key.data;
	t->key_bytes = key.size;
	t->tag = tag;
}

/* Order of a node and a target whose first words are equal. */
static int
compare_rest(const Node *node, const Target *t)
{
	size_t n = node->key_bytes < t->key_bytes ? node->key_bytes : t->key_bytes;
	uint64_t tag;

	if (n > PREFIX_BYTES)
	{
		int c = memcmp(node->key + PREFIX_BYTES, t->key + PREFIX_BYTES, n - PREFIX_BYTES);

		if (c != 0)
			return c;
	}
	if (node->key_bytes != t->key_bytes)
		return node->key_bytes < t->key_bytes ? -1 : 1;
	tag = node_tail(node)->tag;
	return tag > t->tag ? -1 : (tag < t->tag ? 1 : 0);
}

static inline bool
node_is_before(const Node *node, const Target *t)
{
	uint64_t word = get_be64(node->key);

	if (word != t->word[0])
		return word < t->word[0];
	word = get_be64(node->key + 8);
	if (word != t->word[1])
		return word < t->word[1];
	return compare_rest(node, t) < 0;
}

static bool
target_is_before(const Target *a, const Target *b)
{
	if (a->word[0] != b->word[0])
		return a->word[0] < b->word[0];
	if (a->word[1] != b->word[1])
		return a->word[1] < b->word[1];
	return ikey_compare(nvmkv_slice(a->key, a->key_bytes), a->tag, nvmkv_slice(b->key, b->key_bytes), b->tag) < 0;
}

static inline bool
node_is_at(const Node *node, const Target *t)
{
	return get_be64(node->key) == t->word[0] && get_be64(node->key + 8) == t->word[1] && compare_rest(node, t) == 0;
}

/*
 * From node "at", which is before the target and has a link at "level", down to the bottom.  Returns the first node
 * not before the target (0: none); finger[l] becomes the last node before it for all levels up to "level".
 */
static inline __attribute__((always_inline)) uint32_t
descend(const MemtableShm *mt, const Target *t, uint32_t at, unsigned level, uint32_t *finger)
{
	uint32_t bound = 0; /* known not to be before the target */

	for (;;)
	{
		uint32_t next = next_of(mt, at, level);

		/* Whichever way the comparison goes, one of the two is needed next: fetch the one below meanwhile. */
		if (level > 0)
			__builtin_prefetch(node_at_const(mt, next_of(mt, at, level - 1)));
		if (next != 0 && next != bound && node_is_before(node_at_const(mt, next), t))
		{
			at = next;
			continue;
		}
		finger[level] = at;
		if (level == 0)
			return next;
		bound = next;
		level--;
	}
}

static uint64_t
filter_share(uint64_t bytes)
{
	return bytes / FILTER_SHARE / FILTER_LINE_BYTES * FILTER_LINE_BYTES;
}

void
memtable_init(MemtableShm *mt, uint64_t bytes)
{
	NVMKV_ASSERT(bytes >= MEMTABLE_BYTES_MIN && bytes <= MEMTABLE_BYTES_MAX);
	NVMKV_ASSERT((uintptr_t) mt % 64 == 0);

	mt->bytes = bytes;
	mt->filter_bytes = filter_share(bytes);
	mt->nodes_start = sizeof(*mt) + mt->filter_bytes;
	mt->height = 1;
	mt->places = 0;
	/* Statistics, and what memtable_has_room goes by: some process may be looking at the memtable that was here. */
	port_store_relaxed(&mt->capacity, memtable_capacity(bytes));
	port_store_relaxed(&mt->used, 0);
	port_store_relaxed(&mt->entries, 0);
	port_store_relaxed(&mt->first_sequence, UINT64_MAX);
	port_store_relaxed(&mt->last_sequence, 0);
	port_store_relaxed(&mt->first_fxid, UINT64_MAX);
	memset((uint8_t *) mt + HEAD_START, 0, sizeof(*mt) - HEAD_START + filter_share(bytes));
}

size_t
memtable_capacity(uint64_t bytes)
{
	return (size_t) ((bytes - sizeof(MemtableShm) - filter_share(bytes)) / UNIT * UNIT);
}

/* A tower's links above the bottom one, rounded up to units. */
static inline size_t
tower_bytes(unsigned height)
{
	return height / 2 * UNIT;
}

static inline size_t
node_bytes(size_t key_bytes, unsigned height)
{
	return tower_bytes(height) + sizeof(Node) + padded_key_bytes(key_bytes) + sizeof(NodeTail);
}

_Static_assert(MEMTABLE_HEIGHT_MAX / 2 * UNIT + sizeof(Node) + PREFIX_BYTES + sizeof(NodeTail) <= BATCH_ENTRY_OVERHEAD,
			   "a batch's own estimate is an upper bound");

size_t
memtable_entry_bytes_max(size_t key_bytes, size_t payload_bytes)
{
	return node_bytes(key_bytes, MEMTABLE_HEIGHT_MAX) + payload_bytes;
}

bool
memtable_has_room(const MemtableShm *mt, size_t bytes)
{
	uint64_t used = port_load_relaxed(&mt->used);
	uint64_t capacity = port_load_relaxed(&mt->capacity);

	return bytes <= capacity && used <= capacity - bytes;
}

/* A counter's compare-and-swap; what it guards is published elsewhere. */
static inline bool
replace_u64(uint64_t *p, uint64_t *seen, uint64_t v)
{
	return __atomic_compare_exchange_n(p, seen, v, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

bool
memtable_reserve(MemtableShm *mt, size_t bytes, MemtableRoom *room_out)
{
	uint64_t used = port_load_relaxed(&mt->used);

	do
	{
		if (bytes > mt->capacity || used > mt->capacity - bytes)
			return false;
	} while (!replace_u64(&mt->used, &used, used + bytes));

	room_out->left = bytes;
	/*
	 * Heights differ from batch to batch because "used" does; nothing global, and the same every time for the same
	 * history.
	 */
	room_out->random = (used + 1) * UINT64_C(0x9E3779B97F4A7C15);
	room_out->entries = 0;
	room_out->first_sequence = UINT64_MAX;
	room_out->last_sequence = 0;
	room_out->first_fxid = UINT64_MAX;
	room_out->last_fxid = 0;
	room_out->finger_levels = 0;
	return true;
}

void
memtable_finish(MemtableShm *mt, MemtableRoom *room)
{
	uint64_t seen;

	if (room->left > 0)
		(void) __atomic_fetch_sub(&mt->used, room->left, __ATOMIC_RELAXED);
	room->left = 0;
	if (room->entries == 0)
		return;
	port_count(&mt->entries, room->entries);
	room->entries = 0;
	seen = port_load_relaxed(&mt->first_sequence);
	while (room->first_sequence < seen && !replace_u64(&mt->first_sequence, &seen, room->first_sequence))
		;
	seen = port_load_relaxed(&mt->last_sequence);
	while (room->last_sequence > seen && !replace_u64(&mt->last_sequence, &seen, room->last_sequence))
		;
}

/*
 * xorshift64*; each level keeps every second node of the level below: measured faster than one in four, for 3 bytes
 * more a node.
 */
static unsigned
random_height(uint64_t *state)
{
	uint64_t x = *state;
	unsigned height;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	x *= UINT64_C(0x2545F4914F6CDD1D);
	height = 1 + (unsigned) __builtin_clzll(x | 1);
	return height < MEMTABLE_HEIGHT_MAX ? height : MEMTABLE_HEIGHT_MAX;
}

/* Takes the places of one node and its payload and fills them; it is in no list yet. */
static uint32_t
make_node(MemtableShm *mt, MemtableRoom *room, const MemtableEntry *entry, unsigned height)
{
	NvmkvSlice key = entry->key;
	NvmkvSlice payload = entry->payload;
	size_t bytes = node_bytes(key.size, height);
	uint64_t places;
	uint64_t payload_at;
	uint32_t at;
	Node *node;
	NodeTail *tail;
	size_t padded = padded_key_bytes(key.size);

	NVMKV_ASSERT(bytes + payload.size <= room->left);
	room->left -= bytes + payload.size;
	places = __atomic_fetch_add(&mt->places, (uint64_t) payload.size << PLACE_PAYLOAD | bytes / UNIT, __ATOMIC_RELAXED);
	at = (uint32_t) ((mt->nodes_start + tower_bytes(height)) / UNIT + (places & UINT32_MAX));
	payload_at = mt->nodes_start + mt->capacity - (places >> PLACE_PAYLOAD) - payload.size;
	NVMKV_ASSERT((uint64_t) at * UNIT + bytes - tower_bytes(height) <= payload_at);

	if (payload.size > 0)
		memcpy((uint8_t *) mt + payload_at, payload.data, payload.size);
	node = node_at(mt, at);
	node->key_bytes = (uint16_t) key.size;
	node->height = (uint8_t) height;
	node->hint = 0;
	if (key.size < padded)
		memset(node->key + padded - PREFIX_BYTES, 0, PREFIX_BYTES); /* no key takes fewer; written over below */
	if (key.size > 0)
		memcpy(node->key, key.data, key.size);
	tail = (NodeTail *) (void *) (node->key + padded);
	tail->tag = entry->tag;
	tail->payload = (uint32_t) payload_at;
	tail->payload_bytes = (uint32_t) payload.size;
	return at;
}

/*
 * Links "node" at one level, after "prev" or later.  Returns the predecessor.  At the bottom an equal entry that
 * came first wins: 0 is returned and the node stays out.
 */
static uint32_t
link_node(MemtableShm *mt, const Target *t, uint32_t prev, uint32_t node, unsigned level)
{
	uint32_t next = next_of(mt, prev, level);

	for (;;)
	{
		while (next != 0 && node_is_before(node_at_const(mt, next), t))
		{
			prev = next;
			next = next_of(mt, prev, level);
		}
		if (level == 0 && next != 0 && node_is_at(node_at_const(mt, next), t))
			return 0;
		port_store_relaxed(link_at(mt, node, level), next);
		if (__atomic_compare_exchange_n(link_at(mt, prev, level), &next, node, false,
										__ATOMIC_RELEASE, __ATOMIC_ACQUIRE))
			return prev;
	}
}

/* Where an entry belongs, and the search for it. */
typedef struct Place
{
	Target target;
	uint64_t hash;
	unsigned levels;					  /* finger[l] is known for l < levels */
	uint32_t finger[MEMTABLE_HEIGHT_MAX]; /* the last node before the target on level l */

	unsigned level;
	uint32_t at;	/* before the target, and has a link on "level" */
	uint32_t next;	/* where that link leads: being fetched; at the end: the first node not before the target */
	uint32_t bound; /* known not to be before the target */
} Place;

/*
 * Begins the search: at the finger of the entry inserted last, if the target comes soon after that, else at the head.
 * The nodes after the finger were compared with the last entry, so looking at them costs little even in vain.
 */
static void
place_begin(const MemtableShm *mt, const MemtableRoom *room, Place *place, unsigned most_climb)
{
	unsigned climb = room->finger_levels < most_climb ? room->finger_levels : most_climb;

	place->bound = 0;
	if (climb > 0 && node_is_before(node_at_const(mt, room->finger[0]), &place->target))
		for (place->level = 0; place->level < climb; place->level++)
		{
			uint32_t next = next_of(mt, room->finger[place->level], place->level);

			if (next != 0 && node_is_before(node_at_const(mt, next), &place->target))
				continue;
			place->levels = room->finger_levels;
			memcpy(place->finger, room->finger, place->levels * sizeof(place->finger[0]));
			place->at = room->finger[place->level];
			return;
		}
	place->levels = port_load_relaxed(&mt->height);
	place->level = place->levels - 1;
	place->at = HEAD;
}

/*
 * The same between two entries whose places are known: on levels where both come after the same node, so does what
 * lies between.
 */
static void
place_begin_between(const MemtableShm *mt, const Place *left, const Place *right, Place *place)
{
	unsigned levels = left->levels < right->levels ? left->levels : right->levels;
	unsigned l = 0;

	place->bound = 0;
	while (l < levels && left->finger[l] != right->finger[l])
		l++;
	if (l == levels)
	{
		place->levels = port_load_relaxed(&mt->height);
		place->level = place->levels - 1;
		place->at = HEAD;
		return;
	}
	place->levels = levels;
	memcpy(place->finger, left->finger, levels * sizeof(place->finger[0]));
	place->level = l;
	place->at = left->finger[l];
}

/* Goes down to a level whose nodes memory may have to be asked for. */
static inline void
place_descend(const MemtableShm *mt, Place *place)
{
	unsigned last = place->levels > CACHED_LEVELS ? place->levels - CACHED_LEVELS : 0;
	uint32_t at = place->at;
	uint32_t bound = place->bound;
	unsigned level = place->level;

	while (level > last)
	{
		uint32_t next = next_of(mt, at, level);

		if (next != 0 && next != bound && node_is_before(node_at_const(mt, next), &place->target))
			at = next;
		else
		{
			place->finger[level--] = at;
			bound = next;
		}
	}
	place->at = at;
	place->bound = bound;
	place->level = level;
}

/* Follows the link to where the next step looks: at the node's key, and at its link on this level. */
static inline void
place_follow(const MemtableShm *mt, Place *place)
{
	const Node *next;

	place->next = next_of(mt, place->at, place->level);
	next = node_at_const(mt, place->next);
	__builtin_prefetch((const uint32_t *) (const void *) next - place->level);
	__builtin_prefetch(next->key + PREFIX_BYTES - 1);
}

/* One step of descend; false: the place is found. */
static inline bool
place_step(const MemtableShm *mt, Place *place)
{
	if (place->next != 0 && place->next != place->bound &&
		node_is_before(node_at_const(mt, place->next), &place->target))
		place->at = place->next;
	else
	{
		place->finger[place->level] = place->at;
		if (place->level == 0)
			return false;
		place->bound = place->next;
		place->level--;
	}
	place_follow(mt, place);
	return true;
}

/*
 * The searches of a group take their steps by turns: a search waits for memory at nearly every step, and memory answers
 * many at once ("asynchronous memory access chaining", Kocberber, Falsafi, Grot 2015).  Spends the list.
 */
static void
search_together(const MemtableShm *mt, Place **running, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
	{
		place_descend(mt, running[i]);
		place_follow(mt, running[i]);
	}
	while (n > 0)
		for (i = 0; i < n;)
			if (place_step(mt, running[i]))
				i++;
			else
				running[i] = running[--n];
}

static void
search_each(const MemtableShm *mt, const MemtableRoom *room, Place *place, unsigned n)
{
	Place *running[MEMTABLE_GROUP];
	unsigned i;

	for (i = 0; i < n; i++)
	{
		place_begin(mt, room, &place[i], FINGER_CLIMB);
		running[i] = &place[i];
	}
	search_together(mt, running, n);
}

/* In ascending order: the ends first, then what is in the middle between those that are found. */
static void
search_sorted(const MemtableShm *mt, const MemtableRoom *room, Place *place, unsigned n)
{
	Place *running[MEMTABLE_GROUP];
	unsigned step;

	place_begin(mt, room, &place[0], SORTED_CLIMB);
	place_begin(mt, room, &place[n - 1], SORTED_CLIMB);
	running[0] = &place[0];
	running[1] = &place[n - 1];
	search_together(mt, running, 2);
	for (step = MEMTABLE_GROUP / 2; step > 0; step /= 2)
	{
		unsigned count = 0;
		unsigned i;

		for (i = step; i < n - 1; i += 2 * step)
		{
			const Place *right = &place[i + step < n - 1 ? i + step : n - 1];

			place_begin_between(mt, &place[i - step], right, &place[i]);
			running[count++] = &place[i];
		}
		search_together(mt, running, count);
	}
}

static bool
is_sorted(const Place *place, unsigned n)
{
	unsigned i;

	for (i = 1; i < n; i++)
		if (!target_is_before(&place[i - 1].target, &place[i].target))
			return false;
	return true;
}

/* A tagged entry is about to be linked. */
static void
note_fxid(MemtableShm *mt, MemtableRoom *room, uint64_t fxid)
{
	uint64_t seen;

	if (fxid > room->last_fxid)
		room->last_fxid = fxid;
	if (fxid >= room->first_fxid)
		return;
	room->first_fxid = fxid;
	seen = port_load_relaxed(&mt->first_fxid);
	while (fxid < seen && !replace_u64(&mt->first_fxid, &seen, fxid))
		;
}

/*
 * Sets the room's finger to an entry's place.  Where the entry before it in the group belongs after the same node, and
 * this one comes after that entry, what that was linked after, or it itself, is nearer: groups in key order take no
 * steps again.
 */
static void
finger_set(MemtableRoom *room, const Place *place, const Place *previous)
{
	unsigned l;

	if (previous == NULL || !target_is_before(&previous->target, &place->target))
		memcpy(room->finger, place->finger, place->levels * sizeof(place->finger[0]));
	else
		for (l = 0; l < place->levels; l++)
			if (l >= previous->levels || place->finger[l] != previous->finger[l])
				room->finger[l] = place->finger[l];
	room->finger_levels = place->levels;
}

/* Links one entry whose place is known, or which is there already. */
static void
insert_at(MemtableShm *mt, MemtableRoom *room, const MemtableEntry *entry, const Place *place)
{
	uint64_t sequence = ikey_sequence(entry->tag);
	unsigned height = random_height(&room->random);
	uint32_t shown;
	uint32_t node;
	unsigned level;

	if (place->next != 0 && node_is_at(node_at_const(mt, place->next), &place->target))
		return;

	/* The filter first: whoever sees the entry must not be told by the filter that it is not there. */
	filter_add_atomic(mt->filter, mt->filter_bytes, place->hash);

	node = make_node(mt, room, entry, height);
	for (; room->finger_levels < height; room->finger_levels++)
		room->finger[room->finger_levels] = HEAD;
	for (level = 0; level < height; level++)
	{
		if (link_node(mt, &place->target, room->finger[level], node, level) == 0)
			return;
		room->finger[level] = node;
	}

	/* After linking: a search that starts too low is only slower. */
	shown = port_load_relaxed(&mt->height);
	while (shown < height &&
		   !__atomic_compare_exchange_n(&mt->height, &shown, height, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;

	room->entries++;
	if (sequence < room->first_sequence)
		room->first_sequence = sequence;
	if (sequence > room->last_sequence)
		room->last_sequence = sequence;
}

void
memtable_insert(MemtableShm *mt, MemtableRoom *room, const MemtableEntry *entries, unsigned n)
{
	Place place[MEMTABLE_GROUP];
	unsigned i;

	NVMKV_ASSERT(n > 0 && n <= MEMTABLE_GROUP);
	for (i = 0; i < n; i++)
	{
		const MemtableEntry *entry = &entries[i];

		NVMKV_ASSERT(entry->key.size <= NVMKV_KEY_BYTES_MAX);
		if (ikey_is_tagged(entry->tag) && entry->payload.size >= NVMKV_TXN_TAG_BYTES)
			note_fxid(mt, room, get_u64(entry->payload.data));
		place[i].hash = filter_hash(entry->key);
		filter_prefetch(mt->filter, mt->filter_bytes, place[i].hash);
		target_set(&place[i].target, entry->key, entry->tag);
	}
	if (n == 1)
	{
		place_begin(mt, room, place, FINGER_CLIMB);
		place->next = descend(mt, &place->target, place->at, place->level, place->finger);
	}
	else if (is_sorted(place, n))
		search_sorted(mt, room, place, n);
	else
		search_each(mt, room, place, n);
	for (i = 0; i < n; i++)
	{
		finger_set(room, &place[i], i > 0 ? &place[i - 1] : NULL);
		insert_at(mt, room, &entries[i], &place[i]);
	}
}

void
memtable_group_add(MemtableGroup *group, MemtableShm *mt, MemtableRoom *room, MemtableEntry entry)
{
	if (group->n > 0 && group->room != room)
		memtable_group_finish(group);
	group->mt = mt;
	group->room = room;
	group->entry[group->n++] = entry;
	if (group->n == MEMTABLE_GROUP)
		memtable_group_finish(group);
}

void
memtable_group_finish(MemtableGroup *group)
{
	if (group->n > 0)
		memtable_insert(group->mt, group->room, group->entry, group->n);
	group->n = 0;
}

bool
memtable_is_empty(const MemtableShm *mt)
{
	return next_of(mt, HEAD, 0) == 0;
}

uint64_t
memtable_bytes_used(const MemtableShm *mt)
{
	return port_load_relaxed(&mt->used);
}

uint64_t
memtable_entries(const MemtableShm *mt)
{
	return port_load_relaxed(&mt->entries);
}

uint64_t
memtable_first_sequence(const MemtableShm *mt)
{
	return port_load_relaxed(&mt->first_sequence);
}

uint64_t
memtable_last_sequence(const MemtableShm *mt)
{
	return port_load_relaxed(&mt->last_sequence);
}

uint64_t
memtable_first_fxid(const MemtableShm *mt)
{
	return port_load_relaxed(&mt->first_fxid);
}

/*
 * A link of level l skips 2^l nodes in the mean.  On a level where the range has RANGE_STEPS nodes the error of
 * nodes * 2^level is some percent of the range, however full the memtable is; a range that has fewer on the bottom
 * level is counted.
 */
uint64_t
memtable_range_estimate(const MemtableShm *mt, NvmkvSlice lower, NvmkvSlice upper)
{
	unsigned level = port_load_relaxed(&mt->height);
	uint32_t at = HEAD;
	Target from;
	Target to;

	target_set(&from, lower, NVMKV_TAG_MAX);
	target_set(&to, upper, NVMKV_TAG_MAX);
	for (;;)
	{
		uint64_t nodes = 0;
		uint32_t next;

		level--;
		while ((next = next_of(mt, at, level)) != 0 && node_is_before(node_at_const(mt, next), &from))
			at = next;
		while (next != 0 && (upper.size == 0 || node_is_before(node_at_const(mt, next), &to)))
		{
			nodes++;
			next = next_of(mt, next, level);
		}
		if (nodes >= RANGE_STEPS || level == 0)
			return nodes << level;
	}
}

bool
memtable_may_contain(const MemtableShm *mt, uint64_t hash)
{
	return filter_may_contain(mt->filter, mt->filter_bytes, hash);
}

/* ---- iterator ---- */

static inline const uint8_t *
payload_of(const MemtableShm *mt, const NodeTail *tail)
{
	return (const uint8_t *) mt + tail->payload;
}

/* Shows a node (0 or HEAD: no entry). */
static inline void
iter_show(MemtableIter *it, uint32_t at)
{
	const Node *node;
	const NodeTail *tail;

	it->base.status = NVMKV_OK;
	it->base.valid = at != 0 && at != HEAD;
	if (!it->base.valid)
		return;
	it->node = at;
	node = node_at_const(it->mt, at);
	tail = node_tail(node);
	it->base.key = nvmkv_slice(node->key, node->key_bytes);
	it->base.tag = tail->tag;
	it->base.payload = nvmkv_slice(payload_of(it->mt, tail), tail->payload_bytes);
	__builtin_prefetch(it->base.payload.data);
}

static inline MemtableIter *
iter_of(NvmkvIter *base)
{
	return (MemtableIter *) (void *) base;
}

/* The finger is filled by descend for the levels in use; above them the head is before everything. */
static void
iter_search(MemtableIter *it, const Target *t, uint32_t *next_out)
{
	unsigned levels = port_load_relaxed(&it->mt->height);
	unsigned l;

	*next_out = descend(it->mt, t, HEAD, levels - 1, it->finger);
	for (l = levels; l < MEMTABLE_HEIGHT_MAX; l++)
		it->finger[l] = HEAD;
	it->finger_valid = true;
}

static void
iter_seek(NvmkvIter *base, NvmkvSlice key, uint64_t tag)
{
	MemtableIter *it = iter_of(base);
	uint32_t next;
	Target t;

	target_set(&t, key, tag);
	iter_search(it, &t, &next);
	iter_show(it, next);
}

void
memtable_iter_seek_near(MemtableIter *it, NvmkvSlice key, uint64_t tag)
{
	uint32_t next;
	Target t;

	target_set(&t, key, tag);
	if (!it->finger_valid || (it->finger[0] != HEAD && !node_is_before(node_at_const(it->mt, it->finger[0]), &t)))
		iter_search(it, &t, &next);
	else
	{
		uint32_t before = HEAD; /* the last node that is known to be */
		unsigned level;

		for (level = 0; level < MEMTABLE_HEIGHT_MAX; level++)
		{
			next = next_of(it->mt, it->finger[level], level);
			if (next == 0 || !node_is_before(node_at_const(it->mt, next), &t))
				break;
			before = next;
		}
		if (level > 0)
			next = descend(it->mt, &t, before, level - 1, it->finger);
	}
	iter_show(it, next);
}

static void
iter_seek_for_prev(NvmkvIter *base, NvmkvSlice key, uint64_t tag)
{
	MemtableIter *it = iter_of(base);
	uint32_t next;
	Target t;

	target_set(&t, key, tag);
	iter_search(it, &t, &next);
	if (next == 0 || !node_is_at(node_at_const(it->mt, next), &t))
		next = it->finger[0];
	iter_show(it, next);
}

static void
iter_seek_first(NvmkvIter *base)
{
	MemtableIter *it = iter_of(base);

	it->finger_valid = false;
	iter_show(it, next_of(it->mt, HEAD, 0));
}

static void
iter_seek_last(NvmkvIter *base)
{
	MemtableIter *it = iter_of(base);
	unsigned level = MEMTABLE_HEIGHT_MAX;
	uint32_t at = HEAD;

	while (level-- > 0)
	{
		uint32_t next;

		while ((next = next_of(it->mt, at, level)) != 0)
			at = next;
		it->finger[level] = at;
	}
	it->finger_valid = true;
	iter_show(it, at);
}

/*
 * What the next two steps will touch: the payload of the first of these nodes, which the step before asked for, and
 * the second one, which may begin shortly before the end of a cache line.
 */
static inline void
prefetch_ahead(const MemtableShm *mt, uint32_t first)
{
	const uint8_t *payload;
	const Node *second;

	if (first == 0)
		return;
	payload = payload_of(mt, node_tail(node_at_const(mt, first)));
	__builtin_prefetch(payload);
	__builtin_prefetch(payload + LINE_BYTES); /* may be the next node's: not lost either */
	second = node_at_const(mt, next_of(mt, first, 0));
	__builtin_prefetch(second);
	__builtin_prefetch(second->key + PREFIX_BYTES + sizeof(NodeTail) - 1);
}

static void
iter_next(NvmkvIter *base)
{
	MemtableIter *it = iter_of(base);
	uint32_t next;

	NVMKV_ASSERT(base->valid);
	next = next_of(it->mt, it->node, 0);
	it->finger_valid = false;
	iter_show(it, next);
	if (next != 0)
		prefetch_ahead(it->mt, next_of(it->mt, next, 0));
}

/*
 * The last node before the current one.  With a valid finger only the levels the current node is in have to be
 * walked: on the others the finger already stands before it.  The invariant holds again for the node that is found,
 * because the finger stands on it exactly on the levels it is in.
 */
static void
iter_prev(NvmkvIter *base)
{
	MemtableIter *it = iter_of(base);
	unsigned height = node_at_const(it->mt, it->node)->height;
	uint32_t next;
	Target t;

	NVMKV_ASSERT(base->valid);
	target_set(&t, base->key, base->tag);
	if (!it->finger_valid || height >= MEMTABLE_HEIGHT_MAX)
		iter_search(it, &t, &next);
	else
		(void) descend(it->mt, &t, it->finger[height], height, it->finger);
	iter_show(it, it->finger[0]);
}

static void
iter_destroy(NvmkvIter *base)
{
	base->valid = false;
}

static const NvmkvIterOps iter_ops = {
	.seek = iter_seek,
	.seek_for_prev = iter_seek_for_prev,
	.seek_first = iter_seek_first,
	.seek_last = iter_seek_last,
	.next = iter_next,
	.prev = iter_prev,
	.destroy = iter_destroy,
};

void
memtable_iter_init(MemtableIter *it, MemtableShm *mt)
{
	it->base.ops = &iter_ops;
	it->base.valid = false;
	it->base.status = NVMKV_OK;
	it->mt = mt;
	it->node = 0;
	it->finger_valid = false;
	it->base.key = nvmkv_slice(NULL, 0);
	it->base.tag = 0;
	it->base.payload = nvmkv_slice(NULL, 0);
}

uint8_t *
memtable_iter_hint(NvmkvIter *it)
{
	NVMKV_ASSERT(it->ops == &iter_ops && it->valid);
	return &node_at(iter_of(it)->mt, iter_of(it)->node)->hint;
}
