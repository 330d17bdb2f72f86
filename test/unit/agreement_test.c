/*
 * agreement_test.c
 *	  Anchors, and whether a database that is opened is the one that its anchor
 *	  and its host's log speak of: MANIFESTs cut at every byte, after a crash
 *	  and after an orderly end; directories, pools and anchors of other times.
 */
#include "engine/meta/anchor.h"

#include <dirent.h>
#include <stdarg.h>

#include "engine/meta/agreement.h"
#include "lib/check.h"
#include "lib/rig.h"
#include "tools/dump_main.h"

#define KEYS 400
#define FAMILY 1

/* ---- a host with a log, and what it remembers of it when it ends ---- */

typedef struct Host
{
	Rig rig;
	uint64_t end; /* of the log */
	uint64_t replayed; /* up to there, while it is replayed; else 0 */
	struct
	{
		uint64_t base;
		NvmkvBuf bytes;
	} records[4000];
	unsigned nrecords;
	/* what a checkpoint leaves */
	uint64_t redo;
	bool ended; /* in an orderly way */
	bool keeps; /* what is for a family that is away, from kept_from on; 0: nothing yet */
	uint64_t kept_from;
	unsigned expected[2][KEYS]; /* by family: the value of each key, 0 none */
} Host;

static Host host;

/* In helpers that return something: without it the test makes no sense. */
static void
must(bool good)
{
	if (good)
		return;
	fprintf(stderr, "cannot go on: %s\n", nvmkv_error()->text);
	exit(2);
}

static NvmkvStatus
host_append(void *ctx, NvmkvSlice batch, uint32_t count, uint64_t *last_sequence_out)
{
	(void) ctx;
	must(host.nrecords < sizeof(host.records) / sizeof(host.records[0]));
	host.records[host.nrecords].base = host.end + 1;
	host.records[host.nrecords].bytes.size = 0;
	must(nvmkv_buf_append(&host.records[host.nrecords].bytes, batch.data, batch.size) == NVMKV_OK);
	host.nrecords++;
	host.end += count;
	*last_sequence_out = host.end;
	host.end += 7;
	return NVMKV_OK;
}

static NvmkvStatus
host_flush(void *ctx, uint64_t sequence)
{
	(void) ctx;
	(void) sequence;
	return NVMKV_OK;
}

static uint64_t
host_position(void *ctx)
{
	(void) ctx;
	return host.replayed != 0 ? host.replayed : host.end;
}

static void
host_init(uint64_t nvm_bytes)
{
	memset(host.expected, 0, sizeof(host.expected));
	host.nrecords = 0;
	host.end = 1000;
	host.redo = 1000;
	host.ended = true;
	host.keeps = false;
	host.kept_from = 0;
	rig_init(&host.rig);
	host.rig.options.nvm_bytes = nvm_bytes;
	host.rig.options.standalone_log = false;
	host.rig.options.anchored = true;
	host.rig.options.max_families = 2;
	host.rig.options.system_identifier = 4711;
}

static NvmkvStatus
host_open(void)
{
	static const NvmkvLogOps ops = {NULL, host_append, host_flush, host_position};
	Rig *rig = &host.rig;
	NvmkvStatus st;

	rig->options.log_begin = host.redo;
	rig->options.log_end = host.ended ? host.redo : 0;
	rig->memory_bytes = nvmkv_shm_bytes(&rig->options);
	rig->memory = port_posix_shared_alloc(rig->memory_bytes);
	must(rig->memory != NULL);
	st = nvmkv_open(rig->memory, rig->path, &rig->options, &ops, &rig->db);
	if (st != NVMKV_OK)
		rig_close(rig);
	return st;
}

/* What the host keeps stays in its list of records. */
static NvmkvStatus
host_apply(NvmkvDb *db, NvmkvSlice batch, uint64_t base)
{
	uint32_t away = 0;

	if (host.keeps)
		NVMKV_RETURN_IF(nvmkv_replay_away(db, batch, base, &away));
	if (away != 0 && host.kept_from == 0)
	{
		host.kept_from = host.redo;
		nvmkv_family_set_kept(db, FAMILY, host.kept_from);
	}
	return nvmkv_replay_to(db, batch, base, ~away);
}

/* From the redo point on, as a server does. */
static NvmkvStatus
host_replay(void)
{
	NvmkvDb *db = host.rig.db;
	bool opened = false;
	unsigned i;

	for (i = 0; i < host.nrecords; i++)
	{
		NvmkvSlice batch = nvmkv_buf_slice(&host.records[i].bytes);

		if (host.records[i].base <= host.redo)
			continue;
		host.replayed = host.records[i].base - 1;
		if (!opened)
			NVMKV_RETURN_IF(nvmkv_log_opens(db));
		opened = true;
		if (host.records[i].base > nvmkv_replay_seq(db))
			NVMKV_RETURN_IF(host_apply(db, batch, host.records[i].base));
	}
	host.replayed = host.end;
	NVMKV_RETURN_IF(nvmkv_check_log_end(db, host.end));
	NVMKV_RETURN_IF(nvmkv_flush_all(db));
	return nvmkv_log_closes(db);
}

static NvmkvStatus
host_recover(void)
{
	NvmkvStatus st = host_replay();

	host.replayed = 0;
	NVMKV_RETURN_IF(st);
	host.redo = host.end; /* the checkpoint at the end of recovery */
	host.ended = false;
	host.end += 3;
	return NVMKV_OK;
}

static NvmkvStatus
host_start(void)
{
	NVMKV_RETURN_IF(host_open());
	if (!host.ended)
		NVMKV_RETURN_IF(host_recover());
	NVMKV_RETURN_IF(nvmkv_check_log_end(host.rig.db, host.end));
	NVMKV_RETURN_IF(nvmkv_log_opens(host.rig.db));
	host.ended = false;
	nvmkv_open_gate(host.rig.db);
	return NVMKV_OK;
}

