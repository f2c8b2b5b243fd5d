/*
 * batch_packer.c
 *		Packs a stream of records into batches that each fill a heap page.
 *
 * What a batch compresses to is known only after compressing it, and doing
 * that costs as much as everything else together.  So the packer adds records
 * until the ratio of the last batches says that the page is full, and
 * compresses once.  It guesses a little low: a batch that turns out too large
 * must be cut and compressed again, while one that is a little too small
 * wastes only those bytes of its page.  A batch that is far too small goes on
 * growing and is compressed again later.
 *
 * Everything is allocated in the packer's context.  After an error a packer
 * can only be thrown away.
 */
#include "postgres.h"

#include "batch_packer.h"
#include "qtopic.h"

/* The ratio that a new packer assumes. */
#define RATIO_DEFAULT		0.5

/* Weight of the last batch in the ratio. */
#define RATIO_WEIGHT		0.3

/* How much larger than the ratio says the compressed bytes may be. */
#define SAFETY_FACTOR		1.05

/* A batch that fills less of the page goes on growing, if it can. */
#define FILL_MIN			0.85

/* Part of the page that a cut aims at. */
#define CUT_TARGET			0.985

/*
 * Raw bytes of a batch with more than one record.  Records that compress
 * without end must not make a batch that is slow to read.
 */
#define RAW_TARGET_MAX		(1024 * 1024)

static void add_large(QtPacker *packer, const QtRecord *record);
static void reject_record(Size size, Size limit,
						  const char *what) pg_attribute_noreturn();
static bool has_room(const QtPacker *packer, Size added);
static void close_batch(QtPacker *packer, Size added);
static int	cut_batch(QtPacker *packer, Size size);
static Size encode_batch(QtPacker *packer, int count);
static void store_batch(QtPacker *packer, int count);
static void keep_rest(QtPacker *packer, int count);
static Size batch_limit(const QtPacker *packer);

void
qt_packer_init(QtPacker *packer, QtCodec codec, int level,
			   bool log_append_time, Size page_limit, Size max_batch_bytes)
{
	memset(packer, 0, sizeof(*packer));
	packer->context = CurrentMemoryContext;
	packer->codec = codec;
	packer->level = level;
	packer->log_append_time = log_append_time;
	packer->page_limit = page_limit;
	packer->max_batch_bytes = max_batch_bytes;
	packer->ratio = codec == QT_CODEC_NONE ? 1.0 : RATIO_DEFAULT;
	qt_batch_builder_init(&packer->builder);
	initStringInfo(&packer->encoded);
}

void
qt_packer_add(QtPacker *packer, const QtRecord *record)
{
	QtBatchBuilder *builder = &packer->builder;
	Size		size = qt_batch_record_size(record);

	if (unlikely(QT_BATCH_HEADER_SIZE + size > packer->max_batch_bytes))
	{
		add_large(packer, record);
		return;
	}

	while (builder->record_count > 0 && !has_room(packer, size))
		close_batch(packer, size);
	qt_batch_add(builder, record);
}

/*
 * Add a record that only compression can bring below the limit, if anything.
 * It is compressed at once, so that the caller learns which record it was.
 */
static void
add_large(QtPacker *packer, const QtRecord *record)
{
	Size		raw_size = qt_batch_record_size(record);
	Size		size;

	if (raw_size > QT_BATCH_RAW_MAX)
		reject_record(raw_size, QT_BATCH_RAW_MAX, "before compression");

	qt_packer_finish(packer);
	qt_batch_add(&packer->builder, record);
	size = encode_batch(packer, 1);
	if (size > packer->max_batch_bytes)
	{
		qt_batch_builder_reset(&packer->builder);
		reject_record(size, packer->max_batch_bytes, "as a record batch");
	}
	store_batch(packer, 1);
}

static void
reject_record(Size size, Size limit, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("record is too large for the topic"),
			 errdetail("The record has %zu bytes %s, and the limit is %zu.",
					   size, what, limit),
			 errhint("Produce smaller records, or raise max.message.bytes of the topic.")));
}

void
qt_packer_finish(QtPacker *packer)
{
	while (packer->builder.record_count > 0)
		close_batch(packer, 0);
}

void
qt_packer_reset(QtPacker *packer)
{
	int			i;

	for (i = 0; i < packer->batch_count; i++)
		pfree(packer->batches[i].data);
	packer->batch_count = 0;
	packer->batch_bytes = 0;
}

