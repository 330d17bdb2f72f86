/*
 * definition.c
 *	  A table's definition in words: see definition.h.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "fdw/key/keytype.h"
#include "fdw/table/definition.h"

static void
append_text(StringInfo out, const char *string)
{
	for (const char *p = string; *p != '\0'; p++)
	{
		if (*p == '\\')
			appendStringInfoString(out, "\\\\");
		else if (*p == '\t')
			appendStringInfoString(out, "\\t");
		else if (*p == '\n')
			appendStringInfoString(out, "\\n");
		else
			appendStringInfoChar(out, *p);
	}
}

/* The type as the definition has it; notes enums. */
static Oid
plain_type(Oid type, List **enums)
{
	Oid base = getBaseType(type);

	if (nvmkv_is_citext(base))
		return TEXTOID;
	if (!type_is_enum(base))
		return base;
	*enums = list_append_unique_oid(*enums, base);
	return ANYENUMOID;
}

static void
append_column(StringInfo out, TupleDesc desc, int attno, List **enums)
{
	Form_pg_attribute att = TupleDescAttr(desc, attno - 1);
	Oid base = InvalidOid;
	Oid element = InvalidOid;

	if (!att->attisdropped)
	{
		base = plain_type(att->atttypid, enums);
		element = get_element_type(base);
		if (OidIsValid(element))
		{
			base = ANYARRAYOID;
			element = plain_type(element, enums);
		}
	}
	appendStringInfo(out, "column\t%d\t%d\t%c\t%c\t%u\t%u\t", attno, att->attlen, att->attbyval ? 't' : 'f',
					 att->attisdropped ? 'd' : '-', base, element);
	append_text(out, NameStr(att->attname));
	appendStringInfoChar(out, '\t');
	if (!att->attisdropped)
		append_text(out, format_type_with_typemod(att->atttypid, att->atttypmod));
	appendStringInfoChar(out, '\t');
	if (att->atthasmissing && !att->attisdropped)
	{
		bool isnull;
		Datum value = getmissingattr(desc, attno, &isnull);
		Oid output;
		bool is_varlena;

		getTypeOutputInfo(att->atttypid, &output, &is_varlena);
		append_text(out, OidOutputFunctionCall(output, value));
	}
	else
		appendStringInfoString(out, "\\N");
	appendStringInfoChar(out, '\n');
}

static void
append_labels(StringInfo out, Oid type)
{
	Relation catalog = table_open(EnumRelationId, AccessShareLock);
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_enum_enumtypid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(type));
	scan = systable_beginscan(catalog, EnumTypIdLabelIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_enum label = (Form_pg_enum) GETSTRUCT(tuple);

		appendStringInfo(out, "label\t%u\t", label->oid);
		append_text(out, NameStr(label->enumlabel));
		appendStringInfoChar(out, '\n');
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

char *
nvmkv_definition(Relation rel, const NvmkvKeyColumn *keys, int nkeys)
{
	TupleDesc desc = RelationGetDescr(rel);
	StringInfoData out;
	List *enums = NIL;
	ListCell *lc;

	initStringInfo(&out);
	appendStringInfoString(&out, "nvmkv\t1\ntable\t");
	append_text(&out, quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
												 RelationGetRelationName(rel)));
	appendStringInfoChar(&out, '\n');
	for (int attno = 1; attno <= desc->natts; attno++)
		append_column(&out, desc, attno, &enums);
	for (int i = 0; i < nkeys; i++)
		appendStringInfo(&out, "key\t%d\t%d\t%d\t%c\t%c\t%c\n", keys[i].attnum, (int) keys[i].how.key_class, keys[i].how.width,
						 keys[i].how.is_signed ? 't' : 'f', keys[i].descending ? 't' : 'f',
						 keys[i].image_equal ? 'k' : 'v');
	foreach(lc, enums)
		append_labels(&out, lfirst_oid(lc));
	return out.data;
}
