/*
 * type.c
 *	  See type.h.
 */
#include "query/type.h"

#include <stddef.h>

const Type types[] = {
	{"int", NULL, FAMILY_NUMBER, true, {"1", "2", "3", "0", "4", "5", "6", "7", "-1", "2147483647", "-2147483648"}},
	{"text", "text COLLATE \"C\"", FAMILY_TEXT, true, {"a", "b", "ab", "", "B", "abc", "a b", "zz", "a%", "a_c"}},
	{"bigint", NULL, FAMILY_NUMBER, true,
		{"1", "2", "3", "0", "4", "5", "-1", "9223372036854775807", "-9223372036854775808", "4294967296"}},
	{"numeric", NULL, FAMILY_NUMBER, true, {"1", "2", "3", "0", "4", "1.5", "-1", "1e30", "NaN", "-Infinity", "0.001"}},
	{"bool", NULL, FAMILY_OTHER, false, {"false", "true"}},
	{"smallint", NULL, FAMILY_NUMBER, true, {"1", "2", "3", "0", "4", "-1", "32767", "-32768"}},
	{"float8", NULL, FAMILY_NUMBER, true, {"1", "2", "3", "0", "4", "1.5", "-1", "NaN", "Infinity", "1e300"}},
	{"real", NULL, FAMILY_NUMBER, true, {"1", "2", "3", "0", "4", "1.5", "-1", "NaN", "Infinity", "0.1"}},
	{"varchar", "varchar(5) COLLATE \"C\"", FAMILY_TEXT, true, {"a", "b", "ab", "", "B", "abc", "zz"}},
	{"char(4)", "char(4) COLLATE \"C\"", FAMILY_TEXT, true, {"a", "b", "ab", "", "B", "abc", "zz"}},
	{"name", NULL, FAMILY_TEXT, false, {"a", "b", "ab", "", "B", "abc", "zz"}},
	{"date", NULL, FAMILY_TIME, true,
		{"2000-01-01", "2000-01-02", "1999-12-31", "2024-03-31", "2024-10-27", "-infinity", "infinity"}},
	{"timestamp", NULL, FAMILY_TIME, true,
		{"2000-01-01", "2000-01-02", "1999-12-31 23:59:59", "2024-03-31 02:30", "2024-10-27", "-infinity", "infinity"}},
	{"timestamptz", NULL, FAMILY_TIME, true,
		{"2000-01-01", "2000-01-02", "1999-12-31 23:59:59", "2024-03-31 02:30", "2024-10-27", "-infinity", "infinity"}},
	{"bytea", NULL, FAMILY_OTHER, false, {"\\x61", "\\x62", "\\x", "\\x00", "\\x0000", "\\x6100", "\\xff"}},
	{"uuid", NULL, FAMILY_OTHER, false,
		{"00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002",
		"10000000-0000-0000-0000-000000000001", "ffffffff-0000-0000-0000-000000000002"}},
	{"mood", NULL, FAMILY_OTHER, true, {"sad", "ok", "happy"}},
	{"oid", NULL, FAMILY_OTHER, true, {"1", "2", "3", "0", "3000000000", "4294967295"}},
	{"money", NULL, FAMILY_OTHER, true, {"1", "2", "3", "0", "-1"}},
	{"interval", NULL, FAMILY_OTHER, true, {"1 day", "1 hour", "0", "-1 day", "3 months"}},
	{"time", NULL, FAMILY_OTHER, true, {"00:00", "01:00", "12:30", "24:00"}},
	{"pg_lsn", NULL, FAMILY_OTHER, true, {"0/1", "0/2", "1/0", "FFFFFFFF/FFFFFFFF"}},
	{"xid8", NULL, FAMILY_OTHER, false, {"1", "2", "3", "4294967296"}},
	{"macaddr", NULL, FAMILY_OTHER, false, {"00:00:00:00:00:01", "00:00:00:00:00:02", "ff:00:00:00:00:01"}},
	{"\"char\"", NULL, FAMILY_OTHER, false, {"a", "b", "A"}},
};

const int type_count = sizeof(types) / sizeof(types[0]);

const Type *const type_int = &types[0];
const Type *const type_text = &types[1];
const Type *const type_bigint = &types[2];
const Type *const type_numeric = &types[3];
const Type *const type_bool = &types[4];

bool
types_compare(const Type *a, const Type *b)
{
	return a == b || (a->family == b->family && a->family != FAMILY_OTHER);
}
