/*
 * salvage_type.c
 *	  Values of the server's types as the server prints them, with DateStyle ISO, IntervalStyle postgres and time zone
 *	  UTC.
 */
#include "tools/salvage_type.h"

#include <inttypes.h>
#include <lz4.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "engine/base/coding.h"

#define USECS_PER_DAY INT64_C(86400000000)
#define USECS_PER_HOUR INT64_C(3600000000)

static NvmkvStatus
malformed(void)
{
	return NVMKV_FAIL(NVMKV_CORRUPTION, "a malformed value");
}

__attribute__((format(printf, 2, 3))) static NvmkvStatus
print(NvmkvBuf *text, const char *fmt, ...)
{
	char bytes[512];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(bytes, sizeof(bytes), fmt, args);
	va_end(args);
	return nvmkv_buf_append(text, bytes, (size_t) n);
}

static int64_t
int_of(NvmkvSlice data)
{
	switch (data.size)
	{
		case 1:
			return (int8_t) data.data[0];
		case 2:
			return (int16_t) get_u16(data.data);
		case 4:
			return (int32_t) get_u32(data.data);
		default:
			return (int64_t) get_u64(data.data);
	}
}

/* ---- varlenas ---- */

/* The server's own compression (common/pg_lzcompress.c). */
static bool
expand_pglz(const uint8_t *p, size_t size, uint8_t *out, size_t raw)
{
	const uint8_t *end = p + size;
	size_t n = 0;

	while (p < end && n < raw)
	{
		unsigned control = *p++;
		int bit;

		for (bit = 0; bit < 8 && p < end && n < raw; bit++, control >>= 1)
		{
			size_t length, back;

			if ((control & 1) == 0)
			{
				out[n++] = *p++;
				continue;
			}
			if (end - p < 2)
				return false;
			length = (size_t) (p[0] & 0x0f) + 3;
			back = (size_t) (p[0] & 0xf0) << 4 | p[1];
			p += 2;
			if (length == 18)
			{
				if (p == end)
					return false;
				length += *p++;
			}
			if (back == 0 || back > n)
				return false;
			if (length > raw - n)
				length = raw - n;
			for (; length > 0; length--, n++)
				out[n] = out[n - back];
		}
	}
	return n == raw && p == end;
}

NvmkvStatus
salvage_varlena(const uint8_t *p, const uint8_t *end, size_t *size_out, NvmkvSlice *data_out, NvmkvBuf *scratch)
{
	size_t room = (size_t) (end - p);
	uint32_t head, info, raw;
	bool good;

	if (room == 0)
		return malformed();
	if ((p[0] & 1) != 0)
	{
		*size_out = p[0] >> 1;
		if (*size_out < 1 || *size_out > room)
			return malformed();
		*data_out = nvmkv_slice(p + 1, *size_out - 1);
		return NVMKV_OK;
	}
	if (room < 4)
		return malformed();
	head = get_u32(p);
	*size_out = head >> 2;
	if (*size_out < 4 || *size_out > room)
		return malformed();
	if ((head & 3) == 0)
	{
		*data_out = nvmkv_slice(p + 4, *size_out - 4);
		return NVMKV_OK;
	}
	if (*size_out < 8)
		return malformed();
	info = get_u32(p + 4);
	raw = info & ((UINT32_C(1) << 30) - 1);
	scratch->size = 0;
	NVMKV_RETURN_IF(nvmkv_buf_reserve(scratch, (size_t) raw + 1));
	if (info >> 30 == 0)
		good = expand_pglz(p + 8, *size_out - 8, scratch->data, raw);
	else
		good = info >> 30 == 1 && LZ4_decompress_safe((const char *) p + 8, (char *) scratch->data,
													  (int) (*size_out - 8), (int) raw) == (int) raw;
	if (!good)
		return malformed();
	scratch->size = raw;
	*data_out = nvmkv_buf_slice(scratch);
	return NVMKV_OK;
}

/* ---- numbers ---- */

/* The next value of the type, up or down; of a positive one that is its bits as a number. */
static double
neighbour(double value, int step, bool is_single)
{
	uint64_t bits;
	uint32_t single_bits;
	float single = (float) value;

	if (is_single)
	{
		memcpy(&single_bits, &single, sizeof(single_bits));
		single_bits += (uint32_t) step;
		memcpy(&single, &single_bits, sizeof(single_bits));
		return (double) single;
	}
	memcpy(&bits, &value, sizeof(bits));
	bits += (uint64_t) (int64_t) step;
	memcpy(&value, &bits, sizeof(bits));
	return value;
}

