/*
 * produce.c
 *		Producing: from records to appended batches.
 *
 * Immediate records are packed by partition and appended when enough has
 * gathered or the call ends; deferred ones go to the buffer of deferred.c.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/memutils.h"

#include "append.h"
#include "deferred.h"
#include "partitioner.h"
#include "produce.h"
#include "qtopic.h"

/* Kafka's batch.size: a partition is kept for that many bytes without key. */
#define STICKY_BYTES	16384

/*
 * Finished batches of one partition that are appended before the call ends: as
 * many as are appended in one go under the append lock, and few enough to stay
 * in the processor's cache.
 */
#define GATHERED_MAX	8
#define GATHERED_BYTES_MAX	(256 * 1024)

/* Bytes of finished batches of all partitions. */
#define FINISHED_BYTES_MAX	(4 * 1024 * 1024)

/*
 * Memory for batches of all partitions, finished or not.  With many partitions
 * it is more, what it takes to fill a page in each: batches that are cut short
 * again and again cost space for ever.
 */
#define PACKING_BYTES_MAX	(16 * 1024 * 1024)
#define PACKING_BYTES_PER_PARTITION	(96 * 1024)

/* A packer for single records that grew past this is not kept. */
#define SINGLE_KEPT_MAX		(256 * 1024)

static QtPacker *single = NULL; /* see take_single_packer */

static void check_writable(void);
static QtPacker *take_single_packer(QtTopic *topic);
static int	choose_partition(QtTopic *topic, const QtRecord *record, int partition);
static int	sticky_partition(QtTopic *topic);
static void count_sticky(QtTopic *topic, const QtRecord *record);
static bool pack_record(QtProducer *producer, const QtRecord *record, int partition);
static bool limit_packing(QtProducer *producer);
static void append_all(QtProducer *producer, bool finish);
static void append_packed(QtProducer *producer, int partition);
static void add_run(QtProducer *producer, int partition, int64 base_offset,
					int64 record_count);

void
qt_producer_begin(QtProducer *producer, QtTopic *topic, bool deferred)
{
	check_writable();

	memset(producer, 0, sizeof(*producer));
	producer->topic = topic;
	producer->context = CurrentMemoryContext;
	producer->deferred = deferred && qt_deferred_possible();
	producer->sticky = -1;
	producer->partition_count = topic->partition_count;
	if (producer->deferred)
		producer->buffered = palloc0(sizeof(int64) * topic->partition_count);
	else
	{
		producer->packers = palloc0(sizeof(QtPacker *) * topic->partition_count);
		producer->packing = AllocSetContextCreate(CurrentMemoryContext, "qtopic producer",
												  ALLOCSET_DEFAULT_SIZES);
	}
}

void
qt_producer_put(QtProducer *producer, const QtRecord *record, int partition)
{
	QtTopic    *topic = producer->topic;
	bool		sticky = partition == QT_PARTITION_ANY && record->key_len < 0;

	if (sticky)
	{
		if (producer->sticky < 0)
			producer->sticky = sticky_partition(topic);
		count_sticky(topic, record);
		partition = producer->sticky;
	}
	else
		partition = choose_partition(topic, record, partition);
	if (partition >= producer->partition_count)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("partitions were added to topic \"%s\" while records were produced to it",
						topic->name)));

	if (producer->deferred)
	{
		qt_deferred_add(topic, partition, record);
		producer->buffered[partition]++;
		if (sticky && topic->sticky_bytes >= STICKY_BYTES)
			producer->sticky = -1;
	}
	else if (pack_record(producer, record, partition) && sticky)
	{
		/* the next record batch without keys goes elsewhere */
		producer->sticky = -1;
		topic->sticky_bytes = STICKY_BYTES;
	}
}

void
qt_producer_finish(QtProducer *producer)
{
	if (!producer->deferred)
	{
		append_all(producer, true);
		return;
	}
	for (int p = 0; p < producer->partition_count; p++)
		if (producer->buffered[p] > 0)
			add_run(producer, p, -1, producer->buffered[p]);
}

void
qt_produce_record(QtTopic *topic, const QtRecord *record, int partition,
				  bool deferred, int *chosen, int64 *offset)
{
	QtPacker   *packer;

	check_writable();

	if (partition == QT_PARTITION_ANY && record->key_len < 0)
	{
		*chosen = sticky_partition(topic);
		count_sticky(topic, record);
	}
	else
		*chosen = choose_partition(topic, record, partition);

	if (deferred && qt_deferred_possible())
	{
		qt_deferred_add(topic, *chosen, record);
		*offset = -1;
		return;
	}

	packer = take_single_packer(topic);
	qt_packer_add(packer, record);
	qt_packer_finish(packer);
	Assert(packer->batch_count == 1);
	qt_append(topic, *chosen, packer, offset);
	qt_packer_reset(packer);
	if (packer->builder.raw.maxlen <= SINGLE_KEPT_MAX)
		single = packer;
}

/*
 * The packer for single records, which is kept between calls.  It is out of
 * the variable while it is used: one that met an error is not used again.
 */
static QtPacker *
take_single_packer(QtTopic *topic)
{
	static MemoryContext context = NULL;
	QtPacker   *packer = single;

	single = NULL;
	if (packer == NULL)
	{
		MemoryContext old;

		/* what an error left behind */
		if (context)
			MemoryContextReset(context);
		else
			context = AllocSetContextCreate(TopMemoryContext, "qtopic single record",
											ALLOCSET_DEFAULT_SIZES);
		old = MemoryContextSwitchTo(context);
		packer = palloc(sizeof(QtPacker));
		qt_append_init_packer(packer, topic);
		MemoryContextSwitchTo(old);
	}
	packer->codec = topic->config.codec;
	packer->level = topic->config.codec_level;
	packer->log_append_time = topic->config.log_append_time;
	packer->max_batch_bytes = topic->config.max_message_bytes;
	return packer;
}

