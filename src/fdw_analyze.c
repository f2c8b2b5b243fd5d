/*
 * fdw_analyze.c
 *		ANALYZE of the relation of a topic.
 *
 * The sample is made of whole batches at random offsets, spread over the
 * partitions by their number of records.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "commands/vacuum.h"
#include "common/pg_prng.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "fdw_topic.h"
#include "qtopic.h"
#include "record_row.h"
#include "topic_reader.h"

/* Records taken from one place. */
#define RECORDS_PER_PLACE	30

static int	sample_rows(Relation rel, int elevel, HeapTuple *rows, int target_rows,
						double *total_rows, double *total_dead_rows);
static int	sample_partition(QtTopicReader *reader, Relation rel, int partition,
							 int64 start, int64 end, HeapTuple *rows, int target_rows);

bool
qt_fdw_analyze(Relation rel, AcquireSampleRowsFunc *sample, BlockNumber *pages)
{
	*sample = sample_rows;
	*pages = 1;
	return true;
}

static int
sample_rows(Relation rel, int elevel, HeapTuple *rows, int target_rows,
			double *total_rows, double *total_dead_rows)
{
	QtTopic    *topic = qt_fdw_topic(RelationGetRelid(rel));
	int			count = topic->partition_count;
	EState	   *estate = CreateExecutorState();
	QtTopicReader reader;
	int64	   *starts = palloc(sizeof(int64) * count);
	int64	   *ends = palloc(sizeof(int64) * count);
	double		total = 0;
	int			sampled = 0;

	/* what is learned with a transaction's snapshot is kept for the transaction */
	estate->es_snapshot = RegisterSnapshot(IsolationUsesXactSnapshot() ?
										   GetTransactionSnapshot() : GetLatestSnapshot());
	qt_reader_open(&reader, topic, estate);
	for (int p = 0; p < count; p++)
	{
		QtPartition *partition;

		qt_topic_refresh(topic);
		partition = qt_topic_partition(topic, p);
		starts[p] = partition->log_start_offset;
		ends[p] = (int64) pg_atomic_read_u64(&partition->slot->next_offset);
		total += ends[p] - starts[p];
	}
	for (int p = 0; p < count; p++)
	{
		int			share = (int) ceil(target_rows * ((double) (ends[p] - starts[p]) / Max(total, 1)));

		sampled += sample_partition(&reader, rel, p, starts[p], ends[p], rows + sampled,
									Min(share, target_rows - sampled));
	}
	qt_reader_close(&reader);
	UnregisterSnapshot(estate->es_snapshot);
	FreeExecutorState(estate);

	*total_rows = total;
	*total_dead_rows = 0;
	ereport(elevel,
			(errmsg("\"%s\": %.0f records, sampled %d of them",
					RelationGetRelationName(rel), total, sampled)));
	return sampled;
}

/*
 * Take the records at random places, in the order of places.  Each place is in
 * its own stretch of the partition, so that no record is taken twice.
 */
static int
sample_partition(QtTopicReader *reader, Relation rel, int partition,
				 int64 start, int64 end, HeapTuple *rows, int target_rows)
{
	int			places = (target_rows + RECORDS_PER_PLACE - 1) / RECORDS_PER_PLACE;
	QtTopicConfig *config = &reader->topic->config;
	MemoryContext work;
	int			sampled = 0;
	int64		stretch;

	if (places == 0 || end <= start)
		return 0;
	work = AllocSetContextCreate(CurrentMemoryContext, "qtopic sample",
								 ALLOCSET_DEFAULT_SIZES);
	stretch = Max((end - start + places - 1) / places, 1);
	for (int64 from = start; from < end && sampled < target_rows; from += stretch)
	{
		QtReadBounds bounds;
		QtRecord	record;
		int64		spare = Max(stretch - RECORDS_PER_PLACE, 0);

		qt_read_bounds_init(&bounds);
		bounds.some_partitions = true;
		bounds.partitions = bms_make_singleton(partition);
		bounds.low = from + (int64) pg_prng_uint64_range(&pg_global_prng_state, 0, spare);
		bounds.high = Min(bounds.low + RECORDS_PER_PLACE, from + stretch) - 1;
		qt_reader_start(reader, &bounds);
		while (sampled < target_rows && qt_reader_next(reader, &record))
		{
			Datum		values[QT_RECORD_COLUMNS];
			bool		nulls[QT_RECORD_COLUMNS];
			MemoryContext old = MemoryContextSwitchTo(work);

			qt_record_to_row(&record, &reader->source, config->key_format,
							 config->value_format, QT_ALL_COLUMNS, values, nulls);
			MemoryContextSwitchTo(old);
			rows[sampled++] = heap_form_tuple(RelationGetDescr(rel), values, nulls);
			MemoryContextReset(work);
		}
		vacuum_delay_point();
	}
	MemoryContextDelete(work);
	return sampled;
}