/*
 * Do the digits stand for this value, however readers round?  Those half way to a neighbour do not count, as there.
 */
static bool
reads_back(const char *digits, double value, bool is_single)
{
	long double read = strtold(digits, NULL);
	long double below = neighbour(value, -1, is_single);
	long double above = neighbour(value, 1, is_single);

	if (isinf(above))
		return is_single ? strtof(digits, NULL) == (float) value : strtod(digits, NULL) == value;
	return read > (below + value) / 2 && read < (above + value) / 2;
}

/* The shortest digits that read back as the value, laid out as the server does. */
static NvmkvStatus
print_float(NvmkvBuf *text, double value, bool is_single)
{
	char digits[64];
	char *at;
	int precision, exponent, n;

	if (isnan(value))
		return print(text, "NaN");
	if (isinf(value))
		return print(text, value < 0 ? "-Infinity" : "Infinity");
	if (signbit(value))
	{
		NVMKV_RETURN_IF(print(text, "-"));
		value = -value;
	}
	if (value == 0)
		return print(text, "0");
	for (precision = 0; precision < 17; precision++)
	{
		(void) snprintf(digits, sizeof(digits), "%.*e", precision, value);
		if (reads_back(digits, value, is_single))
			break;
	}
	at = strchr(digits, 'e');
	exponent = atoi(at + 1);
	*at = '\0';
	if (precision > 0)
		memmove(digits + 1, digits + 2, strlen(digits + 2) + 1); /* the point */
	n = (int) strlen(digits);
	if (exponent < -4 || exponent >= (is_single ? 6 : 15))
		return print(text, "%c%s%se%c%02d", digits[0], n > 1 ? "." : "", digits + 1, exponent < 0 ? '-' : '+',
					 abs(exponent));
	if (exponent < 0)
		return print(text, "0.%.*s%s", -exponent - 1, "0000", digits);
	if (n <= exponent + 1)
		return print(text, "%s%.*s", digits, exponent + 1 - n, "000000000000000");
	return print(text, "%.*s.%s", exponent + 1, digits, digits + exponent + 1);
}

static NvmkvStatus
print_numeric(NvmkvBuf *text, NvmkvSlice data)
{
	const uint8_t *p = data.data;
	unsigned head, scale, ndigits, i;
	int weight, d;
	bool negative;
	size_t digits_at;

	if (data.size < 2)
		return malformed();
	head = get_u16(p);
	if ((head & 0xc000) == 0xc000)
		return print(text, head == 0xc000 ? "NaN" : head == 0xd000 ? "Infinity" : "-Infinity");
	if ((head & 0x8000) != 0)
	{
		negative = (head & 0x2000) != 0;
		scale = (head & 0x1f80) >> 7;
		weight = (int) (head & 0x3f) - ((head & 0x40) != 0 ? 64 : 0);
		p += 2;
	}
	else
	{
		if (data.size < 4)
			return malformed();
		negative = (head & 0xc000) == 0x4000;
		scale = head & 0x3fff;
		weight = (int16_t) get_u16(p + 2);
		p += 4;
	}
	ndigits = (unsigned) (data.data + data.size - p) / 2;
#define DIGIT(n_) ((n_) >= 0 && (n_) < (int) ndigits ? get_u16(p + 2 * (n_)) : 0)
	if (negative)
		NVMKV_RETURN_IF(print(text, "-"));
	if (weight < 0)
		NVMKV_RETURN_IF(print(text, "0"));
	for (d = 0; d <= weight; d++)
		NVMKV_RETURN_IF(print(text, d == 0 ? "%u" : "%04u", (unsigned) DIGIT(d)));
	if (scale == 0)
		return NVMKV_OK;
	NVMKV_RETURN_IF(print(text, "."));
	digits_at = text->size;
	for (i = 0, d = weight + 1; i < scale; i += 4, d++)
		NVMKV_RETURN_IF(print(text, "%04u", (unsigned) DIGIT(d)));
#undef DIGIT
	text->size = digits_at + scale;
	return NVMKV_OK;
}

/* ---- dates and times ---- */