/* Does the page probably have room for a record of `added` bytes more? */
static bool
has_room(const QtPacker *packer, Size added)
{
	Size		raw_len = packer->builder.raw.len + added;
	Size		limit = batch_limit(packer);

	if (raw_len <= limit)
		return true;
	if (packer->codec == QT_CODEC_NONE || raw_len > RAW_TARGET_MAX)
		return false;
	return packer->measured_size +
		(raw_len - packer->measured_raw) * packer->ratio * SAFETY_FACTOR <= limit;
}

/*
 * Encode and store the batch under construction, or as much of its start as
 * fits; the rest is then under construction.  If the page would be far from
 * full and has room for `added` bytes more, store nothing.
 */
static void
close_batch(QtPacker *packer, Size added)
{
	Size		limit = batch_limit(packer);
	Size		raw_len = packer->builder.raw.len;
	int			count = packer->builder.record_count;
	Size		size = encode_batch(packer, count) - QT_BATCH_HEADER_SIZE;

	/* a short batch says nothing about long ones */
	if (raw_len > limit)
		packer->ratio += ((double) size / raw_len - packer->ratio) * RATIO_WEIGHT;

	if (size > limit && count > 1)
		count = cut_batch(packer, size);
	else if (added > 0 && size < limit * FILL_MIN)
	{
		packer->measured_raw = raw_len;
		packer->measured_size = size;
		if (has_room(packer, added))
			return;
	}
	store_batch(packer, count);
}

/*
 * The batch under construction is too large by its encoded size: encode so
 * many records from its start that they fit, at least one; returns how many.
 */
static int
cut_batch(QtPacker *packer, Size size)
{
	Size		limit = batch_limit(packer);
	Size		raw_len = packer->builder.raw.len;
	int			count = packer->builder.record_count;

	while (size > limit && count > 1)
	{
		int			fitting;

		raw_len = raw_len * ((double) limit / size) * CUT_TARGET;
		fitting = qt_batch_prefix_count(&packer->builder, raw_len);
		count = Max(Min(fitting, count - 1), 1);
		size = qt_batch_cut(&packer->builder, count, packer->log_append_time,
							&packer->encoded);
		if (size == 0)
			size = encode_batch(packer, count);
		size -= QT_BATCH_HEADER_SIZE;
	}
	return count;
}

/* Encode the first `count` records under construction; returns the size. */
static Size
encode_batch(QtPacker *packer, int count)
{
	resetStringInfo(&packer->encoded);
	return qt_batch_encode(&packer->builder, count, packer->codec,
						   packer->level, packer->log_append_time,
						   &packer->encoded);
}

/*
 * Store what was encoded, the first `count` records, and go on with the rest.
 */
static void
store_batch(QtPacker *packer, int count)
{
	Size		size = VARHDRSZ + packer->encoded.len;
	QtPackedBatch *batch;

	if (packer->batch_count == packer->batch_capacity)
	{
		packer->batch_capacity = Max(8, 2 * packer->batch_capacity);
		if (packer->batches == NULL)
			packer->batches = MemoryContextAlloc(packer->context,
												 packer->batch_capacity * sizeof(QtPackedBatch));
		else
			packer->batches = repalloc(packer->batches,
									   packer->batch_capacity * sizeof(QtPackedBatch));
	}

	batch = &packer->batches[packer->batch_count++];
	batch->data = MemoryContextAlloc(packer->context, size);
	SET_VARSIZE(batch->data, size);
	memcpy(VARDATA(batch->data), packer->encoded.data, packer->encoded.len);
	batch->record_count = count;
	packer->batch_bytes += size;

	packer->measured_raw = 0;
	packer->measured_size = 0;
	if (count == packer->builder.record_count)
		qt_batch_builder_reset(&packer->builder);
	else
		keep_rest(packer, count);
}

/* Let the batch under construction begin after its first `count` records. */
static void
keep_rest(QtPacker *packer, int count)
{
	QtBatchBuilder stored;

	if (packer->rest.raw.data == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(packer->context);

		qt_batch_builder_init(&packer->rest);
		MemoryContextSwitchTo(caller);
	}

	qt_batch_split(&packer->builder, count, &packer->rest);
	stored = packer->builder;
	packer->builder = packer->rest;
	packer->rest = stored;
	qt_batch_builder_reset(&packer->rest);
}

/* Bytes for the records of a batch that fits the page and the topic. */
static Size
batch_limit(const QtPacker *packer)
{
	Size		limit = Min(packer->page_limit, packer->max_batch_bytes);

	return limit > QT_BATCH_HEADER_SIZE ? limit - QT_BATCH_HEADER_SIZE : 0;
}
