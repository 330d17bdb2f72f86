/*
 * keytype.c
 *	  Which types can be in keys, and what their bytes tell.
 *
 * Bytes order as the type's default operator class does, but for enums, whose
 * order can change while their members' OIDs do not, and text whose collation
 * is another than C and not ICU's: of the C library's sort keys PostgreSQL
 * itself says that they do not always agree with its comparisons, so only
 * equality is told from the bytes.  It is that of the bytes under all
 * deterministic collations.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_language.h"
#include "catalog/pg_opfamily_d.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "utils/lsyscache.h"
#include "utils/pg_locale.h"
#include "utils/rangetypes.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

#include "fdw/compat/compat.h"
#include "fdw/key/keytype.h"
#include "fdw/key/keyvalue.h"

StaticAssertDecl(sizeof(NameData) == NAMEDATALEN, "a name is its bytes");

#define KEY_TYPE_CHOICES \
	"Key columns can be boolean, integers, oid, \"char\", name, text, varchar, char, citext, bytea, bit, bit varying, numeric, real, double precision, money, dates, times and intervals, uuid, inet, cidr, macaddr, macaddr8, pg_lsn, xid8, enums, arrays and ranges of these, and domains over all of them."

static void
set_int(NvmkvKeyType *how, int16 width, bool is_signed)
{
	how->key_class = NVMKV_KEY_INT;
	how->width = width;
	how->is_signed = is_signed;
}

static void
set_fixed(NvmkvKeyType *how, NvmkvKeyClass key_class, int16 width)
{
	how->key_class = key_class;
	how->width = width;
}

bool
nvmkv_is_citext(Oid type)
{
	Oid compare = lookup_type_cache(type, TYPECACHE_CMP_PROC)->cmp_proc;
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(compare));
	bool is;

	if (!HeapTupleIsValid(tuple))
		return false;
	is = ((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId &&
		strcmp(NameStr(((Form_pg_proc) GETSTRUCT(tuple))->proname), "citext_cmp") == 0;
	ReleaseSysCache(tuple);
	return is;
}

/* Class of how->type; false when it has none. */
static bool
set_class(NvmkvKeyType *how)
{
	switch (how->type)
	{
		case BOOLOID:
		case CHAROID: /* compared as an unsigned byte */
			set_int(how, 1, false);
			return true;
		case INT2OID:
			set_int(how, 2, true);
			return true;
		case INT4OID:
		case DATEOID:
			set_int(how, 4, true);
			return true;
		case INT8OID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case MONEYOID:
			set_int(how, 8, true);
			return true;
		case OIDOID:
			set_int(how, 4, false);
			return true;
		case PG_LSNOID:
		case XID8OID:
			set_int(how, 8, false);
			return true;
		case FLOAT4OID:
			set_fixed(how, NVMKV_KEY_FLOAT, 4);
			return true;
		case FLOAT8OID:
			set_fixed(how, NVMKV_KEY_FLOAT, 8);
			return true;
		case UUIDOID:
			set_fixed(how, NVMKV_KEY_BYTES_FIXED, UUID_LEN);
			return true;
		case MACADDROID:
			set_fixed(how, NVMKV_KEY_BYTES_FIXED, 6);
			return true;
		case MACADDR8OID:
			set_fixed(how, NVMKV_KEY_BYTES_FIXED, 8);
			return true;
		case TIMETZOID:
			set_fixed(how, NVMKV_KEY_TIMETZ, 12);
			return true;
		case INTERVALOID:
			set_fixed(how, NVMKV_KEY_INTERVAL, 16);
			return true;
		case NUMERICOID:
			set_fixed(how, NVMKV_KEY_NUMERIC, 0);
			return true;
		case INETOID:
		case CIDROID:
			set_fixed(how, NVMKV_KEY_INET, 0);
			return true;
		case BITOID:
		case VARBITOID:
			set_fixed(how, NVMKV_KEY_BITS, 0);
			return true;
		case BYTEAOID:
		case NAMEOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			set_fixed(how, NVMKV_KEY_BYTES, 0);
			return true;
		default:
			if (type_is_enum(how->type))
			{
				set_int(how, 4, false);
				return true;
			}
			if (nvmkv_is_citext(how->type))
			{
				set_fixed(how, NVMKV_KEY_BYTES, 0);
				how->folded = true;
				return true;
			}
			return false;
	}
}


/*
 * The type, which is below domains, under the collation.  by_bytes: whatever the collation's order is.  *ordered is
 * set to false where bytes tell only equality.  False: it has no bytes.
 */