/* Days since 2000-01-01 to a date of the Gregorian calendar. */
static void
date_of(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
	int64_t z = days + 10957 + 719468; /* since 0000-03-01 */
	int64_t era;
	unsigned doe, yoe, doy, mp;

	era = (z >= 0 ? z : z - 146096) / 146097;
	doe = (unsigned) (z - era * 146097);
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	*day = doy - (153 * mp + 2) / 5 + 1;
	*month = mp < 10 ? mp + 3 : mp - 9;
	*year = (int64_t) yoe + era * 400 + (*month <= 2 ? 1 : 0);
}

static NvmkvStatus
print_date(NvmkvBuf *text, int64_t days, bool *bc)
{
	int64_t year;
	unsigned month, day;

	date_of(days, &year, &month, &day);
	*bc = year <= 0;
	return print(text, "%04" PRId64 "-%02u-%02u", *bc ? 1 - year : year, month, day);
}

static NvmkvStatus
print_time(NvmkvBuf *text, int64_t usecs)
{
	unsigned fraction = (unsigned) (usecs % 1000000);

	NVMKV_RETURN_IF(print(text, "%02" PRId64 ":%02" PRId64 ":%02" PRId64, usecs / USECS_PER_HOUR,
						  usecs / 60000000 % 60, usecs / 1000000 % 60));
	if (fraction == 0)
		return NVMKV_OK;
	NVMKV_RETURN_IF(print(text, ".%06u", fraction));
	while (text->data[text->size - 1] == '0')
		text->size--;
	return NVMKV_OK;
}

static NvmkvStatus
print_timestamp(NvmkvBuf *text, int64_t usecs, bool has_zone)
{
	int64_t days = usecs / USECS_PER_DAY;
	int64_t rest = usecs % USECS_PER_DAY;
	bool bc;

	if (usecs == INT64_MAX || usecs == INT64_MIN)
		return print(text, usecs < 0 ? "-infinity" : "infinity");
	if (rest < 0)
	{
		rest += USECS_PER_DAY;
		days--;
	}
	NVMKV_RETURN_IF(print_date(text, days, &bc));
	NVMKV_RETURN_IF(print(text, " "));
	NVMKV_RETURN_IF(print_time(text, rest));
	return print(text, "%s%s", has_zone ? "+00" : "", bc ? " BC" : "");
}

static NvmkvStatus
print_timetz(NvmkvBuf *text, NvmkvSlice data)
{
	int32_t zone = -(int32_t) get_u32(data.data + 8); /* stored westwards */
	unsigned east = (unsigned) abs(zone);

	NVMKV_RETURN_IF(print_time(text, (int64_t) get_u64(data.data)));
	NVMKV_RETURN_IF(print(text, "%c%02u", zone < 0 ? '-' : '+', east / 3600));
	if (east % 3600 != 0)
		NVMKV_RETURN_IF(print(text, ":%02u", east / 60 % 60));
	return east % 60 != 0 ? print(text, ":%02u", east % 60) : NVMKV_OK;
}

static NvmkvStatus
print_interval(NvmkvBuf *text, NvmkvSlice data)
{
	int64_t time = (int64_t) get_u64(data.data);
	int32_t parts[3];
	static const char *const names[3] = {"year", "mon", "day"};
	bool any = false, before_negative = false;
	int i;

	parts[0] = (int32_t) get_u32(data.data + 12) / 12;
	parts[1] = (int32_t) get_u32(data.data + 12) % 12;
	parts[2] = (int32_t) get_u32(data.data + 8);
	for (i = 0; i < 3; i++)
	{
		if (parts[i] == 0)
			continue;
		NVMKV_RETURN_IF(print(text, "%s%s%d %s%s", any ? " " : "", before_negative && parts[i] > 0 ? "+" : "", parts[i],
							  names[i], parts[i] != 1 ? "s" : ""));
		before_negative = parts[i] < 0;
		any = true;
	}
	if (time == 0 && any)
		return NVMKV_OK;
	NVMKV_RETURN_IF(print(text, "%s%s", any ? " " : "", time < 0 ? "-" : before_negative ? "+" : ""));
	return print_time(text, time < 0 ? -time : time);
}

/* ---- others ---- */

static NvmkvStatus
print_hex(NvmkvBuf *text, NvmkvSlice data, const char *head)
{
	size_t i;

	NVMKV_RETURN_IF(print(text, "%s", head));
	for (i = 0; i < data.size; i++)
		NVMKV_RETURN_IF(print(text, "%02x", data.data[i]));
	return NVMKV_OK;
}

