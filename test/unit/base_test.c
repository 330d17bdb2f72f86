/*
 * base_test.c
 *	  Integers, checksums, filters, buffers, entries, batches, options.
 */
#include "lib/check.h"

#include <errno.h>

#include "engine/base/batch.h"
#include "engine/base/crc32c.h"
#include "engine/base/filter.h"
#include "engine/base/options.h"

TEST(fixed_width_integers)
{
	uint8_t b[8];

	put_u16(b, 0x1234);
	CHECK(b[0] == 0x34 && b[1] == 0x12);
	CHECK_EQ(get_u16(b), 0x1234);
	put_u32(b, 0x12345678);
	CHECK(b[0] == 0x78 && b[3] == 0x12);
	CHECK_EQ(get_u32(b), 0x12345678);
	put_u64(b, UINT64_C(0x0102030405060708));
	CHECK(b[0] == 8 && b[7] == 1);
	CHECK_EQ(get_u64(b), UINT64_C(0x0102030405060708));
	CHECK_EQ(get_be64(b), UINT64_C(0x0807060504030201));
	put_be64(b, 1);
	CHECK(b[0] == 0 && b[7] == 1);
}

TEST(varints)
{
	uint8_t b[VARINT64_BYTES_MAX];
	unsigned bit;

	for (bit = 0; bit < 64; bit++)
	{
		uint64_t values[3];
		unsigned i;

		values[0] = UINT64_C(1) << bit;
		values[1] = values[0] - 1;
		values[2] = check_random() >> (63 - bit);
		for (i = 0; i < 3; i++)
		{
			uint8_t *end = put_varint(b, values[i]);
			const uint8_t *p;
			uint64_t got = 0;
			uint32_t got32 = 0;

			CHECK_EQ(end - b, varint_bytes(values[i]));
			CHECK(get_varint(b, end, &got) == end);
			CHECK_EQ(got, values[i]);
			CHECK((get_varint32(b, end, &got32) == end) == (values[i] <= UINT32_MAX));
			for (p = b; p < end; p++)
				CHECK(get_varint(b, p, &got) == NULL);
		}
	}

	/* Wider than 64 bits. */
	memset(b, 0xff, sizeof(b));
	b[9] = 2;
	CHECK(get_varint(b, b + 10, &(uint64_t){0}) == NULL);
	b[9] = 0x81;
	CHECK(get_varint(b, b + 10, &(uint64_t){0}) == NULL);
}

TEST(crc32c_vectors)
{
	uint8_t zeros[32] = {0};
	uint8_t ones[32];
	uint8_t up[32];
	unsigned i;

	memset(ones, 0xff, sizeof(ones));
	for (i = 0; i < 32; i++)
		up[i] = (uint8_t) i;

	/* RFC 3720, B.4 */
	CHECK_EQ(crc32c("123456789", 9), 0xe3069283u);
	CHECK_EQ(crc32c(zeros, 32), 0x8a9136aau);
	CHECK_EQ(crc32c(ones, 32), 0x62a8ab43u);
	CHECK_EQ(crc32c(up, 32), 0x46dd794eu);
	CHECK_EQ(crc32c(NULL, 0), 0);
	CHECK_EQ(crc32c_unmask(crc32c_mask(0xe3069283u)), 0xe3069283u);
	CHECK(crc32c_mask(0xe3069283u) != 0xe3069283u);
}

TEST(crc32c_ways_agree)
{
	static uint8_t data[20000];
	unsigned round;

	check_random_bytes(data, sizeof(data));
	for (round = 0; round < 4000; round++)
	{
		size_t from = check_random_below(64);
		size_t size = check_random_below((round % 2 == 0 ? 300 : sizeof(data)) - from);
		size_t cut = size > 0 ? check_random_below(size) : 0;
		uint32_t whole = crc32c(data + from, size);

		CHECK_EQ(whole, crc32c_extend_portable(0, data + from, size));
		CHECK_EQ(whole, crc32c_extend(crc32c(data + from, cut), data + from + cut, size - cut));
	}
}