static void
host_checkpoint(void)
{
	uint64_t redo = host.end;

	host.end += 2;
	REQUIRE_OK(nvmkv_flush_all(host.rig.db));
	REQUIRE_OK(nvmkv_log_let_go(host.rig.db, redo));
	host.redo = redo;
}

static void
host_end(void)
{
	REQUIRE_OK(nvmkv_close_gate(host.rig.db));
	REQUIRE_OK(nvmkv_flush_all(host.rig.db));
	REQUIRE_OK(nvmkv_log_closes(host.rig.db));
	host.end += 5; /* others write, too */
	host.redo = host.end;
	host.ended = true;
	rig_close(&host.rig);
}

static void
host_remove(void)
{
	unsigned i;

	rig_remove(&host.rig);
	for (i = 0; i < host.nrecords; i++)
		nvmkv_buf_free(&host.records[i].bytes);
}

/* ---- rows ---- */

static void
write_key(unsigned family, unsigned key, unsigned value)
{
	NvmkvBatch batch = {0};
	char text[16];

	(void) snprintf(text, sizeof(text), "%u", value);
	nvmkv_batch_family(&batch, family);
	REQUIRE_OK(nvmkv_batch_put(&batch, value == 0 ? NVMKV_TYPE_DELETION : NVMKV_TYPE_VALUE, rig_key(key),
							   nvmkv_slice(NULL, 0), value == 0 ? nvmkv_slice(NULL, 0) : rig_slice(text)));
	REQUIRE_OK(rig_write(host.rig.db, &batch, NULL));
	nvmkv_batch_free(&batch);
	host.expected[family][key] = value;
}

/* One that fills a memtable soon. */
static void
write_large(unsigned key, unsigned value)
{
	static char text[50000];
	NvmkvBatch batch = {0};

	memset(text, 'x', sizeof(text));
	text[snprintf(text, 16, "%u", value)] = 'x';
	REQUIRE_OK(nvmkv_batch_put(&batch, NVMKV_TYPE_VALUE, rig_key(key), nvmkv_slice(NULL, 0),
							   nvmkv_slice(text, sizeof(text))));
	REQUIRE_OK(rig_write(host.rig.db, &batch, NULL));
	nvmkv_batch_free(&batch);
	host.expected[0][key] = value;
}

/* A third of the keys get this value, a third none. */
static void
write_round(unsigned family, unsigned value)
{
	unsigned i;

	for (i = 0; i < KEYS; i += 5)
		if ((i + value) % 3 != 2)
			write_key(family, i, (i + value) % 3 == 0 ? value : 0);
}

static void
make_family(void)
{
	NvmkvFamilyOptions options;

	nvmkv_family_options_default(host.rig.db, &options);
	options.nvm_bytes = host.rig.options.nvm_bytes;
	REQUIRE_OK(nvmkv_family_create(host.rig.db, FAMILY, "other", &options, NULL));
}

/* Tables that an older manifest names may have gone: then their keys cannot be read, which is not wrong. */
static bool loss_is_told;
static unsigned unread; /* so many of the last wrong_rows() */

static unsigned
wrong_rows(unsigned family)
{
	NvmkvDb *db;
	NvmkvBuf value = {0};
	unsigned wrong = 0;
	unsigned i;

	unread = 0;
	if (nvmkv_family(host.rig.db, family, &db) != NVMKV_OK)
	{
		must(loss_is_told && nvmkv_error()->status == NVMKV_CORRUPTION);
		return 0;
	}
	for (i = 0; i < KEYS; i++)
	{
		NvmkvSnapshot all = {NULL, NULL, NVMKV_SEQUENCE_MAX, NULL};
		NvmkvStatus st = nvmkv_get(db, rig_key(i), &all, &value, NULL);
		char text[16] = "";

		if (st == NVMKV_OK)
			(void) snprintf(text, sizeof(text), "%.*s", (int) value.size, (const char *) value.data);
		if (loss_is_told && st == NVMKV_CORRUPTION)
		{
			unread++;
			continue;
		}
		if (st == NVMKV_OK ? (unsigned) atoi(text) != host.expected[family][i]
						   : st != NVMKV_NOT_FOUND || host.expected[family][i] != 0)
		{
			if (wrong++ == 0)
				printf("key %u is \"%s\" (%s), expected %u\n", i, text, nvmkv_status_name(st), host.expected[family][i]);
		}
	}
	nvmkv_buf_free(&value);
	return wrong;
}

static void
note_problem(void *ctx, const char *where, const char *text)
{
	(void) where;
	(void) snprintf(ctx, NVMKV_ERROR_TEXT_MAX, "%s", text);
}

static void
check_whole(void)
{
	char problem[NVMKV_ERROR_TEXT_MAX] = "";

	CHECK(wrong_rows(0) == 0);
	CHECK_OK(nvmkv_check(host.rig.db, note_problem, problem));
	CHECK(problem[0] == '\0' || loss_is_told);
}

/* ---- files ---- */

static void shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
shell(const char *fmt, ...)
{
	char command[4000];
	va_list ap;

	va_start(ap, fmt);
	(void) vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	if (system(command) != 0)
	{
		fprintf(stderr, "failed: %s\n", command);
		exit(2);
	}
}

/* Database and anchor, under a name of their own; back again. */
static void
save(const char *name)
{
	const char *dir = host.rig.dir;

	shell("cd '%s' && rm -rf %s && mkdir %s && cp -a --sparse=always db db.anchor %s/", dir, name, name, name);
}

static void
put_back(const char *name)
{
	const char *dir = host.rig.dir;

	shell("cd '%s' && rm -rf db db.anchor db.accept && cp -a --sparse=always %s/. .", dir, name);
}

