/*
 * upgrade.c
 *	  See upgrade.h.
 */
#include "tools/upgrade.h"

#include <inttypes.h>
#include <string.h>

#include "engine/base/coding.h"
#include "engine/meta/origin.h"
#include "tools/check_agreement.h"
#include "tools/upgrade_files.h"
#include "tools/upgrade_tree.h"

/* Offsets in the server's control file, the same in all versions that are known. */
#define CONTROL_OFFSET_VERSION 8
#define CONTROL_OFFSET_STATE 16
#define CONTROL_OFFSET_CHECKPOINT 32
#define CONTROL_BYTES 40
#define CONTROL_SHUTDOWNED 1

typedef struct Cluster
{
	const char *data;
	char dir[UPGRADE_PATH_BYTES]; /* of the database */
	uint64_t system;
	uint64_t checkpoint;
	Origin origin;
} Cluster;

typedef struct Upgrade
{
	const UpgradeOptions *options;
	FILE *out;
	Cluster old, new;
	uint64_t tree; /* the trees' system */
	bool moved;	   /* an earlier run has moved the directory */
} Upgrade;

/* ---------------------------------------------------------------- clusters */

static NvmkvStatus
read_control_file(Cluster *cluster, const char *path)
{
	uint8_t bytes[CONTROL_BYTES];
	PortFile *file;
	NvmkvStatus st;

	NVMKV_RETURN_IF(port_files->open(path, PORT_FILE_READ, &file));
	st = port_files->read(file, 0, bytes, sizeof(bytes));
	port_files->close(file);
	NVMKV_RETURN_IF(st);
	if (!check_control_version(get_u32(bytes + CONTROL_OFFSET_VERSION)))
		return NVMKV_FAIL(NVMKV_VERSION, "\"%s\" is of a version of PostgreSQL that this program does not know: use the nvmkv_upgrade of the newer version",
						  path);
	if (get_u32(bytes + CONTROL_OFFSET_STATE) != CONTROL_SHUTDOWNED)
		return NVMKV_FAIL(NVMKV_INVALID, "the server in \"%s\" was not shut down in order: start it, and stop it", cluster->data);
	cluster->system = get_u64(bytes);
	cluster->checkpoint = get_u64(bytes + CONTROL_OFFSET_CHECKPOINT);
	return NVMKV_OK;
}

/* pg_upgrade --link takes the old cluster's control file away, under another name. */
static NvmkvStatus
read_control(Cluster *cluster)
{
	char path[UPGRADE_PATH_BYTES];
	NvmkvStatus st;

	(void) snprintf(path, sizeof(path), "%s/global/pg_control", cluster->data);
	st = read_control_file(cluster, path);
	if (st == NVMKV_NOT_FOUND)
	{
		(void) snprintf(path, sizeof(path), "%s/global/pg_control.old", cluster->data);
		st = read_control_file(cluster, path);
	}
	if (st == NVMKV_NOT_FOUND)
		return NVMKV_FAIL(NVMKV_INVALID, "\"%s\" is not the data directory of a cluster", cluster->data);
	return st;
}

static NvmkvStatus
read_cluster(Cluster *cluster, const char *data)
{
	char path[UPGRADE_PATH_BYTES];

	if (strlen(data) > UPGRADE_PATH_BYTES / 4)
		return NVMKV_FAIL(NVMKV_LIMIT, "the name of \"%s\" is too long", data);
	cluster->data = data;
	(void) snprintf(cluster->dir, sizeof(cluster->dir), "%s/nvmkv", data);
	(void) snprintf(path, sizeof(path), "%s/postmaster.pid", data);
	if (port_can_open(path))
		return NVMKV_FAIL(NVMKV_INVALID, "a server runs in \"%s\" (there is a file \"postmaster.pid\"): stop it", data);
	NVMKV_RETURN_IF(read_control(cluster));
	return origin_read(cluster->dir, &cluster->origin);
}

/* ---------------------------------------------------------------- before anything is changed */

/* What the marks say; *done_out: the files have been taken. */
static NvmkvStatus
judge_marks(Upgrade *u, bool *done_out)
{
	const Origin *old = &u->old.origin;

	u->tree = old->kind == ORIGIN_TAKEN ? old->tree : u->old.system;
	*done_out = u->new.origin.kind == ORIGIN_TAKEN && u->new.origin.system == u->new.system &&
		(u->new.origin.tree == u->tree || (old->kind == ORIGIN_GIVEN && old->system == u->new.system));
	if (*done_out)
		return NVMKV_OK;
	if (u->old.system == u->new.system)
		return NVMKV_FAIL(NVMKV_INVALID, "\"%s\" and \"%s\" are one cluster, or copies of it", u->old.data, u->new.data);
	if (u->new.origin.kind != ORIGIN_AWAITED)
		return NVMKV_FAIL(NVMKV_INVALID, "\"%s\" awaits no files: pg_upgrade has not made it, or there were no foreign tables", u->new.data);
	if (old->kind == ORIGIN_GIVEN)
		return NVMKV_FAIL(NVMKV_INVALID, "the files of \"%s\" were moved to another cluster (system identifier %" PRIu64 ")",
						  u->old.data, old->system);
	if (old->kind == ORIGIN_AWAITED)
		return NVMKV_FAIL(NVMKV_INVALID, "\"%s\" still awaits its own files: run nvmkv_upgrade for it first", u->old.data);
	return NVMKV_OK;
}