static NvmkvStatus
print_bits(NvmkvBuf *text, NvmkvSlice data)
{
	uint32_t count, i;

	if (data.size < 4)
		return malformed();
	count = get_u32(data.data);
	if ((size_t) count / 8 + (count % 8 != 0) != data.size - 4)
		return malformed();
	for (i = 0; i < count; i++)
		NVMKV_RETURN_IF(print(text, "%c", (data.data[4 + i / 8] >> (7 - i % 8) & 1) != 0 ? '1' : '0'));
	return NVMKV_OK;
}

/* The longest run of zeros of two or more is left out, as inet_ntop does. */
static NvmkvStatus
print_ipv6(NvmkvBuf *text, const uint8_t *p)
{
	int best = -1, best_length = 1, i;

	for (i = 0; i < 8; i++)
	{
		int n = 0;

		while (i + n < 8 && p[2 * (i + n)] == 0 && p[2 * (i + n) + 1] == 0)
			n++;
		if (n > best_length)
		{
			best = i;
			best_length = n;
		}
	}
	for (i = 0; i < 8; i++)
	{
		if (i == best)
		{
			NVMKV_RETURN_IF(print(text, i + best_length == 8 ? "::" : ":"));
			i += best_length - 1;
			continue;
		}
		NVMKV_RETURN_IF(print(text, "%s%x", i > 0 ? ":" : "", p[2 * i] << 8 | p[2 * i + 1]));
	}
	return NVMKV_OK;
}

static NvmkvStatus
print_inet(NvmkvBuf *text, NvmkvSlice data, bool is_cidr)
{
	unsigned bits;

	if (data.size != 6 && data.size != 18)
		return malformed();
	bits = data.data[1];
	if (data.size == 6)
		NVMKV_RETURN_IF(print(text, "%u.%u.%u.%u", data.data[2], data.data[3], data.data[4], data.data[5]));
	else
		NVMKV_RETURN_IF(print_ipv6(text, data.data + 2));
	return is_cidr || bits != (data.size == 6 ? 32 : 128) ? print(text, "/%u", bits) : NVMKV_OK;
}

static NvmkvStatus
print_label(const SalvageTable *table, NvmkvBuf *text, uint32_t oid)
{
	unsigned i;

	for (i = 0; i < table->nlabels; i++)
		if (table->labels[i].oid == oid)
			return print(text, "%s", table->labels[i].label);
	return print(text, "%" PRIu32, oid); /* it came later than the definition */
}

/* Bytes of a type that has always as many: 0: a varlena, -1: not known here. */
static int
fixed_bytes(uint32_t type)
{
	switch (type)
	{
		case 16: /* bool */
		case 18: /* "char" */
			return 1;
		case 21: /* int2 */
			return 2;
		case 23:   /* int4 */
		case 26:   /* oid */
		case 28:   /* xid */
		case 700:  /* float4 */
		case 1082: /* date */
		case TYPE_ENUM:
			return 4;
		case 20:   /* int8 */
		case 701:  /* float8 */
		case 774:  /* macaddr8 */
		case 790:  /* money */
		case 1083: /* time */
		case 1114: /* timestamp */
		case 1184: /* timestamptz */
		case 3220: /* pg_lsn */
		case 5069: /* xid8 */
			return 8;
		case 829: /* macaddr */
			return 6;
		case TYPE_TIMETZ:
			return 12;
		case 1186: /* interval */
		case 2950: /* uuid */
			return 16;
		case TYPE_NAME:
			return 64;
		case TYPE_BYTEA:
		case 25:   /* text */
		case 114:  /* json */
		case 142:  /* xml */
		case 650:  /* cidr */
		case 869:  /* inet */
		case 1042: /* character */
		case 1043: /* character varying */
		case 1560: /* bit */
		case 1562: /* bit varying */
		case 1700: /* numeric */
		case TYPE_ARRAY:
			return 0;
		default:
			return -1;
	}
}

/* ---- arrays ---- */

static bool
needs_quotes(NvmkvSlice element)
{
	size_t i;

	if (element.size == 0 || (element.size == 4 && strncasecmp((const char *) element.data, "null", 4) == 0))
		return true;
	for (i = 0; i < element.size; i++)
		if (memchr("{},\"\\ \t\n\r\v\f", element.data[i], 11) != NULL)
			return true;
	return false;
}

