/*
 * dump_main.c
 *	  The command line of nvmkv_dump.
 */
#include "tools/dump_main.h"

#include <string.h>

#include "tools/dump_check.h"
#include "tools/dump_format.h"
#include "tools/salvage.h"

static const char usage[] =
	"usage: nvmkv_dump manifest FILE|DIR        edits, and the state they make\n"
	"       nvmkv_dump log FILE                 records of a standalone database's log\n"
	"       nvmkv_dump sst FILE [--keys]        footer, properties, blocks; entries\n"
	"       nvmkv_dump pool FILE [--dir DIR [--keys]]\n"
	"                                           header; rows by the manifest in DIR; entries\n"
	"       nvmkv_dump check DIR [--pool FILE] [--log-dir DIR]\n"
	"                                           is the database in DIR, which nobody uses, sound?\n"
	"       nvmkv_dump salvage DIR [--to DIR [--table NAME|NUMBER] [--unknown keep|drop]]\n"
	"                          [--pool FILE] [--xact DIR] [--kept DIR]\n"
	"                                           tables in the database in DIR; their rows as COPY text, around damage\n"
	"       nvmkv_dump --help                   this text\n"
	"Reads only.  Exit code 1: something is damaged, or cannot be read.\n";

static bool
salvage_option(SalvageOptions *options, const char *name, const char *value)
{
	if (strcmp(name, "--to") == 0)
		options->to = value;
	else if (strcmp(name, "--table") == 0)
		options->table = value;
	else if (strcmp(name, "--pool") == 0)
		options->pool = value;
	else if (strcmp(name, "--xact") == 0)
		options->xact = value;
	else if (strcmp(name, "--kept") == 0)
		options->kept = value;
	else if (strcmp(name, "--unknown") == 0 && (strcmp(value, "keep") == 0 || strcmp(value, "drop") == 0))
		options->keep_unknown = value[0] == 'k';
	else
		return false;
	return true;
}

int
dump_main(int argc, char **argv, FILE *out, FILE *err)
{
	Dump dump = {out, err, false, false};
	const char *what = argc > 1 ? argv[1] : "";
	const char *path = argc > 2 ? argv[2] : NULL;
	const char *dir = NULL;
	const char *pool = NULL;
	const char *log_dir = NULL;
	bool is_pool = strcmp(what, "pool") == 0;
	bool is_salvage = strcmp(what, "salvage") == 0;
	bool good = path != NULL;
	SalvageOptions salvage = {0};
	int i;

	if (strcmp(what, "-h") == 0 || strcmp(what, "--help") == 0)
	{
		fputs(usage, out);
		return fflush(out) == 0 ? DUMP_OK : DUMP_DAMAGED;
	}
	for (i = 3; i < argc && good && is_salvage; i += 2)
		good = i + 1 < argc && salvage_option(&salvage, argv[i], argv[i + 1]);
	for (i = 3; i < argc && good && !is_salvage; i++)
	{
		if (strcmp(argv[i], "--keys") == 0 && (is_pool || strcmp(what, "sst") == 0))
			dump.show_keys = true;
		else if (strcmp(argv[i], "--dir") == 0 && is_pool && i + 1 < argc)
			dir = argv[++i];
		else if (strcmp(argv[i], "--pool") == 0 && strcmp(what, "check") == 0 && i + 1 < argc)
			pool = argv[++i];
		else if (strcmp(argv[i], "--log-dir") == 0 && strcmp(what, "check") == 0 && i + 1 < argc)
			log_dir = argv[++i];
		else
			good = false;
	}
	if (good && strcmp(what, "manifest") == 0)
		dump_manifest(&dump, path);
	else if (good && strcmp(what, "log") == 0)
		dump_log(&dump, path);
	else if (good && strcmp(what, "sst") == 0)
		dump_table(&dump, path);
	else if (good && is_pool && (dir != NULL || !dump.show_keys))
		dump_pool(&dump, path, dir);
	else if (good && strcmp(what, "check") == 0)
		dump_check(&dump, path, pool, log_dir);
	else if (good && is_salvage && (salvage.to != NULL || salvage.table == NULL))
		dump_salvage(&dump, path, &salvage);
	else
	{
		fputs("nvmkv_dump: wrong usage (nvmkv_dump --help says more)\n", err);
		return DUMP_USAGE;
	}
	if (fflush(out) != 0)
	{
		fprintf(err, "nvmkv_dump: cannot write the output\n");
		return DUMP_DAMAGED;
	}
	return dump.failed ? DUMP_DAMAGED : DUMP_OK;
}