/* The MANIFEST of the database or a family. */
static void
manifest_of(const char *sub, char *path, size_t size)
{
	char dir_path[700];
	struct dirent *entry;
	DIR *dir;

	(void) snprintf(dir_path, sizeof(dir_path), "%s%s", host.rig.path, sub);
	dir = opendir(dir_path);
	REQUIRE(dir != NULL);
	path[0] = '\0';
	while ((entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, "MANIFEST-", 9) == 0)
			(void) snprintf(path, size, "%s/%.20s", dir_path, entry->d_name);
	closedir(dir);
	REQUIRE(path[0] != '\0');
}

static uint64_t
size_of(const char *path)
{
	struct stat st;

	must(stat(path, &st) == 0);
	return (uint64_t) st.st_size;
}

/* The whole of a file; the file becomes its first so many bytes. */
static NvmkvBuf
read_file(const char *path)
{
	NvmkvBuf bytes = {0};
	uint64_t size = size_of(path);
	PortFile *file = NULL;

	must(nvmkv_buf_reserve(&bytes, size) == NVMKV_OK && port_files->open(path, PORT_FILE_READ, &file) == NVMKV_OK);
	must(port_files->read(file, 0, bytes.data, size) == NVMKV_OK);
	bytes.size = size;
	port_files->close(file);
	return bytes;
}

static void
write_file(const char *path, NvmkvBuf bytes, uint64_t size)
{
	PortFile *file;

	must(port_files->open(path, PORT_FILE_WRITE | PORT_FILE_TRUNCATE, &file) == NVMKV_OK);
	must(port_files->write(file, 0, bytes.data, size) == NVMKV_OK);
	port_files->close(file);
}

/* What the tool says of the database, with a pool elsewhere or not; its exit code. */
static int
dump_check_pool(char *pool, const char *text)
{
	char name[] = "nvmkv_dump";
	char command[] = "check";
	char option[] = "--pool";
	char *argv[] = {name, command, host.rig.path, pool != NULL ? option : NULL, pool, NULL};
	char said[8192] = "";
	FILE *out = tmpfile();
	FILE *err = tmpfile();
	int code;

	must(out != NULL && err != NULL);
	code = dump_main(pool != NULL ? 5 : 3, argv, out, err);
	rewind(err);
	said[fread(said, 1, sizeof(said) - 1, err)] = '\0';
	fclose(out);
	fclose(err);
	if (text != NULL && strstr(said, text) == NULL)
	{
		printf("nvmkv_dump says: %s\n", said);
		CHECK(false);
	}
	return code;
}

static int
dump_check_says(const char *text)
{
	return dump_check_pool(NULL, text);
}

/* Opens the database; a family that cannot be used counts, too. */
static NvmkvStatus
open_all(void)
{
	NvmkvStatus st = host_open();
	NvmkvDb *family;

	if (st != NVMKV_OK)
		return st;
	st = nvmkv_family(host.rig.db, FAMILY, &family);
	if (st == NVMKV_OK || st == NVMKV_NOT_FOUND)
		return NVMKV_OK;
	rig_close(&host.rig);
	return st;
}

/* It is refused, in words that have this in them. */
static void
not_opened(const char *text)
{
	NvmkvStatus st = open_all();

	if (st == NVMKV_OK)
		rig_close(&host.rig);
	CHECK_STATUS(st, NVMKV_CORRUPTION);
	if (strstr(nvmkv_error()->text, text) == NULL)
	{
		printf("says: %s\n", nvmkv_error()->text);
		CHECK(false);
	}
}

/* The tool, which knows nothing of this host's log, says so, too. */
static void
refused(const char *text)
{
	not_opened(text);
	CHECK(dump_check_says(text) == DUMP_DAMAGED);
}

/* ---- the anchor ---- */

TEST(anchor_bytes)
{
	static const uint8_t head[] = {0x4e, 0x56, 0x4d, 0x4b, 0x56, 0x41, 0x4e, 0x43, 1, 0, 0, 0, 1, 0, 0, 0,
								   1, 0, 0, 0, 0, 0, 0, 0, 0x67, 0x12};
	Anchor anchor = {.sequence = 1, .system_identifier = 4711, .incarnation = 12, .ntrees = 1};
	Anchor back;
	uint8_t bytes[ANCHOR_SLOT_BYTES];
	size_t size, i;

	anchor.trees[0] = (AnchorTree){
		.empty = true, .edits = 3, .durable_seq = 256, .manifest_number = 2, .manifest_bytes = 133, .incarnation = 12};
	size = anchor_encode(&anchor, bytes);
	CHECK(size == 100);
	CHECK(memcmp(bytes, head, sizeof(head)) == 0);
	REQUIRE_OK(anchor_decode(bytes, "a", &back));
	CHECK(memcmp(&anchor, &back, sizeof(back)) == 0);
	for (i = 0; i < size; i++)
	{
		bytes[i] ^= 4;
		CHECK(anchor_decode(bytes, "a", &back) != NVMKV_OK);
		bytes[i] ^= 4;
	}
	bytes[8] = 2;
	CHECK_STATUS(anchor_decode(bytes, "a", &back), NVMKV_VERSION);
	memset(bytes, 0, sizeof(bytes));
	CHECK_STATUS(anchor_decode(bytes, "a", &back), NVMKV_NOT_FOUND);
}