static NvmkvStatus
append_element(NvmkvBuf *text, NvmkvSlice element)
{
	size_t i;

	if (!needs_quotes(element))
		return nvmkv_buf_append(text, element.data, element.size);
	NVMKV_RETURN_IF(print(text, "\""));
	for (i = 0; i < element.size; i++)
	{
		if (element.data[i] == '"' || element.data[i] == '\\')
			NVMKV_RETURN_IF(print(text, "\\"));
		NVMKV_RETURN_IF(nvmkv_buf_append(text, element.data + i, 1));
	}
	return print(text, "\"");
}

/* As the server aligns what is in arrays. */
static size_t
alignment_of(uint32_t type)
{
	int bytes = fixed_bytes(type);

	if (type == 2950 || type == TYPE_NAME || bytes == 1)
		return 1;
	if (bytes == 2)
		return 2;
	if (type == 829 || type == 774)
		return 4;
	return bytes == 8 || type == TYPE_TIMETZ || type == 1186 ? 8 : 4;
}

static NvmkvStatus
print_element(const SalvageTable *table, uint32_t type, const uint8_t *base, const uint8_t **p, const uint8_t *end,
			  NvmkvBuf *text, bool *odd_out)
{
	NvmkvBuf element = {0};
	NvmkvBuf scratch = {0};
	NvmkvSlice data = {0};
	int bytes = fixed_bytes(type);
	size_t size = (size_t) bytes;
	NvmkvStatus st = NVMKV_OK;

	/* A short header is never padded before; where padding may be, it is zero. */
	if (bytes != 0 || *p >= end || **p == 0)
	{
		size_t align = alignment_of(type);
		size_t off = (size_t) (*p - base);

		*p = base + (off + align - 1) / align * align;
	}
	if (*p >= end)
		return malformed();
	if (bytes == 0)
		st = salvage_varlena(*p, end, &size, &data, &scratch);
	else if (size > (size_t) (end - *p))
		st = malformed();
	else
		data = nvmkv_slice(*p, size);
	if (st == NVMKV_OK)
		st = salvage_value(table, type, 0, data, &element, odd_out);
	if (st == NVMKV_OK)
		st = append_element(text, nvmkv_buf_slice(&element));
	*p += size;
	nvmkv_buf_free(&element);
	nvmkv_buf_free(&scratch);
	return st;
}

#define ARRAY_DIMENSIONS_MAX 6

/* How many elements one index of dimension d - 1 stands for. */
static int64_t
elements_below(const int32_t *dims, int d, int ndim)
{
	int64_t n = 1;

	for (; d < ndim; d++)
		n *= dims[d];
	return n;
}

static NvmkvStatus
print_array(const SalvageTable *table, uint32_t type, NvmkvSlice data, NvmkvBuf *text, bool *odd_out)
{
	const uint8_t *base = data.data - 4; /* offsets and alignment count from the header on, which is not looked at */
	const uint8_t *end = data.data + data.size;
	const uint8_t *nulls = NULL;
	const uint8_t *p;
	int32_t ndim, dims[ARRAY_DIMENSIONS_MAX], lower[ARRAY_DIMENSIONS_MAX];
	int64_t count = 1, i;
	uint32_t offset;
	bool plain = true;
	int d;

	if (data.size < 12)
		return malformed();
	ndim = (int32_t) get_u32(data.data);
	offset = get_u32(data.data + 4);
	if (ndim == 0)
		return print(text, "{}");
	if (ndim < 0 || ndim > ARRAY_DIMENSIONS_MAX || data.size < 12 + 8 * (size_t) ndim)
		return malformed();
	for (d = 0; d < ndim; d++)
	{
		dims[d] = (int32_t) get_u32(data.data + 12 + 4 * d);
		lower[d] = (int32_t) get_u32(data.data + 12 + 4 * (ndim + d));
		plain = plain && lower[d] == 1;
		if (dims[d] <= 0 || (count *= dims[d]) > (int64_t) data.size * 8)
			return malformed();
	}
	if (offset != 0)
		nulls = data.data + 12 + 8 * ndim;
	/* Without NULLs the data begins behind the dimensions, aligned to eight bytes. */
	p = base + (offset != 0 ? offset : (16 + 8 * (uint32_t) ndim + 7) / 8 * 8);
	if (p > end || p < data.data || (nulls != NULL && nulls + (count + 7) / 8 > end))
		return malformed();
	if (!plain)
	{
		for (d = 0; d < ndim; d++)
			NVMKV_RETURN_IF(print(text, "[%d:%d]", lower[d], lower[d] + dims[d] - 1));
		NVMKV_RETURN_IF(print(text, "="));
	}
	for (i = 0; i < count; i++)
	{
		if (i > 0)
			NVMKV_RETURN_IF(print(text, ","));
		for (d = 0; d < ndim; d++)
			if (i % elements_below(dims, d, ndim) == 0)
				NVMKV_RETURN_IF(print(text, "{"));
		if (nulls != NULL && (nulls[i / 8] >> (i % 8) & 1) == 0)
			NVMKV_RETURN_IF(print(text, "NULL"));
		else
			NVMKV_RETURN_IF(print_element(table, type, base, &p, end, text, odd_out));
		for (d = 0; d < ndim; d++)
			if ((i + 1) % elements_below(dims, d, ndim) == 0)
				NVMKV_RETURN_IF(print(text, "}"));
	}
	return NVMKV_OK;
}

