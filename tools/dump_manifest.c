/*
 * dump_manifest.c
 *	  A MANIFEST: its edits, and the state they make.
 */
#include "tools/dump_format.h"

#include <inttypes.h>

#include "tools/dump_fold.h"
#include "tools/dump_version.h"

void
dump_manifest(Dump *dump, const char *path)
{
	DumpState state;
	const VersionDraft *live = &state.live;
	uint32_t i;

	if (dump_fold(dump, path, true, &state))
	{
		fprintf(dump->out, "state\n");
		dump_number(dump, true, "system", live->system_identifier);
		dump_number(dump, true, "durable sequence", live->durable_seq);
		dump_number(dump, true, "next file", live->next_file);
		dump_number(dump, true, "next row", live->next_row);
		fprintf(dump->out, "    pool %016" PRIx64 "\n", live->pool_id);
		dump_number(dump, true, "log", live->log_number);
		fprintf(dump->out, "    %s\n", dump_closed_name(live->closed));
		dump_incarnation(dump, live->incarnation, live->predecessor);
		dump_number(dump, true, "edits", live->edits);
		dump_generation(dump, live->generation, live->successor);
		for (i = 0; i < live->nrows; i++)
		{
			fputs("    ", dump->out);
			dump_row(dump, &live->rows[i]);
		}
		for (i = 0; i < live->nfiles; i++)
		{
			fputs("    ", dump->out);
			dump_file(dump, &live->files[i]);
		}
		for (i = 0; i < live->ndamages; i++)
		{
			fputs("    ", dump->out);
			dump_damage(dump, &live->damages[i]);
		}
		dump_number(dump, true, "settled", live->settled);
		dump_number(dump, true, "outcomes kept from", live->outcomes_low);
		for (i = 0; i < live->nsegments; i++)
		{
			fputs("    ", dump->out);
			dump_segment(dump, &live->segments[i]);
		}
		for (i = 0; i < live->nlost; i++)
		{
			fputs("    ", dump->out);
			dump_xids(dump, "are lost", &live->lost[i]);
		}
	}
	dump_state_free(&state);
}
