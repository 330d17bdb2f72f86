/*
 * dump_version.c
 *	  See dump_version.h.
 */
#include "tools/dump_version.h"

#include <inttypes.h>

#include "engine/meta/outcome_file.h"

/* ---- parts of a version ---- */

/* "3-5 9": extents in the row's order. */
static void
dump_extents(Dump *dump, const uint32_t *extents, uint32_t count)
{
	uint32_t i = 0;

	while (i < count)
	{
		uint32_t first = i;

		while (i + 1 < count && extents[i + 1] == extents[i] + 1)
			i++;
		if (i == first)
			fprintf(dump->out, " %" PRIu32, extents[first]);
		else
			fprintf(dump->out, " %" PRIu32 "-%" PRIu32, extents[first], extents[i]);
		i++;
	}
}

static void
dump_range(Dump *dump, NvmkvSlice smallest, NvmkvSlice largest)
{
	fputs(" keys ", dump->out);
	dump_bytes(dump, smallest);
	fputs(" .. ", dump->out);
	dump_bytes(dump, largest);
}

static const char *
role_name(uint32_t role)
{
	return role == VERSION_RECEIVER ? "receiver" : "compactor";
}

void
dump_row(Dump *dump, const MetaRow *row)
{
	fprintf(dump->out, "row %" PRIu64 " %s: entries %" PRIu64 " from %" PRIu64 ", data bytes %" PRIu64 " live %" PRIu64
					   ", older row %" PRIu64 ", sequences %" PRIu64 " .. %" PRIu64 ", unresolved fxid %" PRIu64 ",",
			row->row_id, role_name(row->role), row->entries, row->first_live, row->data_bytes, row->live_bytes,
			row->older_row_id, row->min_sequence, row->max_sequence, row->min_unresolved_fxid);
	dump_range(dump, row->smallest, row->largest);
	fprintf(dump->out, ", %" PRIu32 " extents", row->extent_count);
	if (row->first_extent_live > 1)
		fprintf(dump->out, " (2 to %" PRIu32 " of them given back)", row->first_extent_live);
	fputc(':', dump->out);
	dump_extents(dump, row->extents, row->extent_count);
	fputc('\n', dump->out);
}

void
dump_file(Dump *dump, const MetaFile *file)
{
	if (file->level == VERSION_VALUES)
		fprintf(dump->out, "value table %06" PRIu64 ": bytes %" PRIu64 ", in use %" PRIu64 ", not in use %" PRIu64
				", entries %" PRIu64 ",", file->number, file->bytes, file->value_bytes, file->released_bytes, file->entries);
	else
		fprintf(dump->out, "table %06" PRIu64 " level %" PRIu32 ": bytes %" PRIu64 ", apart %" PRIu64 ", entries %" PRIu64
				", sequences %" PRIu64 " .. %" PRIu64 ", unresolved fxid %" PRIu64 ",", file->number, file->level, file->bytes,
				file->value_bytes, file->entries, file->min_sequence, file->max_sequence, file->min_unresolved_fxid);
	dump_range(dump, file->smallest, file->largest);
	fputc('\n', dump->out);
}

void
dump_segment(Dump *dump, const VersionSegment *segment)
{
	fprintf(dump->out, "outcomes of transactions %" PRIu64 " to %" PRIu64 ": ",
			segment->segment << OUTCOME_SEGMENT_SHIFT, ((segment->segment + 1) << OUTCOME_SEGMENT_SHIFT) - 1);
	if (segment->file != 0)
		fprintf(dump->out, "file %06" PRIu64 "\n", segment->file);
	else
		fputs("no file\n", dump->out);
}

void
dump_xids(Dump *dump, const char *what, const VersionXids *xids)
{
	fprintf(dump->out, "outcomes of transactions %" PRIu64 " to %" PRIu64 " %s\n", xids->from, xids->to - 1, what);
}

void
dump_damage(Dump *dump, const MetaDamage *damage)
{
	fprintf(dump->out, "damage in %s %06" PRIu64, damage->kind == VERSION_DAMAGE_ROW ? "row" : "table", damage->source);
	if (damage->offset != NVMKV_DAMAGE_ALL)
		fprintf(dump->out, " %s %" PRIu64, damage->kind == VERSION_DAMAGE_ROW ? "entry" : "at", damage->offset);
	fprintf(dump->out, ": sequences up to %" PRIu64 ", keys from ", damage->max_sequence);
	dump_bytes(dump, damage->low);
	fputs(" to ", dump->out);
	dump_bytes(dump, damage->upper);
	fputc('\n', dump->out);
}

/* ---- edits ---- */