TEST(anchor_slots_are_written_in_turn)
{
	Rig rig;
	Anchor anchor = {.system_identifier = 1, .incarnation = 2, .ntrees = 1};
	Anchor back;
	char path[700];
	PortFile *file;
	uint64_t i;

	rig_init(&rig);
	CHECK_STATUS(anchor_read(rig.path, &back), NVMKV_NOT_FOUND);
	for (i = 1; i <= 5; i++)
	{
		anchor.sequence = i;
		REQUIRE_OK(anchor_write(rig.path, &anchor, i == 1));
		REQUIRE_OK(anchor_read(rig.path, &back));
		CHECK(back.sequence == i);
	}
	/* The last one torn: the one before counts; both: there is none. */
	anchor_path(rig.path, path, sizeof(path));
	for (i = 5; i >= 4; i--)
	{
		REQUIRE_OK(port_files->open(path, PORT_FILE_WRITE, &file));
		REQUIRE_OK(port_files->write(file, i % 2 * ANCHOR_SLOT_BYTES + 30, "torn", 4));
		port_files->close(file);
		if (i == 5)
		{
			REQUIRE_OK(anchor_read(rig.path, &back));
			CHECK(back.sequence == 4);
		}
		else
			CHECK_STATUS(anchor_read(rig.path, &back), NVMKV_CORRUPTION);
	}
	rig_remove(&rig);
}

/* ---- what is refused, and what is not ---- */

/* Rows in tables and in the container, a checkpoint, and changes after it. */
static void
make_history(void)
{
	REQUIRE_OK(host_start());
	make_family();
	write_round(0, 1);
	write_round(FAMILY, 1);
	host_checkpoint();
	CHECK_OK(nvmkv_compact_all(host.rig.db));
	write_round(0, 2);
	host_checkpoint();
	write_round(0, 3);
	write_round(FAMILY, 3);
	CHECK_OK(nvmkv_flush_all(host.rig.db));
	write_round(0, 4);
}

static void
cut_after_orderly_end(uint64_t nvm_bytes, const char *sub)
{
	char path[800];
	NvmkvBuf whole;
	uint64_t at;
	unsigned opened = 0;

	host_init(nvm_bytes);
	make_history();
	host_end();
	CHECK(dump_check_says(NULL) == DUMP_OK);
	manifest_of(sub, path, sizeof(path));
	whole = read_file(path);
	for (at = 0; at < whole.size; at += whole.size - at > 300 ? 7 : 1)
	{
		write_file(path, whole, at);
		if (open_all() == NVMKV_OK)
		{
			opened++;
			rig_close(&host.rig);
		}
		else
			CHECK_STATUS(nvmkv_error()->status, NVMKV_CORRUPTION);
		/* So it is if a single edit is missing. */
		CHECK(whole.size - at > 100 || strstr(nvmkv_error()->text, "has lost its end") != NULL);
		/* Nothing was changed. */
		manifest_of(sub, path, sizeof(path));
		REQUIRE(size_of(path) == at);
	}
	CHECK(opened == 0);
	/* What is zero where it should not be. */
	write_file(path, whole, whole.size);
	shell("truncate -s -30 '%s' && truncate -s +30 '%s'", path, path);
	refused("has lost its end");
	write_file(path, whole, whole.size);
	nvmkv_buf_free(&whole);
	REQUIRE_OK(host_start());
	check_whole();
	host_end();
	host_remove();
}

TEST(cut_after_an_orderly_end)
{
	port_files = &rig_quick_files;
	cut_after_orderly_end(UINT64_C(16) << 20, "");
	cut_after_orderly_end(0, "");
	port_files = &port_posix_files;
}

TEST(family_cut_after_an_orderly_end)
{
	port_files = &rig_quick_files;
	cut_after_orderly_end(UINT64_C(16) << 20, "/family-1");
	port_files = &port_posix_files;
}

/* Whatever is cut off after a crash: refused, or the rows that were; what cannot be read says so, nothing is old. */
static void
cut_after_crash(uint64_t nvm_bytes, const char *sub)
{
	uint64_t redo, end, size;
	uint64_t at = 0;
	unsigned opened = 0;
	unsigned denied = 0;
	unsigned records;
	char path[800];
	char now[800];
	NvmkvBuf whole;

	loss_is_told = true;
	host_init(nvm_bytes);
	make_history();
	CHECK_OK(nvmkv_compact_all(host.rig.db)); /* extents and tables are used again */
	write_round(0, 5);
	CHECK_OK(nvmkv_flush_all(host.rig.db));
	rig_close(&host.rig);
	save("crashed");
	redo = host.redo;
	end = host.end;
	records = host.nrecords;
	manifest_of(sub, path, sizeof(path));
	whole = read_file(path);
	size = whole.size;
	do
	{
		/* Who refuses at once has changed nothing. */
		manifest_of(sub, now, sizeof(now));
		if (strcmp(now, path) != 0)
			put_back("crashed");
		write_file(path, whole, at);
		host.redo = redo;
		host.end = end;
		host.nrecords = records;
		host.ended = false;
		if (host_start() == NVMKV_OK)
		{
			opened++;
			check_whole();
			CHECK(wrong_rows(FAMILY) == 0);
			rig_close(&host.rig);
		}
		else
		{
			denied++;
			CHECK_STATUS(nvmkv_error()->status, NVMKV_CORRUPTION);
			if (host.rig.db != NULL)
				rig_close(&host.rig);
		}
		/* Every byte of the end; before that some. */
		at += size - at > 200 ? 31 : size - at > 100 ? 3 : 1;
	} while (at <= size);
	nvmkv_buf_free(&whole);
	printf("%u cuts were refused, %u recovered\n", denied, opened);
	CHECK(denied > 0 && opened > 0);
	host_remove();
	loss_is_told = false;
}

TEST(cut_after_a_crash)
{
	port_files = &rig_quick_files;
	cut_after_crash(UINT64_C(16) << 20, "");
	cut_after_crash(0, "");
	port_files = &port_posix_files;
}

TEST(family_cut_after_a_crash)
{
	port_files = &rig_quick_files;
	cut_after_crash(UINT64_C(16) << 20, "/family-1");
	port_files = &port_posix_files;
}