TEST(filter_hash_is_fixed)
{
	uint8_t up[101];
	unsigned i;

	for (i = 0; i < sizeof(up); i++)
		up[i] = (uint8_t) i;
	CHECK_EQ(filter_hash(nvmkv_slice("", 0)), UINT64_C(0xEF46DB3751D8E999));
	CHECK_EQ(filter_hash(nvmkv_slice("a", 1)), UINT64_C(0xD24EC4F1A98C6E5B));
	CHECK_EQ(filter_hash(nvmkv_slice("abc", 3)), UINT64_C(0x44BC2CF5AD770999));
	CHECK_EQ(filter_hash(nvmkv_slice("Nobody inspects the spammish repetition", 39)), UINT64_C(0xFBCEA83C8A378BF1));
	CHECK_EQ(filter_prefix_hash(nvmkv_slice("", 0)), UINT64_C(0xD5AFBA1336A3BE4B));
	CHECK_EQ(filter_prefix_hash(nvmkv_slice("abc", 3)), UINT64_C(0xBEA9CA8199328908));
}

TEST(filter_finds_what_was_added)
{
	const unsigned n = 20000;
	size_t bytes = filter_bytes(n, 10);
	uint8_t *plain = calloc(1, bytes);
	uint8_t *atomic = calloc(1, bytes);
	unsigned false_positives = 0;
	uint64_t i;

	REQUIRE(plain != NULL && atomic != NULL);
	CHECK_EQ(bytes % FILTER_LINE_BYTES, 0);
	for (i = 0; i < n; i++)
	{
		filter_add(plain, bytes, filter_hash(nvmkv_slice(&i, sizeof(i))));
		filter_add_atomic(atomic, bytes, filter_hash(nvmkv_slice(&i, sizeof(i))));
	}
	CHECK(memcmp(plain, atomic, bytes) == 0);
	for (i = 0; i < n; i++)
		CHECK(filter_may_contain(plain, bytes, filter_hash(nvmkv_slice(&i, sizeof(i)))));
	for (i = n; i < 11 * n; i++)
		false_positives += filter_may_contain(plain, bytes, filter_hash(nvmkv_slice(&i, sizeof(i))));

	/* Blocked, 10 bits a key: near 1.1 percent. */
	CHECK(false_positives < 10 * n * 16 / 1000);
	free(plain);
	free(atomic);
}

TEST(filter_edges)
{
	uint8_t line[FILTER_LINE_BYTES] = {0};

	CHECK_EQ(filter_bytes(1000, 0), 0);
	CHECK_EQ(filter_bytes(0, 10), FILTER_LINE_BYTES);
	CHECK_EQ(filter_bytes(51, 10), FILTER_LINE_BYTES);
	CHECK_EQ(filter_bytes(52, 10), 2 * FILTER_LINE_BYTES);
	CHECK(filter_may_contain(NULL, 0, 1));
	filter_add(NULL, 0, 1);
	CHECK(!filter_may_contain(line, sizeof(line), UINT64_MAX));
	filter_add(line, sizeof(line), UINT64_MAX);
	CHECK(filter_may_contain(line, sizeof(line), UINT64_MAX));
}

/* By more than twice what there was. */
TEST(buffers_grow_at_once)
{
	NvmkvBuf buf = {0};
	uint8_t bytes[60] = {0};

	CHECK_OK(nvmkv_buf_append(&buf, bytes, sizeof(bytes)));
	CHECK_OK(nvmkv_buf_grow(&buf, 2 * buf.capacity));
	CHECK(buf.capacity >= sizeof(bytes) + 128);
	nvmkv_buf_free(&buf);
}

TEST(buffers_grow)
{
	NvmkvBuf buf = {0};
	uint8_t expected[5000];
	size_t n = 0;

	check_random_bytes(expected, sizeof(expected));
	CHECK_OK(nvmkv_buf_append(&buf, NULL, 0));
	CHECK(buf.data == NULL);
	while (n < sizeof(expected))
	{
		size_t step = 1 + check_random_below(100);

		if (step > sizeof(expected) - n)
			step = sizeof(expected) - n;
		CHECK_OK(nvmkv_buf_append(&buf, expected + n, step));
		n += step;
	}
	CHECK(slice_equal(nvmkv_buf_slice(&buf), nvmkv_slice(expected, n)));
	CHECK_OK(nvmkv_buf_set(&buf, nvmkv_slice("abc", 3)));
	CHECK(slice_equal(nvmkv_buf_slice(&buf), nvmkv_slice("abc", 3)));
	CHECK_STATUS(nvmkv_buf_reserve(&buf, SIZE_MAX - 1), NVMKV_NO_MEMORY);
	CHECK_EQ(buf.size, 3);
	nvmkv_buf_free(&buf);
	CHECK(buf.data == NULL && buf.size == 0 && buf.capacity == 0);
}

