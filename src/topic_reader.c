/*
 * topic_reader.c
 *		Reading several partitions of a topic with one snapshot, within bounds.
 *
 * Partitions are read one after the other, each in offset order.  The first
 * chunk of a partition is one batch and later ones grow, so that a LIMIT or a
 * lookup by offset reads little.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "guc.h"
#include "qtopic.h"
#include "topic_reader.h"

/* What is copied out of the storage at a time, at the most. */
#define CHUNK_BYTES_MAX		(256 * 1024)
#define CHUNK_BYTES_SECOND	(16 * 1024)

static bool next_of_partition(QtTopicReader *reader, QtRecord *record);
static bool next_of_batch(QtTopicReader *reader, QtRecord *record);
static bool is_wanted(const QtTopicReader *reader, const QtRecord *record);
static void open_batch(QtTopicReader *reader, const QtStoredBatch *batch);
static bool next_partition(QtTopicReader *reader);
static void open_partition(QtTopicReader *reader, bool headers_only);
static bool next_chunk(QtTopicReader *reader);
static void close_partition(QtTopicReader *reader);
static void find_ends(QtTopicReader *reader, QtPartitionSummary *summary);
static void add_batches(QtTopicReader *reader, QtPartitionSummary *summary);
static void add_batch(QtTopicReader *reader, const QtStoredBatch *batch,
					  QtPartitionSummary *summary);
static void add_part_of_batch(QtTopicReader *reader, const QtBatchSource *source,
							  QtPartitionSummary *summary);
static void add_offsets(QtPartitionSummary *summary, int64 count, int64 first, int64 last);

void
qt_reader_open(QtTopicReader *reader, QtTopic *topic, EState *estate)
{
	memset(reader, 0, sizeof(*reader));
	reader->topic = topic;
	reader->estate = estate;
	reader->partition_count = topic->partition_count;
	reader->context = AllocSetContextCreate(estate->es_query_cxt, "qtopic reader",
											ALLOCSET_DEFAULT_SIZES);
	qt_batch_reader_init(&reader->batch_reader);
	reader->partition = reader->partition_count;
}

void
qt_read_bounds_init(QtReadBounds *bounds)
{
	memset(bounds, 0, sizeof(*bounds));
	bounds->high = PG_INT64_MAX;
	bounds->time_low = PG_INT64_MIN;
	bounds->time_high = PG_INT64_MAX;
}

void
qt_reader_start(QtTopicReader *reader, const QtReadBounds *bounds)
{
	close_partition(reader);
	reader->bounds = *bounds;
	reader->partition = bounds->backward ? reader->partition_count : -1;
}

bool
qt_reader_next(QtTopicReader *reader, QtRecord *record)
{
	for (;;)
	{
		if (!reader->scanning)
		{
			if (!next_partition(reader))
				return false;
			open_partition(reader, false);
		}
		if (next_of_partition(reader, record))
			return true;
		close_partition(reader);
	}
}

bool
qt_reader_summarize(QtTopicReader *reader, bool ends_only, QtPartitionSummary *summary)
{
	while (next_partition(reader))
	{
		memset(summary, 0, sizeof(*summary));
		summary->partition = reader->partition;
		if (ends_only)
			find_ends(reader, summary);
		else
			add_batches(reader, summary);
		if (summary->count > 0)
			return true;
	}
	return false;
}

void
qt_reader_find_stop(QtTopicReader *reader, int number, QtStop *stop)
{
	QtReadView	view;
	MemoryContext old = MemoryContextSwitchTo(reader->context);

	qt_topic_refresh(reader->topic);
	qt_read_view_of_statement(&view, reader->estate, reader->topic, number);
	qt_scan_find_stop(reader->topic, number, &view);
	*stop = *view.stop;
	qt_read_view_close(&view);
	MemoryContextSwitchTo(old);
}

void
qt_reader_close(QtTopicReader *reader)
{
	close_partition(reader);
	MemoryContextDelete(reader->context);
}

/* ---- records ---- */