TEST(files_of_another_time)
{
	const char *dir;

	port_files = &rig_quick_files;
	host_init(UINT64_C(16) << 20);
	dir = host.rig.dir;
	REQUIRE_OK(host_start());
	make_family();
	write_round(0, 1);
	write_round(FAMILY, 1);
	host_end();
	save("yesterday");
	REQUIRE_OK(host_start());
	write_round(0, 2);
	write_round(FAMILY, 2);
	host_end();
	save("today");

	shell("cd '%s' && rm -rf db && cp -a yesterday/db .", dir);
	refused("is of another time or another server");
	put_back("today");
	shell("cd '%s' && rm -rf db/family-1 && cp -a yesterday/db/family-1 db/", dir);
	refused("is of another time or another server");
	put_back("today");
	shell("cd '%s' && cp -a yesterday/db.anchor .", dir);
	refused("is of another time or another server");
	put_back("today");
	shell("cd '%s' && rm -rf db", dir);
	refused("holds no database, but there was one");
	CHECK(access(host.rig.path, F_OK) != 0); /* it can be put back */
	put_back("today");
	shell("cd '%s' && rm db/*.sst db/MANIFEST* db/CURRENT; true", dir);
	refused("holds no database, but there was one");
	put_back("today");
	shell("cd '%s' && rm -r db/family-1", dir);
	not_opened("holds no database, but there was one");
	CHECK(dump_check_says("does not exist") == DUMP_DAMAGED);
	put_back("today");
	shell("cd '%s' && rm db/FAMILIES", dir);
	refused("does not name column family 1");
	put_back("today");
	shell("cd '%s' && rm db.anchor", dir);
	refused("db.anchor\" is missing");
	put_back("today");
	shell("cd '%s' && truncate -s 0 db.anchor", dir);
	refused("db.anchor\" is empty");
	put_back("today");
	shell("cd '%s' && cp yesterday/db/level0.pool db/", dir);
	refused("level0.pool\" is of another time or another server: it was opened");
	put_back("today");
	shell("cd '%s' && cp yesterday/db/family-1/level0.pool db/family-1/", dir);
	refused("level0.pool\" is of another time or another server: it was opened");

	put_back("today");
	REQUIRE_OK(host_start());
	check_whole();
	CHECK(wrong_rows(FAMILY) == 0);
	host_end();
	host_remove();
	port_files = &port_posix_files;
}

/* A pool that was copied while the database was open, and put back: it lacks rows. */
TEST(pool_of_an_earlier_moment)
{
	const char *dir;
	int crash;

	port_files = &rig_quick_files;
	for (crash = 0; crash < 2; crash++)
	{
		host_init(UINT64_C(16) << 20);
		dir = host.rig.dir;
		REQUIRE_OK(host_start());
		make_family();
		write_round(0, 1);
		write_round(FAMILY, 1);
		host_checkpoint();
		shell("cd '%s' && cp --sparse=always db/level0.pool one && cp --sparse=always db/family-1/level0.pool two", dir);
		write_round(0, 2);
		write_round(FAMILY, 2);
		host_checkpoint();
		if (crash)
			rig_close(&host.rig);
		else
			host_end();
		save("today");
		shell("cd '%s' && cp one db/level0.pool", dir);
		refused("and has rows up to number");
		put_back("today");
		shell("cd '%s' && cp two db/family-1/level0.pool", dir);
		refused("and has rows up to number");
		put_back("today");
		REQUIRE_OK(host_start());
		check_whole();
		CHECK(wrong_rows(FAMILY) == 0);
		host_end();
		host_remove();
	}
	port_files = &port_posix_files;
}

/* One that is too short is said to be that; one whose end was lost, and is zeros now, costs the rows in it. */
TEST(pool_cut)
{
	const char *dir;

	port_files = &rig_quick_files;
	host_init(UINT64_C(16) << 20);
	dir = host.rig.dir;
	REQUIRE_OK(host_start());
	write_round(0, 1);
	host_checkpoint();
	write_round(0, 2);
	host_end();
	save("today");
	shell("cd '%s' && truncate -s 1M db/level0.pool", dir);
	refused("level0.pool\" is truncated: it has 1048576 bytes, at least ");
	shell("cd '%s' && truncate -s 5000 db/level0.pool", dir);
	refused("level0.pool\" is truncated: it has 5000 bytes, at least ");
	shell("cd '%s' && truncate -s 0 db/level0.pool", dir);
	not_opened("level0.pool\" is truncated: it has 0 bytes, at least ");
	put_back("today");
	shell("cd '%s' && truncate -s 1M db/level0.pool && truncate -s 16M db/level0.pool", dir);
	loss_is_told = true;
	REQUIRE_OK(host_start());
	CHECK(wrong_rows(0) == 0);
	CHECK(unread > 0);
	host_end();
	loss_is_told = false;
	host_remove();
	port_files = &port_posix_files;
}