const char *
dump_closed_name(bool closed)
{
	return closed ? "closed: the log has nothing more for it" : "open";
}

void
dump_incarnation(Dump *dump, uint64_t incarnation, uint64_t predecessor)
{
	fprintf(dump->out, "    incarnation %016" PRIx64, incarnation);
	if (predecessor != 0)
		fprintf(dump->out, " after %016" PRIx64, predecessor);
	fputc('\n', dump->out);
}

void
dump_generation(Dump *dump, uint64_t generation, uint64_t successor)
{
	fprintf(dump->out, "    pool of generation %016" PRIx64, generation);
	if (successor != 0)
		fprintf(dump->out, " or %016" PRIx64, successor);
	fputc('\n', dump->out);
}

void
dump_number(Dump *dump, bool has, const char *name, uint64_t value)
{
	if (has)
		fprintf(dump->out, "    %s %" PRIu64 "\n", name, value);
}

void
dump_edit(Dump *dump, const VersionEdit *e)
{
	uint32_t i;

	dump_number(dump, e->has_system, "system", e->system_identifier);
	dump_number(dump, e->has_durable, "durable sequence", e->durable_seq);
	dump_number(dump, e->has_next_file, "next file", e->next_file);
	dump_number(dump, e->has_next_row, "next row", e->next_row);
	if (e->has_pool)
		fprintf(dump->out, "    pool %016" PRIx64 "\n", e->pool_id);
	dump_number(dump, e->has_log, "log", e->log_number);
	if (e->has_closed)
		fprintf(dump->out, "    %s\n", dump_closed_name(e->closed));
	if (e->has_incarnation)
		dump_incarnation(dump, e->incarnation, e->predecessor);
	dump_number(dump, e->has_edits, "edits", e->edits);
	if (e->has_generation)
		dump_generation(dump, e->generation, e->successor);
	dump_number(dump, e->has_settled, "settled", e->settled);
	dump_number(dump, e->has_outcomes_low, "outcomes kept from", e->outcomes_low);
	for (i = 0; i < e->nsegments; i++)
	{
		fputs("    ", dump->out);
		dump_segment(dump, &e->segments[i]);
	}
	for (i = 0; i < e->nlost; i++)
	{
		fputs("    ", dump->out);
		dump_xids(dump, "are lost", &e->lost[i]);
	}
	for (i = 0; i < e->nfound; i++)
	{
		fputs("    ", dump->out);
		dump_xids(dump, "are lost no more", &e->found[i]);
	}
	for (i = 0; i < e->nrow_drops; i++)
		fprintf(dump->out, "    drop row %" PRIu64 "\n", e->row_drops[i]);
	for (i = 0; i < e->nrow_advances; i++)
		fprintf(dump->out, "    drain row %" PRIu64 " to entry %" PRIu64 ", live bytes %" PRIu64 ", extents live from %" PRIu32 "\n",
				e->row_advances[i].row_id, e->row_advances[i].first_live, e->row_advances[i].live_bytes,
				e->row_advances[i].first_extent_live);
	for (i = 0; i < e->nrow_roles; i++)
		fprintf(dump->out, "    row %" PRIu64 " becomes %s\n", e->row_roles[i].row_id, role_name(e->row_roles[i].role));
	for (i = 0; i < e->nrow_adds; i++)
	{
		fputs("    add ", dump->out);
		dump_row(dump, &e->row_adds[i]);
	}
	for (i = 0; i < e->nfile_drops; i++)
		if (e->file_drops[i].level == VERSION_VALUES)
			fprintf(dump->out, "    drop value table %06" PRIu64 "\n", e->file_drops[i].number);
		else
			fprintf(dump->out, "    drop table %06" PRIu64 " level %" PRIu32 "\n", e->file_drops[i].number,
					e->file_drops[i].level);
	for (i = 0; i < e->nfile_adds; i++)
	{
		fputs("    add ", dump->out);
		dump_file(dump, &e->file_adds[i]);
	}
	for (i = 0; i < e->nvalue_releases; i++)
		fprintf(dump->out, "    value table %06" PRIu64 ": %" PRIu64 " bytes are not in use any more\n",
				e->value_releases[i].number, e->value_releases[i].bytes);
	for (i = 0; i < e->ndamage_clears; i++)
	{
		fputs("    no damage any more: keys from ", dump->out);
		dump_bytes(dump, e->damage_clears[i].lower);
		fputs(" to ", dump->out);
		dump_bytes(dump, e->damage_clears[i].upper);
		fputc('\n', dump->out);
	}
	for (i = 0; i < e->ndamages; i++)
	{
		fputs("    ", dump->out);
		dump_damage(dump, &e->damages[i]);
	}
}
