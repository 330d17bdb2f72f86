/*
 * rowtype.c
 *	  Row types that our tables have values of.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "fdw/ddl/rowtype.h"
#include "fdw/table/table.h"

/* Are values of the row type within those of the type? */
static bool
type_embeds(Oid type, Oid row_type)
{
	Oid inner;

	check_stack_depth();
	if (type == row_type)
		return true;
	switch (get_typtype(type))
	{
		case TYPTYPE_DOMAIN:
			return type_embeds(getBaseType(type), row_type);
		case TYPTYPE_RANGE:
			return type_embeds(get_range_subtype(type), row_type);
		case TYPTYPE_MULTIRANGE:
			return type_embeds(get_multirange_range(type), row_type);
		case TYPTYPE_COMPOSITE:
		{
			TupleDesc desc = lookup_rowtype_tupdesc_copy(type, -1);

			for (int i = 0; i < desc->natts; i++)
			{
				if (!TupleDescAttr(desc, i)->attisdropped && type_embeds(TupleDescAttr(desc, i)->atttypid, row_type))
					return true;
			}
			return false;
		}
		default:
			inner = get_element_type(type);
			return OidIsValid(inner) && type_embeds(inner, row_type);
	}
}

/* As find_composite_type_dependencies() of the server. */
static void
report_use(Oid row_type, Relation rel, Form_pg_attribute att)
{
	Oid relid = get_typ_typrelid(row_type);

	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 get_rel_relkind(relid) == RELKIND_COMPOSITE_TYPE
				 ? errmsg("cannot alter type \"%s\" because column \"%s.%s\" uses it", format_type_be(row_type),
						  RelationGetRelationName(rel), NameStr(att->attname))
				 : errmsg("cannot alter table \"%s\" because column \"%s.%s\" uses its row type", get_rel_name(relid),
						  RelationGetRelationName(rel), NameStr(att->attname))));
}

/*
 * A row type must not change under columns that store it, though there be no
 * row.  The server sees to that for tables with storage, and only in some of
 * its versions for foreign ones.
 */
void
nvmkv_refuse_stored_row_type(Oid row_type)
{
	ListCell *lc;

	foreach(lc, nvmkv_our_relids())
	{
		Relation rel = try_relation_open(lfirst_oid(lc), AccessShareLock);

		if (rel == NULL)
			continue;
		for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
		{
			Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);

			if (!att->attisdropped && type_embeds(att->atttypid, row_type))
				report_use(row_type, rel, att);
		}
		relation_close(rel, NoLock);
	}
}

/*
 * Nor must a column with a value in old rows be added to it: values of the row type stored elsewhere would not get it.
 * As the server does it for heap tables.
 */
void
nvmkv_refuse_row_type_change(Relation rel)
{
	find_composite_type_dependencies(rel->rd_rel->reltype, rel, NULL);
	nvmkv_refuse_stored_row_type(rel->rd_rel->reltype);
}