/* A pool outside the directory, and two copies of the directory that take turns: the second is refused. */
static void
take_turns(bool has_rows)
{
	const NvmkvStatus expected = has_rows ? NVMKV_CORRUPTION : NVMKV_INVALID;
	const char *text = has_rows ? "it was opened since with another copy of the database" : "or remove this one if no server needs it";
	char pool[700];
	uint64_t redo, end;

	host_init(UINT64_C(16) << 20);
	(void) snprintf(pool, sizeof(pool), "%s/shared", host.rig.dir);
	host.rig.options.nvm_path = pool;
	REQUIRE_OK(host_start());
	make_family();
	write_round(0, 1);
	write_round(FAMILY, 1);
	host_checkpoint();
	if (!has_rows)
		REQUIRE_OK(nvmkv_compact_all(host.rig.db));
	host_end();
	save("one");
	redo = host.redo;
	end = host.end;
	/* The other one is opened, writes, and ends. */
	REQUIRE_OK(host_start());
	write_round(0, 2);
	write_round(FAMILY, 2);
	host_end();
	save("two");
	/* The first one comes back: it is told, and has changed nothing. */
	put_back("one");
	CHECK_STATUS(host_open(), expected);
	CHECK(strstr(nvmkv_error()->text, text) != NULL && strstr(nvmkv_error()->text, "/shared\"") != NULL);
	CHECK(dump_check_pool(pool, "it was opened since with another copy of the database") == DUMP_DAMAGED);
	/* And so it is when a container is not wanted any more: it stays the other's. */
	host.rig.options.nvm_bytes = 0;
	if (!has_rows)
	{
		CHECK_OK(host_open());
		rig_close(&host.rig);
	}
	CHECK(access(pool, F_OK) == 0);
	host.rig.options.nvm_bytes = UINT64_C(16) << 20;
	put_back("two");
	REQUIRE_OK(host_start());
	check_whole();
	CHECK(wrong_rows(FAMILY) == 0);
	host_end();
	/* Where the other one is gone somebody may say so. */
	put_back("one");
	shell("cd '%s' && touch db.accept", host.rig.dir);
	host.redo = redo;
	host.end = end;
	host.ended = true;
	REQUIRE_OK(host_start());
	host_end();
	REQUIRE_OK(host_start());
	host_end();
	shell("rm '%s' '%s.family-1'", pool, pool);
	host_remove();
}

TEST(pool_of_two_copies)
{
	port_files = &rig_quick_files;
	take_turns(true);
	take_turns(false);
	port_files = &port_posix_files;
}

/*
 * A family whose files are away when the log has nothing for it that it does not have: others go on, and the log with
 * them; put back it has everything, whether it was away after a crash or after an orderly end.
 */
TEST(family_away_for_a_while)
{
	const char *dir;
	int crash;

	port_files = &rig_quick_files;
	for (crash = 0; crash < 2; crash++)
	{
		host_init(UINT64_C(16) << 20);
		dir = host.rig.dir;
		REQUIRE_OK(host_start());
		make_family();
		write_round(0, 1);
		write_round(FAMILY, 1);
		host_checkpoint();
		write_round(0, 2);
		if (crash)
			rig_close(&host.rig);
		else
			host_end();
		shell("cd '%s' && mv db/family-1/level0.pool away", dir);
		REQUIRE_OK(host_start());
		write_round(0, 3);
		host_checkpoint();
		write_round(0, 4);
		host_end();
		shell("cd '%s' && mv away db/family-1/level0.pool", dir);
		REQUIRE_OK(host_start());
		check_whole();
		CHECK(wrong_rows(FAMILY) == 0);
		write_round(FAMILY, 5);
		rig_close(&host.rig);
		REQUIRE_OK(host_start());
		check_whole();
		CHECK(wrong_rows(FAMILY) == 0);
		host_end();
		host_remove();
	}
	port_files = &port_posix_files;
}

/*
 * A family whose files are away when the log has something for it, though the other trees have what the log has there:
 * nothing of it is passed over.
 */
TEST(family_away_when_it_is_needed)
{
	const char *dir;
	uint64_t redo, end;
	unsigned records, value;
	bool did, more;

	port_files = &rig_quick_files;
	host_init(UINT64_C(16) << 20);
	dir = host.rig.dir;
	REQUIRE_OK(host_start());
	make_family();
	write_round(0, 1);
	write_round(FAMILY, 1);
	host_checkpoint();
	write_round(FAMILY, 2);
	/* The database's own tree is flushed, the family is not. */
	for (value = 10; value < 60; value++)
		write_large(1, value);
	while (nvmkv_work(host.rig.db, NVMKV_WORK_FLUSH, &did, &more) == NVMKV_OK && did)
		;
	CHECK(nvmkv_stored_seq(host.rig.db) < host.end);
	rig_close(&host.rig);
	save("crashed");
	redo = host.redo;
	end = host.end;
	records = host.nrecords;
	shell("cd '%s' && mv db/family-1/level0.pool away", dir);
	CHECK_STATUS(host_start(), NVMKV_INVALID);
	CHECK(strstr(nvmkv_error()->text, "family-1/level0.pool\" is missing") != NULL);
	rig_close(&host.rig);
	/* Nor is it when that is tried again, or taken for closed. */
	CHECK_STATUS(host_start(), NVMKV_INVALID);
	rig_close(&host.rig);
	shell("cd '%s' && mv away db/family-1/level0.pool", dir);
	REQUIRE_OK(host_start());
	check_whole();
	CHECK(wrong_rows(FAMILY) == 0);
	host_end();

	/* Whoever says so goes on without: the other trees lose nothing. */
	put_back("crashed");
	shell("cd '%s' && mv db/family-1/level0.pool away", dir);
	host.rig.options.loses_log = true;
	host.redo = redo;
	host.end = end;
	host.nrecords = records;
	host.ended = false;
	REQUIRE_OK(host_start());
	check_whole();
	host_end();
	host.rig.options.loses_log = false;
	REQUIRE_OK(host_start());
	check_whole();
	REQUIRE_OK(nvmkv_family_drop(host.rig.db, FAMILY));
	host_end();
	host_remove();
	port_files = &port_posix_files;
}

/* The first "count" records that were kept go to the family, which has been opened for them. */
static void
replay_kept(unsigned count)
{
	NvmkvDb *db = host.rig.db;
	NvmkvDb *family;
	unsigned i;

	nvmkv_family_set_kept(db, FAMILY, host.kept_from);
	REQUIRE_OK(nvmkv_family(db, FAMILY, &family));
	REQUIRE_OK(nvmkv_log_opens(family));
	for (i = 0; i < host.nrecords && count > 0; i++)
	{
		if (host.records[i].base <= host.kept_from)
			continue;
		REQUIRE_OK(nvmkv_replay_to(db, nvmkv_buf_slice(&host.records[i].bytes), host.records[i].base, 1 << FAMILY));
		nvmkv_family_set_kept(db, FAMILY, host.records[i].base);
		if (--count % 50 == 7)
			REQUIRE_OK(nvmkv_flush_all(family));
	}
}