/* The next record of the partition in hand. */
static bool
next_of_partition(QtTopicReader *reader, QtRecord *record)
{
	for (;;)
	{
		if (reader->reading && next_of_batch(reader, record))
			return true;

		CHECK_FOR_INTERRUPTS();
		if (reader->batch < reader->scan.leaf.batch_count)
			open_batch(reader, &reader->scan.leaf.batches[reader->batch++]);
		else if (!next_chunk(reader))
			return false;
	}
}

static bool
next_of_batch(QtTopicReader *reader, QtRecord *record)
{
	if (reader->bounds.backward)
	{
		if (reader->record_count > 0)
		{
			*record = reader->records[--reader->record_count];
			return true;
		}
	}
	else
	{
		while (qt_batch_reader_next(&reader->batch_reader, record))
		{
			if (is_wanted(reader, record))
				return true;
			if (record->offset > reader->bounds.high)
			{
				reader->last_chunk = true;
				reader->batch = reader->scan.leaf.batch_count;
				break;
			}
		}
	}
	reader->reading = false;
	return false;
}

static bool
is_wanted(const QtTopicReader *reader, const QtRecord *record)
{
	const QtReadBounds *bounds = &reader->bounds;

	return record->offset >= bounds->low && record->offset <= bounds->high &&
		record->offset >= reader->scan.log_start_offset &&
		record->timestamp >= bounds->time_low && record->timestamp <= bounds->time_high;
}

static void
open_batch(QtTopicReader *reader, const QtStoredBatch *batch)
{
	QtRecord	record;

	reader->source.topic = reader->topic->name;
	reader->source.partition = reader->partition;
	reader->source.last_offset = batch->last_offset;
	qt_batch_reader_open(&reader->batch_reader, batch->data, batch->len,
						 &reader->source, qt_guc_check_crcs);
	reader->reading = true;
	reader->batches_read++;

	if (!reader->bounds.backward)
		return;
	reader->record_count = 0;
	while (qt_batch_reader_next(&reader->batch_reader, &record))
	{
		if (!is_wanted(reader, &record))
			continue;
		if (reader->record_count == reader->record_capacity)
		{
			reader->record_capacity = Max(64, reader->record_capacity * 2);
			if (reader->records == NULL)
				reader->records = MemoryContextAllocHuge(reader->estate->es_query_cxt,
														 reader->record_capacity * sizeof(QtRecord));
			else
				reader->records = repalloc_huge(reader->records,
												reader->record_capacity * sizeof(QtRecord));
		}
		reader->records[reader->record_count++] = record;
	}
}

/* ---- partitions ---- */

/* Step to the next partition that is wanted. */
static bool
next_partition(QtTopicReader *reader)
{
	int			step = reader->bounds.backward ? -1 : 1;

	Assert(!reader->scanning);
	if (reader->bounds.nothing || reader->bounds.low > reader->bounds.high ||
		reader->bounds.time_low > reader->bounds.time_high)
		return false;
	do
	{
		reader->partition += step;
		if (reader->partition < 0 || reader->partition >= reader->partition_count)
			return false;
	} while (reader->bounds.some_partitions &&
			 !bms_is_member(reader->partition, reader->bounds.partitions));
	return true;
}

static void
open_partition(QtTopicReader *reader, bool headers_only)
{
	const QtReadBounds *bounds = &reader->bounds;
	MemoryContext old = MemoryContextSwitchTo(reader->context);

	qt_topic_refresh(reader->topic);
	qt_read_view_of_statement(&reader->view, reader->estate, reader->topic, reader->partition);
	if (bounds->stop_fixed)
	{
		reader->view.stop->bound = bounds->stop;
		reader->view.stop->bound_base = bounds->stop_base;
		reader->view.stop->log_start = bounds->log_start;
	}
	if (bounds->backward)
		qt_scan_begin_backward(&reader->scan, reader->topic, reader->partition,
							   &reader->view, Max(bounds->low, 0), bounds->high);
	else
	{
		qt_scan_begin(&reader->scan, reader->topic, reader->partition,
					  &reader->view, Max(bounds->low, 0));
		reader->scan.leaf.position = Max(reader->scan.leaf.position,
										 reader->scan.log_start_offset);
		reader->scan.leaf.upto = bounds->high;
	}
	reader->scan.leaf.min_time = bounds->time_low;
	reader->scan.leaf.headers_only = headers_only;
	MemoryContextSwitchTo(old);

	reader->scanning = true;
	reader->last_chunk = false;
	reader->reading = false;
	reader->batch = 0;
	reader->chunk_bytes = 1;
	if (!bounds->continued)
		reader->partitions_read++;
}