/* Bytes compare by memcmp's order wherever they differ, also above 0x7f. */
static void
compare_at_all_sizes(void)
{
	uint8_t x[48];
	uint8_t y[48];
	size_t n, m, i;

	for (n = 0; n <= sizeof(x); n++)
	{
		for (i = 0; i < n; i++)
			x[i] = y[i] = (uint8_t) check_random();
		CHECK(slice_compare(nvmkv_slice(x, n), nvmkv_slice(y, n)) == 0);
		CHECK(slice_equal(nvmkv_slice(x, n), nvmkv_slice(y, n)));
		for (m = 0; m < n; m++)
			CHECK(slice_compare(nvmkv_slice(x, m), nvmkv_slice(y, n)) < 0 &&
				  slice_compare(nvmkv_slice(x, n), nvmkv_slice(y, m)) > 0);
		for (i = 0; i < n; i++)
		{
			uint8_t kept = y[i];

			do
				y[i] = (uint8_t) check_random();
			while (y[i] == x[i]);
			for (m = i + 1; m <= n; m++)
			{
				int c = slice_compare(nvmkv_slice(x, m), nvmkv_slice(y, n));

				CHECK(x[i] < y[i] ? c < 0 : c > 0);
				CHECK(!slice_equal(nvmkv_slice(x, n), nvmkv_slice(y, n)));
			}
			y[i] = kept;
		}
	}
}

TEST(order_of_entries)
{
	NvmkvSlice a = nvmkv_slice("a", 1);
	NvmkvSlice ab = nvmkv_slice("ab", 2);

	CHECK(slice_compare(a, ab) < 0 && slice_compare(ab, a) > 0 && slice_compare(a, a) == 0);
	CHECK(slice_compare(nvmkv_slice(NULL, 0), a) < 0);
	CHECK(slice_equal(a, a) && !slice_equal(a, ab) && slice_equal(nvmkv_slice(NULL, 0), nvmkv_slice(NULL, 0)));
	CHECK(slice_has_prefix(ab, a) && !slice_has_prefix(a, ab));
	compare_at_all_sizes();
	CHECK(ikey_compare(a, ikey_tag(5, NVMKV_TYPE_VALUE), a, ikey_tag(4, NVMKV_TYPE_VALUE)) < 0);
	CHECK(ikey_compare(a, NVMKV_TAG_MAX, a, ikey_tag(NVMKV_SEQUENCE_MAX, 0x33)) < 0);
	CHECK(ikey_compare(a, 0, ab, NVMKV_TAG_MAX) < 0);
	CHECK_EQ(ikey_sequence(ikey_tag(77, NVMKV_TYPE_TAGGED_LOCK)), 77);
	CHECK_EQ(ikey_kind(ikey_tag(77, NVMKV_TYPE_TAGGED_LOCK)), NVMKV_KIND_LOCK);
	CHECK(ikey_is_tagged(NVMKV_TYPE_COMMITTED_VALUE) && !ikey_is_tagged(NVMKV_TYPE_VALUE));
}

TEST(type_bytes)
{
	unsigned type;
	unsigned valid = 0;

	for (type = 0; type < 512; type++)
		valid += ikey_type_is_valid(type);
	CHECK_EQ(valid, 10);
	CHECK(!ikey_type_is_valid(0x02) && !ikey_type_is_valid(0x32) && !ikey_type_is_valid(0x20));
	CHECK(ikey_type_is_valid_in_table(NVMKV_TYPE_VALUE | NVMKV_TYPE_APART_BIT));
	CHECK(!ikey_type_is_valid_in_table(NVMKV_TYPE_DELETION | NVMKV_TYPE_APART_BIT));
}

