/*
 * data.c
 *	  See data.h.
 */
#include "engine/data.h"

#include <math.h>
#include <string.h>

#define POOL_BYTES (4u * 1024 * 1024)
#define PIECE_BYTES 100u
#define ZIPF_EXPONENT 0.99

static uint8_t *value_pool; /* POOL_BYTES, and room for a value that begins at the end */

/*
 * Pieces of which a part is random and repeated, as in db_bench: a compressor gets each piece down to about that part.
 */
static void
fill_piece(uint8_t *piece, uint64_t size, uint64_t raw, uint64_t number)
{
	uint64_t i;

	for (i = 0; i < raw; i++)
		piece[i] = (uint8_t) (' ' + data_below(data_mix(number * PIECE_BYTES + i), 95));
	for (; i < size; i++)
		piece[i] = piece[i - raw];
}

void
data_prepare(const BenchOptions *o)
{
	uint64_t bytes = POOL_BYTES + o->value_bytes + PIECE_BYTES;
	uint64_t raw = (uint64_t) (PIECE_BYTES * o->compressibility);
	uint64_t at;

	if (raw < 1)
		raw = 1;
	value_pool = bench_alloc(bytes);
	for (at = 0; at + PIECE_BYTES <= bytes; at += PIECE_BYTES)
		fill_piece(value_pool + at, PIECE_BYTES, raw < PIECE_BYTES ? raw : PIECE_BYTES, at);
}

const uint8_t *
data_value(const BenchOptions *o, uint64_t i)
{
	return value_pool + (i * o->value_bytes) % POOL_BYTES;
}

void
data_key(const BenchOptions *o, uint64_t number, DataKey *key)
{
	unsigned i;

	key->size = o->key_bytes;
	if (o->key_style[0] == 'b')
	{
		for (i = 0; i < 8; i++)
			key->bytes[i] = (uint8_t) (number >> (56 - 8 * i));
		memset(key->bytes + 8, '0', o->key_bytes - 8);
		return;
	}
	for (i = 16; i > 0; i--, number /= 10)
		key->bytes[i - 1] = (uint8_t) ('0' + number % 10);
	memset(key->bytes + 16, '0', o->key_bytes - 16);
}

void
data_absent_key(const BenchOptions *o, uint64_t number, DataKey *key)
{
	data_key(o, number, key);
	key->bytes[key->size++] = '.';
}

void
data_zipf_prepare(DataZipf *zipf, uint64_t n)
{
	double zeta_2 = 1 + pow(0.5, ZIPF_EXPONENT);
	double zeta_n = 0;
	uint64_t head = n < 100000 ? n : 100000;
	uint64_t i;

	/* The sum's tail as an integral: good to a part in a million. */
	for (i = 1; i <= head; i++)
		zeta_n += pow(1.0 / (double) i, ZIPF_EXPONENT);
	zeta_n += (pow((double) n + 0.5, 1 - ZIPF_EXPONENT) - pow((double) head + 0.5, 1 - ZIPF_EXPONENT)) /
			  (1 - ZIPF_EXPONENT);
	zipf->n = n;
	zipf->zeta_n = zeta_n;
	zipf->alpha = 1 / (1 - ZIPF_EXPONENT);
	zipf->eta = (1 - pow(2.0 / (double) n, 1 - ZIPF_EXPONENT)) / (1 - zeta_2 / zeta_n);
}

uint64_t
data_zipf_rank(const DataZipf *zipf, uint64_t random)
{
	double u = (double) (random >> 11) / 9007199254740992.0;
	double uz = u * zipf->zeta_n;
	uint64_t rank;

	if (uz < 1)
		return 0;
	if (uz < 1 + pow(0.5, ZIPF_EXPONENT))
		return 1;
	rank = (uint64_t) ((double) zipf->n * pow(zipf->eta * u - zipf->eta + 1, zipf->alpha));
	return rank < zipf->n ? rank : zipf->n - 1;
}