static NvmkvStatus
judge_kept(const Upgrade *u)
{
	char kept[UPGRADE_PATH_BYTES];
	bool has = false;

	(void) snprintf(kept, sizeof(kept), "%s/nvmkv_kept", u->old.data);
	NVMKV_RETURN_IF(upgrade_has_files(kept, ".kept", &has));
	if (has)
		return NVMKV_FAIL(NVMKV_INVALID, "\"%s\" holds WAL of foreign tables that is still to be replayed: start the old server, put right what its log says, and stop it",
						  kept);
	return NVMKV_OK;
}

static NvmkvStatus
judge_files(Upgrade *u)
{
	UpgradeTrees trees = {.system = u->tree, .anchored = u->old.dir, .log_end = u->old.checkpoint, .dir = u->old.dir};

	NVMKV_RETURN_IF(judge_kept(u));
	if (!upgrade_is_dir(u->old.dir))
	{
		if (!upgrade_is_dir(u->new.dir))
			return NVMKV_FAIL(NVMKV_NOT_FOUND, "\"%s\" does not exist", u->old.dir);
		u->moved = true;
		trees.dir = u->new.dir;
	}
	NVMKV_RETURN_IF(upgrade_judge_trees(&trees));
	if (trees.durable > u->new.checkpoint)
		return NVMKV_FAIL(NVMKV_INVALID, "the log of \"%s\" begins before what is in \"%s\": it was not made of this cluster by pg_upgrade",
						  u->new.data, u->old.dir);
	fprintf(u->out, "%u column families, %" PRIu64 " files of tables, %" PRIu64 " bytes: sound as far as their sizes tell\n",
			trees.count, trees.files, trees.bytes);
	if (trees.pool_is_elsewhere)
		fprintf(u->out, "the container is not in \"%s\": set nvmkv.nvm_path in the new cluster as it is in the old one\n", trees.dir);
	return NVMKV_OK;
}

/* ---------------------------------------------------------------- changing it */

/*
 * What is in the new cluster's place is of no value: nothing opens it while files are awaited, and pg_upgrade asks for
 * a new cluster without tables.
 */
static NvmkvStatus
bring_directory(const Upgrade *u)
{
	char temp[UPGRADE_PATH_BYTES + 8];

	(void) snprintf(temp, sizeof(temp), "%s.new", u->new.dir);
	NVMKV_RETURN_IF(upgrade_remove(temp));
	if (u->moved)
		return NVMKV_OK;
	if (!u->options->move)
		NVMKV_RETURN_IF(upgrade_copy_dir(u->old.dir, temp));
	NVMKV_RETURN_IF(upgrade_remove(u->new.dir));
	NVMKV_RETURN_IF(port_fault("upgrade.before_move"));
	return upgrade_move(u->options->move ? u->old.dir : temp, u->new.dir);
}

static NvmkvStatus
bring(const Upgrade *u)
{
	const Origin taken = {ORIGIN_TAKEN, u->tree, u->new.system, u->new.checkpoint};
	char from[UPGRADE_PATH_BYTES + 8];
	char to[UPGRADE_PATH_BYTES + 8];

	NVMKV_RETURN_IF(bring_directory(u));
	(void) snprintf(to, sizeof(to), "%s/nvmkv_kept", u->new.data);
	NVMKV_RETURN_IF(upgrade_remove(to));
	(void) snprintf(from, sizeof(from), "%s.anchor", u->old.dir);
	(void) snprintf(to, sizeof(to), "%s.anchor", u->new.dir);
	NVMKV_RETURN_IF(port_fault("upgrade.before_anchor"));
	NVMKV_RETURN_IF(upgrade_copy_file(from, to));
	NVMKV_RETURN_IF(port_fault("upgrade.before_taken"));
	return origin_write(u->new.dir, &taken);
}

/* The last step: the old cluster says where its files are. */
static NvmkvStatus
give(const Upgrade *u)
{
	const Origin given = {.kind = ORIGIN_GIVEN, .system = u->new.system};

	if (u->old.origin.kind == ORIGIN_GIVEN || upgrade_is_dir(u->old.dir))
		return NVMKV_OK;
	NVMKV_RETURN_IF(port_fault("upgrade.before_given"));
	return origin_write(u->old.dir, &given);
}

NvmkvStatus
upgrade_run(const UpgradeOptions *options, FILE *out)
{
	Upgrade u = {.options = options, .out = out};
	bool done;

	NVMKV_RETURN_IF(read_cluster(&u.new, options->new_data));
	NVMKV_RETURN_IF(read_cluster(&u.old, options->old_data));
	NVMKV_RETURN_IF(judge_marks(&u, &done));
	if (done)
		fprintf(out, "\"%s\" has the files of foreign tables already\n", u.new.data);
	else
	{
		NVMKV_RETURN_IF(judge_files(&u));
		if (options->check)
			return NVMKV_OK;
		NVMKV_RETURN_IF(bring(&u));
		fprintf(out, "\"%s\" has them now\n", u.new.data);
	}
	return options->check ? NVMKV_OK : give(&u);
}