TEST(payloads)
{
	uint8_t payload[14];
	NvmkvTxnTag txn;
	NvmkvSlice value;

	put_u64(payload, 42);
	put_u32(payload + 8, 7);
	memcpy(payload + 12, "vw", 2);
	CHECK_OK(ikey_split_payload(NVMKV_TYPE_TAGGED_VALUE, nvmkv_slice(payload, 14), &txn, &value));
	CHECK_EQ(txn.fxid, 42);
	CHECK_EQ(txn.cid, 7);
	CHECK(slice_equal(value, nvmkv_slice("vw", 2)));
	CHECK_OK(ikey_split_payload(NVMKV_TYPE_VALUE, nvmkv_slice(payload, 14), &txn, &value));
	CHECK_EQ(txn.fxid, 0);
	CHECK_EQ(value.size, 14);
	CHECK_STATUS(ikey_split_payload(NVMKV_TYPE_TAGGED_DELETION, nvmkv_slice(payload, 11), &txn, &value),
				 NVMKV_CORRUPTION);
}

/* A batch of three records, with its bytes known. */
static void
make_batch(NvmkvBatch *batch)
{
	const NvmkvSlice none = nvmkv_slice(NULL, 0);

	CHECK_OK(nvmkv_batch_put(batch, NVMKV_TYPE_VALUE, nvmkv_slice("k1", 2), none, nvmkv_slice("v", 1)));
	CHECK_OK(nvmkv_batch_put_tagged(batch, NVMKV_TYPE_TAGGED_DELETION, nvmkv_slice("k2", 2), 9, 3, none));
	CHECK_OK(nvmkv_batch_put(batch, NVMKV_TYPE_DELETION, nvmkv_slice("", 0), none, none));
}

static NvmkvStatus
read_batch(NvmkvSlice bytes, unsigned *records_out)
{
	const uint8_t *cursor;
	const uint8_t *end = bytes.data + bytes.size;
	uint32_t count;
	uint32_t i;

	*records_out = 0;
	NVMKV_RETURN_IF(nvmkv_batch_open(bytes, &count, &cursor));
	for (i = 0; i < count; i++)
	{
		NvmkvBatchRecord record;

		NVMKV_RETURN_IF(nvmkv_batch_next(&cursor, end, &record));
		++*records_out;
	}
	return cursor == end ? NVMKV_OK : NVMKV_FAIL(NVMKV_CORRUPTION, "bytes behind the last record");
}

TEST(batches)
{
	static const uint8_t expected[] = {
		1, 0, 0, 0, 3, 0, 0, 0,
		0, 0x01, 2, 'k', '1', 1, 'v',
		0, 0x10, 2, 'k', '2', 12, 9, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0,
		0, 0x00, 0, 0};
	const NvmkvSlice none = nvmkv_slice(NULL, 0);
	NvmkvBatch batch = {0};
	NvmkvSlice bytes;
	unsigned records;
	size_t n;

	make_batch(&batch);
	bytes = nvmkv_buf_slice(&batch.bytes);
	CHECK_EQ(batch.count, 3);
	CHECK_EQ(batch.memtable_bytes, 3 * BATCH_ENTRY_OVERHEAD + 4 + 13);
	CHECK(slice_equal(bytes, nvmkv_slice(expected, sizeof(expected))));
	CHECK_OK(read_batch(bytes, &records));
	CHECK_EQ(records, 3);
	for (n = 0; n < bytes.size; n++)
		CHECK(read_batch(nvmkv_slice(bytes.data, n), &records) != NVMKV_OK);

	CHECK_STATUS(nvmkv_batch_put(&batch, 0x02, none, none, none), NVMKV_INVALID);
	CHECK_STATUS(nvmkv_batch_put_tagged(&batch, NVMKV_TYPE_VALUE, none, 1, 1, none), NVMKV_INVALID);
	CHECK_EQ(batch.count, 3);
	nvmkv_batch_clear(&batch);
	make_batch(&batch);
	CHECK(slice_equal(nvmkv_buf_slice(&batch.bytes), nvmkv_slice(expected, sizeof(expected))));
	nvmkv_batch_free(&batch);
}

/* What a record says of its payload is not believed: neither more than there is, nor less than a tag takes. */
TEST(records_of_the_wrong_size)
{
	static const uint8_t past_the_end[] = {1, 0, 0, 0, 1, 0, 0, 0, 0, 0x01, 1, 'k', 2, 'v'};
	static const uint8_t short_tag[] = {1, 0, 0, 0, 1, 0, 0, 0, 0, 0x10, 1, 'k', 11, 9, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0};
	unsigned records;

	CHECK_STATUS(read_batch(nvmkv_slice(past_the_end, sizeof(past_the_end)), &records), NVMKV_CORRUPTION);
	CHECK_EQ(records, 0);
	CHECK_STATUS(read_batch(nvmkv_slice(short_tag, sizeof(short_tag)), &records), NVMKV_CORRUPTION);
	CHECK_EQ(records, 0);
}