static bool
next_chunk(QtTopicReader *reader)
{
	bool		found;

	if (reader->last_chunk)
		return false;
	reader->batch = 0;
	found = qt_scan_next(&reader->scan, PG_INT64_MAX, reader->chunk_bytes);
	reader->chunk_bytes = Min(Max(reader->chunk_bytes * 2, CHUNK_BYTES_SECOND), CHUNK_BYTES_MAX);
	return found;
}

static void
close_partition(QtTopicReader *reader)
{
	if (!reader->scanning)
		return;
	reader->segments_read += reader->scan.segments_read;
	reader->batches_passed += reader->scan.leaf.batches_passed;
	qt_scan_end(&reader->scan);
	qt_read_view_close(&reader->view);
	MemoryContextReset(reader->context);
	reader->scanning = false;
	reader->reading = false;
}

/* ---- summaries ---- */

/* First and last offset of the partition; what is between is not looked at. */
static void
find_ends(QtTopicReader *reader, QtPartitionSummary *summary)
{
	QtRecord	record;

	for (int backward = 0; backward <= 1; backward++)
	{
		reader->bounds.backward = backward;
		open_partition(reader, false);
		if (next_of_partition(reader, &record))
			add_offsets(summary, 1, record.offset, record.offset);
		close_partition(reader);
	}
	reader->bounds.backward = false;
}

static void
add_batches(QtTopicReader *reader, QtPartitionSummary *summary)
{
	open_partition(reader, true);
	reader->chunk_bytes = CHUNK_BYTES_MAX;
	while (next_chunk(reader))
	{
		for (int i = 0; i < reader->scan.leaf.batch_count; i++)
			add_batch(reader, &reader->scan.leaf.batches[i], summary);
		CHECK_FOR_INTERRUPTS();
	}
	close_partition(reader);
}

/* Add what of a batch, given its header, is within the bounds. */
static void
add_batch(QtTopicReader *reader, const QtStoredBatch *batch, QtPartitionSummary *summary)
{
	const QtReadBounds *bounds = &reader->bounds;
	QtBatchSource source = {reader->topic->name, reader->partition, batch->last_offset};
	QtBatchHeader header;

	reader->batches_read++;
	qt_batch_header_decode_slice(batch->data, batch->len, batch->total_len, &source, &header);

	/* a compacted batch has lost records, and its first and last may be among them */
	if (header.base_offset >= Max(bounds->low, reader->scan.log_start_offset) &&
		batch->last_offset <= bounds->high &&
		bounds->time_low == PG_INT64_MIN && bounds->time_high == PG_INT64_MAX &&
		header.record_count == header.last_offset_delta + 1)
		add_offsets(summary, header.record_count, header.base_offset, batch->last_offset);
	else
		add_part_of_batch(reader, &source, summary);
}

/* Read one batch whole. */
static void
add_part_of_batch(QtTopicReader *reader, const QtBatchSource *source,
				  QtPartitionSummary *summary)
{
	QtPartitionScan scan;
	QtRecord	record;

	qt_scan_begin(&scan, reader->topic, reader->partition, &reader->view, source->last_offset);
	if (qt_scan_next(&scan, 1, 1) && scan.leaf.batches[0].last_offset == source->last_offset)
	{
		qt_batch_reader_open(&reader->batch_reader, scan.leaf.batches[0].data,
							 scan.leaf.batches[0].len, source, qt_guc_check_crcs);
		while (qt_batch_reader_next(&reader->batch_reader, &record))
			if (is_wanted(reader, &record))
				add_offsets(summary, 1, record.offset, record.offset);
	}
	qt_scan_end(&scan);
}

static void
add_offsets(QtPartitionSummary *summary, int64 count, int64 first, int64 last)
{
	if (summary->count == 0 || first < summary->first_offset)
		summary->first_offset = first;
	if (summary->count == 0 || last > summary->last_offset)
		summary->last_offset = last;
	summary->count += count;
}