/* A parallel worker would buffer deferred records and never append them. */
static void
check_writable(void)
{
	PreventCommandIfReadOnly("produce()");
	PreventCommandIfParallelMode("produce()");
	PreventCommandDuringRecovery("produce()");
}

/* Partition of a record that has a key or a partition of its own. */
static int
choose_partition(QtTopic *topic, const QtRecord *record, int partition)
{
	if (partition == QT_PARTITION_ANY)
		return qt_partition_for_key(topic->config.partitioner, record->key,
									record->key_len, topic->partition_count);
	qt_topic_check_partition(topic, partition);
	return partition;
}

/* Partition of the next records without key. */
static int
sticky_partition(QtTopic *topic)
{
	if (topic->sticky_partition < 0 ||
		topic->sticky_partition >= topic->partition_count ||
		topic->sticky_bytes >= STICKY_BYTES)
	{
		topic->sticky_partition = (int) pg_prng_uint64_range(&pg_global_prng_state, 0,
															 topic->partition_count - 1);
		topic->sticky_bytes = 0;
	}
	return topic->sticky_partition;
}

static void
count_sticky(QtTopic *topic, const QtRecord *record)
{
	topic->sticky_bytes += qt_batch_record_size(record);
}

/* Pack a record; true if that completed a batch. */
static bool
pack_record(QtProducer *producer, const QtRecord *record, int partition)
{
	QtPacker   *packer = producer->packers[partition];
	int			complete;
	Size		complete_bytes;

	if (packer == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(producer->packing);

		packer = producer->packers[partition] = palloc(sizeof(QtPacker));
		qt_append_init_packer(packer, producer->topic);
		MemoryContextSwitchTo(old);
	}

	complete = packer->batch_count;
	complete_bytes = packer->batch_bytes;
	qt_packer_add(packer, record);
	if (packer->batch_count == complete)
		return limit_packing(producer);
	producer->finished_bytes += packer->batch_bytes - complete_bytes;
	if (packer->batch_count >= GATHERED_MAX || packer->batch_bytes >= GATHERED_BYTES_MAX)
		append_packed(producer, partition);
	(void) limit_packing(producer);
	return true;
}

/*
 * Append what is finished if it is too much.  If all takes too much memory,
 * also finish what is not, and begin anew; true then.
 */
static bool
limit_packing(QtProducer *producer)
{
	Size		limit = Max(PACKING_BYTES_MAX,
							(Size) producer->partition_count * PACKING_BYTES_PER_PARTITION);

	if (producer->finished_bytes > FINISHED_BYTES_MAX)
		append_all(producer, false);
	if (MemoryContextMemAllocated(producer->packing, false) <= limit)
		return false;

	append_all(producer, true);
	memset(producer->packers, 0, sizeof(QtPacker *) * producer->partition_count);
	MemoryContextReset(producer->packing);
	return true;
}

/* Append the finished batches of all partitions, or finish all of them before. */
static void
append_all(QtProducer *producer, bool finish)
{
	for (int p = 0; p < producer->partition_count; p++)
	{
		QtPacker   *packer = producer->packers[p];

		if (packer == NULL)
			continue;
		if (finish)
		{
			qt_packer_finish(packer);
			producer->topic->packing_ratio = packer->ratio;
		}
		append_packed(producer, p);
	}
	producer->finished_bytes = 0;
}

/* Append a partition's finished batches and note where they went. */
static void
append_packed(QtProducer *producer, int partition)
{
	QtPacker   *packer = producer->packers[partition];
	int64	   *base_offsets;

	if (packer->batch_count == 0)
		return;
	base_offsets = palloc(sizeof(int64) * packer->batch_count);
	qt_append(producer->topic, partition, packer, base_offsets);
	for (int i = 0; i < packer->batch_count; i++)
		add_run(producer, partition, base_offsets[i], packer->batches[i].record_count);
	pfree(base_offsets);
	producer->finished_bytes -= Min(producer->finished_bytes, packer->batch_bytes);
	qt_packer_reset(packer);
}

/* Extends the last run if the records follow it. */
static void
add_run(QtProducer *producer, int partition, int64 base_offset, int64 record_count)
{
	QtProducedRun *run;

	if (producer->without_runs)
		return;
	if (producer->run_count > 0)
	{
		run = &producer->runs[producer->run_count - 1];
		if (base_offset >= 0 && run->partition == partition &&
			run->last_offset + 1 == base_offset)
		{
			run->last_offset += record_count;
			run->record_count += record_count;
			return;
		}
	}

	if (producer->run_count == producer->run_capacity)
	{
		producer->run_capacity = Max(8, producer->run_capacity * 2);
		if (producer->runs == NULL)
			producer->runs = MemoryContextAlloc(producer->context,
												sizeof(QtProducedRun) * producer->run_capacity);
		else
			producer->runs = repalloc(producer->runs,
									  sizeof(QtProducedRun) * producer->run_capacity);
	}
	run = &producer->runs[producer->run_count++];
	run->partition = partition;
	run->base_offset = base_offset;
	run->last_offset = base_offset < 0 ? -1 : base_offset + record_count - 1;
	run->record_count = record_count;
}