TEST(batches_with_damage_do_no_harm)
{
	NvmkvBatch batch = {0};
	uint8_t *copy;
	unsigned round;

	make_batch(&batch);
	copy = malloc(batch.bytes.size);
	REQUIRE(copy != NULL);
	for (round = 0; round < 20000; round++)
	{
		unsigned records;
		unsigned flips = 1 + (unsigned) check_random_below(4);

		memcpy(copy, batch.bytes.data, batch.bytes.size);
		while (flips-- > 0)
			copy[check_random_below(batch.bytes.size)] = (uint8_t) check_random();
		(void) read_batch(nvmkv_slice(copy, batch.bytes.size), &records);
	}
	free(copy);
	nvmkv_batch_free(&batch);
}

TEST(options_are_named_as_the_host_says)
{
	static const NvmkvOptionName names[] = {{"max_write_buffers", "host.buffers"}, {NULL, NULL}};
	static const NvmkvOptionName none[] = {{NULL, NULL}};
	NvmkvOptions o;

	nvmkv_options_name(names);
	CHECK(strcmp(option_name("max_write_buffers"), "host.buffers") == 0);
	CHECK(strcmp(option_name("nvm_bytes"), "nvm_bytes") == 0);
	nvmkv_options_default(&o);
	o.max_write_buffers = 1;
	CHECK_STATUS(nvmkv_options_check(&o), NVMKV_INVALID);
	CHECK(strstr(nvmkv_error()->text, "option host.buffers is 1") != NULL);
	nvmkv_options_name(none);
	CHECK(strcmp(option_name("max_write_buffers"), "max_write_buffers") == 0);
}

TEST(options)
{
	NvmkvOptions good;
	NvmkvOptions o;

	nvmkv_options_default(&good);
	CHECK_OK(nvmkv_options_check(&good));
	o = good;
	o.nvm_bytes = 0;
	CHECK_OK(nvmkv_options_check(&o));
	o.write_buffer_bytes = 1000;
	CHECK_STATUS(nvmkv_options_check(&o), NVMKV_INVALID);
	CHECK(strstr(nvmkv_error()->text, "write_buffer_bytes") != NULL);
	o = good;
	o.max_write_buffers = 1;
	CHECK_STATUS(nvmkv_options_check(&o), NVMKV_INVALID);
	o = good;
	o.prefix_bytes = NVMKV_PREFIX_BYTES_MAX;
	CHECK_OK(nvmkv_options_check(&o));
	o.prefix_bytes++;
	CHECK_STATUS(nvmkv_options_check(&o), NVMKV_INVALID);
	o = good;
	o.l0_write_amplification = 0.0 / 0.0;
	CHECK_STATUS(nvmkv_options_check(&o), NVMKV_INVALID);
	o = good;
	o.compaction_bytes_per_second = 65535;
	CHECK_STATUS(nvmkv_options_check(&o), NVMKV_INVALID);
	o.compaction_bytes_per_second = 65536;
	CHECK_OK(nvmkv_options_check(&o));
	o = good;
	o.log_buffer_bytes = 0;
	CHECK_STATUS(nvmkv_options_check(&o), NVMKV_INVALID);
	o.standalone_log = false;
	CHECK_OK(nvmkv_options_check(&o));
}

TEST(failure_records)
{
	unsigned status;

	errno = ENOSPC;
	CHECK(NVMKV_FAIL_ERRNO(NVMKV_IO, "write %d", 5) == NVMKV_IO);
	CHECK_EQ(errno, ENOSPC);
	CHECK(nvmkv_error()->status == NVMKV_IO && nvmkv_error()->sys_errno == ENOSPC && nvmkv_error()->line > 0);
	CHECK(strcmp(nvmkv_error()->text, "write 5") == 0);
	CHECK(NVMKV_FAIL(NVMKV_LIMIT, "again: %s", nvmkv_error()->text) == NVMKV_LIMIT);
	CHECK(strcmp(nvmkv_error()->text, "again: write 5") == 0);
	for (status = NVMKV_OK; status <= NVMKV_NOT_SUPPORTED; status++)
		CHECK(strcmp(nvmkv_status_name((NvmkvStatus) status), "unknown status") != 0);
}

TEST_MAIN()