/*
 * The host keeps what the log has for a family that is away: the others go on, the log is let go, and what was kept
 * brings the family up to date, however often that is begun.  Without it the family is refused, and no other.
 */
TEST(family_away_and_kept)
{
	const char *dir;
	int crash;

	port_files = &rig_quick_files;
	for (crash = 0; crash < 2; crash++)
	{
		NvmkvDb *family;

		host_init(UINT64_C(16) << 20);
		dir = host.rig.dir;
		REQUIRE_OK(host_start());
		make_family();
		write_round(0, 1);
		write_round(FAMILY, 1);
		host_checkpoint();
		write_round(FAMILY, 2);
		write_round(0, 2);
		write_round(FAMILY, 3);
		rig_close(&host.rig);
		shell("cd '%s' && mv db/family-1/level0.pool away", dir);
		host.keeps = true;
		REQUIRE_OK(host_start());
		CHECK(host.kept_from != 0);
		check_whole();
		write_round(0, 4);
		host_checkpoint();
		write_round(0, 5);
		if (crash)
			rig_close(&host.rig);
		else
			host_end();
		shell("cd '%s' && mv away db/family-1/level0.pool", dir);

		/* What was kept is lost. */
		REQUIRE_OK(host_start());
		CHECK_STATUS(nvmkv_family(host.rig.db, FAMILY, &family), NVMKV_CORRUPTION);
		CHECK(strstr(nvmkv_error()->text, "what is between is lost") != NULL);
		nvmkv_family_set_kept(host.rig.db, FAMILY, host.kept_from);
		check_whole();
		host_end();

		host.rig.options.family_log_begin[FAMILY] = host.kept_from;
		REQUIRE_OK(host_open());
		rig_close(&host.rig);
		REQUIRE_OK(host_open());
		replay_kept(UINT32_C(200));
		rig_close(&host.rig);

		/* The family fails, and is as before at the next start. */
		REQUIRE_OK(host_open());
		replay_kept(UINT32_C(250));
		(void) NVMKV_FAIL(NVMKV_IO, "a failure");
		REQUIRE_OK(nvmkv_family_give_up(host.rig.db, FAMILY));
		nvmkv_family_set_kept(host.rig.db, FAMILY, host.kept_from);
		CHECK_STATUS(nvmkv_family(host.rig.db, FAMILY, &family), NVMKV_IO);
		CHECK(strstr(nvmkv_error()->text, "cannot be used: a failure") != NULL);
		REQUIRE_OK(nvmkv_log_opens(host.rig.db));
		host.ended = false;
		nvmkv_open_gate(host.rig.db);
		write_round(0, 6);
		check_whole();
		if (crash)
			rig_close(&host.rig);
		else
			host_end();

		REQUIRE_OK(host_open());
		replay_kept(UINT32_MAX);
		REQUIRE_OK(nvmkv_family(host.rig.db, FAMILY, &family));
		REQUIRE_OK(nvmkv_flush_all(family));
		nvmkv_family_set_kept(host.rig.db, FAMILY, 0);
		REQUIRE_OK(nvmkv_log_opens(family));
		host.rig.options.family_log_begin[FAMILY] = 0;
		if (!host.ended)
			REQUIRE_OK(host_recover());
		REQUIRE_OK(nvmkv_log_opens(host.rig.db));
		host.ended = false;
		nvmkv_open_gate(host.rig.db);
		check_whole();
		CHECK(wrong_rows(FAMILY) == 0);
		write_round(FAMILY, 7);
		host_end();
		REQUIRE_OK(host_start());
		check_whole();
		CHECK(wrong_rows(FAMILY) == 0);
		host_end();
		host_remove();
	}
	port_files = &port_posix_files;
}

/* Two that were one: neither takes what the other has written since. */
TEST(files_of_a_copy)
{
	const char *dir;
	uint64_t redo, end;

	port_files = &rig_quick_files;
	host_init(UINT64_C(16) << 20);
	dir = host.rig.dir;
	REQUIRE_OK(host_start());
	make_family();
	write_round(0, 1);
	write_round(FAMILY, 1);
	host_end();
	save("both");
	redo = host.redo;
	end = host.end;
	REQUIRE_OK(host_start());
	write_round(0, 2);
	write_round(FAMILY, 2);
	host_end();
	save("copy");
	/* The other one does the same, and gets as far. */
	put_back("both");
	host.redo = redo;
	host.end = end;
	host.ended = true;
	REQUIRE_OK(host_start());
	write_round(0, 2);
	write_round(FAMILY, 2);
	host_end();
	save("own");
	shell("cd '%s' && rm -rf db && cp -a copy/db .", dir);
	refused("is of another time or another server");
	put_back("own");
	shell("cd '%s' && rm -rf db/family-1 && cp -a copy/db/family-1 db/", dir);
	refused("is of another time or another server");
	put_back("own");
	shell("cd '%s' && cp copy/db/level0.pool db/", dir);
	refused("level0.pool\" is of another time or another server: it was opened");
	put_back("own");
	shell("cd '%s' && cp copy/db/family-1/level0.pool db/family-1/", dir);
	refused("level0.pool\" is of another time or another server: it was opened");
	put_back("own");
	REQUIRE_OK(host_start());
	check_whole();
	CHECK(wrong_rows(FAMILY) == 0);
	host_end();
	host_remove();
	port_files = &port_posix_files;
}