NvmkvStatus
salvage_value(const SalvageTable *table, uint32_t type, uint32_t element, NvmkvSlice data, NvmkvBuf *text,
			  bool *odd_out)
{
	int bytes = fixed_bytes(type);
	const uint8_t *p = data.data;

	if (bytes > 0 && data.size != (size_t) bytes)
		return malformed();
	switch (type)
	{
		case 16:
			return print(text, p[0] != 0 ? "t" : "f");
		case 18:
			return nvmkv_buf_append(text, p, p[0] != 0 ? 1 : 0);
		case 20:
		case 21:
		case 23:
			return print(text, "%" PRId64, int_of(data));
		case 26:
		case 28:
			return print(text, "%" PRIu32, get_u32(p));
		case 5069:
			return print(text, "%" PRIu64, get_u64(p));
		case TYPE_NAME:
			return nvmkv_buf_append(text, p, strnlen((const char *) p, 64));
		case 25:
		case 114:
		case 142:
		case 1042:
		case 1043:
			return nvmkv_buf_append(text, p, data.size);
		case TYPE_BYTEA:
			return print_hex(text, data, "\\x");
		case 700:
		{
			uint32_t bits = get_u32(p);
			float value;

			memcpy(&value, &bits, sizeof(value));
			return print_float(text, (double) value, true);
		}
		case 701:
		{
			uint64_t bits = get_u64(p);
			double value;

			memcpy(&value, &bits, sizeof(value));
			return print_float(text, value, false);
		}
		case 790:
		{
			int64_t cents = int_of(data);
			uint64_t size = cents < 0 ? 0 - (uint64_t) cents : (uint64_t) cents;

			return print(text, "%s%" PRIu64 ".%02u", cents < 0 ? "-" : "", size / 100, (unsigned) (size % 100));
		}
		case 650:
		case 869:
			return print_inet(text, data, type == 650);
		case 774:
			return print(text, "%02x:%02x:%02x:%02x:%02x:%02x:%02x:%02x", p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]);
		case 829:
			return print(text, "%02x:%02x:%02x:%02x:%02x:%02x", p[0], p[1], p[2], p[3], p[4], p[5]);
		case 1082:
		{
			int64_t days = int_of(data);
			bool bc;

			if (days == INT32_MAX || days == INT32_MIN)
				return print(text, days < 0 ? "-infinity" : "infinity");
			NVMKV_RETURN_IF(print_date(text, days, &bc));
			return bc ? print(text, " BC") : NVMKV_OK;
		}
		case 1083:
			return print_time(text, int_of(data));
		case TYPE_TIMETZ:
			return print_timetz(text, data);
		case 1114:
		case 1184:
			return print_timestamp(text, int_of(data), type == 1184);
		case 1186:
			return print_interval(text, data);
		case 1560:
		case 1562:
			return print_bits(text, data);
		case 1700:
			return print_numeric(text, data);
		case 2950:
			return print(text, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", p[0], p[1], p[2],
						 p[3], p[4], p[5], p[6], p[7], p[8], p[9], p[10], p[11], p[12], p[13], p[14], p[15]);
		case 3220:
			return print(text, "%X/%X", get_u32(p + 4), get_u32(p));
		case TYPE_ENUM:
			return print_label(table, text, get_u32(p));
		case TYPE_ARRAY:
			if (fixed_bytes(element) >= 0 && element != TYPE_ARRAY)
				return print_array(table, element, data, text, odd_out);
			break;
		default:
			break;
	}
	*odd_out = true;
	return print_hex(text, data, "\\x");
}