static bool
describe_value(NvmkvKeyType *how, Oid type, Oid collation, bool by_bytes, bool *ordered)
{
	how->type = type;
	how->collation = collation;
	if (!set_class(how))
		return false;
	if (type_is_enum(type))
		*ordered = false;
	if (!OidIsValid(collation) || by_bytes || how->key_class != NVMKV_KEY_BYTES || lc_collate_is_c(collation))
		return true;
	if (nvmkv_icu_locale(collation) != NULL)
		how->key_class = NVMKV_KEY_COLLATED;
	else
		*ordered = false;
	return true;
}

/* An array or a range, that compares its elements by their types' own order. */
static bool
describe_container(NvmkvKeyColumn *col, const TypeCacheEntry *type)
{
	TypeCacheEntry *range;
	Oid element;

	if (type->btree_opintype == ANYARRAYOID)
	{
		col->how.key_class = NVMKV_KEY_ARRAY;
		element = get_element_type(type->type_id);
		return OidIsValid(element) &&
			describe_value(&col->element, getBaseType(element), col->collation, false, &col->ordered);
	}
	if (type->btree_opintype != ANYRANGEOID)
		return false;
	col->how.key_class = NVMKV_KEY_RANGE;
	range = lookup_type_cache(type->type_id, TYPECACHE_RANGE_INFO);
	element = range->rngelemtype->type_id;
	return range->rng_cmp_proc_finfo.fn_oid == lookup_type_cache(element, TYPECACHE_CMP_PROC)->cmp_proc &&
		describe_value(&col->element, getBaseType(element), range->rng_collation, false, &col->ordered);
}

/* The version of ICU's that the sort keys are of. */
static void
set_collation_version(NvmkvKeyColumn *col)
{
	Oid collation;

	if (col->how.key_class == NVMKV_KEY_COLLATED)
		collation = col->how.collation;
	else if (col->element.key_class == NVMKV_KEY_COLLATED)
		collation = col->element.collation;
	else
		return;
	strlcpy(col->collation_version, nvmkv_icu_version(nvmkv_icu_locale(collation)), sizeof(col->collation_version));
}

static bool
is_nondeterministic(Oid collation)
{
	return OidIsValid(collation) && !get_collation_isdeterministic(collation);
}

bool
nvmkv_key_is_pattern_family(Oid opfamily)
{
	return opfamily == TEXT_PATTERN_BTREE_FAM_OID || opfamily == BPCHAR_PATTERN_BTREE_FAM_OID;
}

void
nvmkv_key_column_by_bytes(NvmkvKeyColumn *col)
{
	const char *reason;

	col->opfamily = col->how.type == BPCHAROID ? BPCHAR_PATTERN_BTREE_FAM_OID : TEXT_PATTERN_BTREE_FAM_OID;
	if (!nvmkv_key_column_setup(col, &reason))
		elog(ERROR, "text of type %u has no bytes", col->type);
}

bool
nvmkv_key_column_setup(NvmkvKeyColumn *col, const char **reason_out)
{
	Oid base = getBaseType(col->type);
	TypeCacheEntry *type = lookup_type_cache(base, TYPECACHE_BTREE_OPFAMILY | TYPECACHE_HASH_OPFAMILY);
	bool by_bytes = nvmkv_key_is_pattern_family(col->opfamily);

	*reason_out = NULL;
	col->ordered = true;
	memset(&col->how, 0, sizeof(col->how));
	memset(&col->element, 0, sizeof(col->element));
	memset(col->collation_version, 0, sizeof(col->collation_version));
	if (!describe_value(&col->how, base, col->collation, by_bytes, &col->ordered) && !describe_container(col, type))
	{
		*reason_out = _(KEY_TYPE_CHOICES);
		return false;
	}
	col->image_equal =
		nvmkv_key_class_gives_back(col->how.key_class) && base != BPCHAROID && !col->how.folded;

	if (is_nondeterministic(col->collation) || is_nondeterministic(col->element.collation))
	{
		*reason_out = _("Nondeterministic collations are not supported in keys.");
		return false;
	}
	if (OidIsValid(col->opfamily) && !by_bytes && col->opfamily != type->btree_opf)
	{
		*reason_out = _("Its operator class is not the type's default one.");
		return false;
	}
	set_collation_version(col);

	/* What the planner may believe: the class's order, or equality alone. */
	if (!by_bytes)
	{
		col->opfamily = col->ordered ? type->btree_opf : type->hash_opf;
		col->opcintype = col->ordered ? type->btree_opintype : type->hash_opintype;
	}
	else
		col->opcintype = base == BPCHAROID ? BPCHAROID : TEXTOID;
	if (!OidIsValid(col->opfamily))
	{
		*reason_out = _("The type has no default operator class.");
		return false;
	}
	return true;
}