TEST(log_and_files)
{
	uint64_t redo;

	port_files = &rig_quick_files;
	host_init(UINT64_C(16) << 20);
	REQUIRE_OK(host_start());
	write_round(0, 1);
	host_checkpoint();
	write_round(0, 2);
	redo = host.redo;
	host_end();

	/* The host goes on without the database, or begins its log anew. */
	host.end += UINT64_C(1) << 40;
	host.redo = host.end;
	REQUIRE_OK(host_start());
	check_whole();
	rig_close(&host.rig);
	/* Not so after a crash: what it would have replayed may be gone. */
	host.redo = host.end + 100;
	not_opened("what is between is lost");
	/* An orderly end before what the files have. */
	host.redo = redo;
	host.ended = true;
	not_opened("it is of a later time");
	/* And a log that turns out to end there. */
	host.ended = false;
	REQUIRE_OK(host_open());
	CHECK_STATUS(nvmkv_check_log_end(host.rig.db, redo), NVMKV_CORRUPTION);
	CHECK_OK(nvmkv_check_log_end(host.rig.db, host.end));
	rig_close(&host.rig);
	host_remove();
	port_files = &port_posix_files;
}

/* Nothing is installed while it is closed; a checkpoint of an idle database writes nothing twice. */
TEST(closed_and_idle)
{
	char path[800];
	uint64_t size;
	bool did, more;

	port_files = &rig_quick_files;
	host_init(UINT64_C(16) << 20);
	REQUIRE_OK(host_start());
	write_round(0, 1);
	host_checkpoint();
	manifest_of("", path, sizeof(path));
	size = size_of(path);
	CHECK_OK(nvmkv_log_let_go(host.rig.db, host.redo));
	CHECK_OK(nvmkv_log_let_go(host.rig.db, host.redo - 1));
	CHECK(size_of(path) == size);
	host.end += 10;
	host_checkpoint(); /* the log has moved: nothing to flush, but that is to be known */
	CHECK(size_of(path) > size);
	CHECK_OK(nvmkv_close_gate(host.rig.db));
	CHECK_OK(nvmkv_log_closes(host.rig.db));
	size = size_of(path);
	CHECK_STATUS(nvmkv_work(host.rig.db, NVMKV_WORK_COMPACT, &did, &more), NVMKV_OK);
	CHECK(!did);
	CHECK_OK(nvmkv_log_closes(host.rig.db));
	CHECK_OK(nvmkv_log_let_go(host.rig.db, host.end + 1000));
	CHECK(size_of(path) == size);
	CHECK_OK(nvmkv_log_opens(host.rig.db));
	CHECK_OK(nvmkv_compact_all(host.rig.db));
	nvmkv_open_gate(host.rig.db);
	check_whole();
	host_end();
	host_remove();
	port_files = &port_posix_files;
}

TEST(accepted)
{
	const char *dir;

	port_files = &rig_quick_files;
	host_init(UINT64_C(16) << 20);
	dir = host.rig.dir;
	REQUIRE_OK(host_start());
	write_round(0, 1);
	host_end();
	save("yesterday");
	REQUIRE_OK(host_start());
	write_round(0, 2);
	host_end();

	/* Yesterday's directory: its rows, and from then on it is this one. */
	shell("cd '%s' && rm -rf db && cp -a yesterday/db . && touch db.accept", dir);
	REQUIRE_OK(host_start());
	CHECK(wrong_rows(0) > 0);
	memset(host.expected, 0, sizeof(host.expected));
	write_round(0, 1);
	write_round(0, 2);
	write_round(0, 3);
	host_checkpoint();
	write_round(0, 4);
	shell("cd '%s' && test ! -e db.accept", dir); /* once */
	rig_close(&host.rig);
	REQUIRE_OK(host_start());
	check_whole();
	host_end();

	/* No anchor. */
	shell("cd '%s' && rm db.anchor && touch db.accept", dir);
	REQUIRE_OK(host_start());
	check_whole();
	host_end();
	/* No directory: an empty one. */
	shell("cd '%s' && rm -r db && touch db.accept", dir);
	REQUIRE_OK(host_start());
	memset(host.expected, 0, sizeof(host.expected));
	check_whole();
	write_round(0, 7);
	rig_close(&host.rig);
	REQUIRE_OK(host_start());
	check_whole();
	host_end();
	host_remove();
	port_files = &port_posix_files;
}

/* An opening that ends at any write is no reason to refuse the next. */
static unsigned steps_left;

static NvmkvStatus
end_at_step(const char *point)
{
	if (steps_left > 0 && --steps_left == 0)
		return NVMKV_FAIL(NVMKV_IO, "ended at %s", point);
	return NVMKV_OK;
}

TEST(openings_that_end_early)
{
	unsigned step;
	unsigned life;

	port_files = &rig_quick_files;
	for (life = 0; life < 2; life++)
	{
		host_init(UINT64_C(16) << 20);
		for (step = 1;; step++)
		{
			NvmkvStatus st;

			/* A crash, or an orderly end, before; the first time there is nothing yet. */
			steps_left = step;
			port_fault_hook = end_at_step;
			st = host_start();
			port_fault_hook = NULL;
			if (st != NVMKV_OK && host.rig.db != NULL)
				rig_close(&host.rig);
			if (st == NVMKV_OK && steps_left > 0)
				break;
			if (st == NVMKV_OK)
				rig_close(&host.rig);
			if (step % 3 != 0)
				continue;
			REQUIRE_OK(host_start());
			CHECK(wrong_rows(0) == 0);
			write_round(0, step);
			if (life == 0)
				rig_close(&host.rig);
			else
				host_end();
		}
		printf("%u steps\n", step);
		check_whole();
		host_end();
		host_remove();
	}
	port_files = &port_posix_files;
}

TEST_MAIN()
