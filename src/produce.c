/*
 * produce.c
 *		Producing: from records to appended batches.
 *
 * Immediate records are packed by partition and appended when enough has
 * gathered or the call ends; deferred ones go to the buffer of deferred.c.
 *
 * The leaf is locked to the end of the transaction, before its segment's place
 * in the catalog is looked at for the last time: REINDEX CONCURRENTLY waits
 * for us only then, and drop_topic cannot take the storage away.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/memutils.h"

#include "deferred.h"
#include "partitioner.h"
#include "produce.h"
#include "qtopic.h"
#include "segment_store.h"
#include "wakeup.h"

/* Kafka's batch.size: a partition is kept for that many bytes without key. */
#define STICKY_BYTES	16384

/* Finished batches of one partition that are appended before the call ends. */
#define GATHERED_MAX	64

/* How often a segment may be overtaken by the next one before we give up. */
#define APPEND_TRIES_MAX	20

static QtPacker *single = NULL; /* for qt_produce_record */

static int	choose_partition(QtTopic *topic, const QtRecord *record, int partition);
static int	sticky_partition(QtTopic *topic);
static void count_sticky(QtTopic *topic, const QtRecord *record);
static void append_packed(QtProducer *producer, int partition);
static void add_run(QtProducer *producer, int partition, int64 base_offset,
					int64 record_count);
static QtSegment *append_segment(QtPartition *partition);

void
qt_producer_begin(QtProducer *producer, QtTopic *topic, bool deferred)
{
	PreventCommandIfReadOnly("produce()");
	PreventCommandDuringRecovery("produce()");

	memset(producer, 0, sizeof(*producer));
	producer->topic = topic;
	producer->deferred = deferred && qt_deferred_possible();
	producer->sticky = -1;
	producer->partition_count = topic->partition_count;
	if (producer->deferred)
		producer->buffered = palloc0(sizeof(int64) * topic->partition_count);
	else
		producer->packers = palloc0(sizeof(QtPacker *) * topic->partition_count);
}

void
qt_producer_put(QtProducer *producer, const QtRecord *record, int partition)
{
	QtTopic    *topic = producer->topic;
	QtPacker   *packer;

	if (partition == QT_PARTITION_ANY && record->key_len < 0)
	{
		/* all records of a call that have no key go together */
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
		return;
	}

	packer = producer->packers[partition];
	if (packer == NULL)
	{
		packer = producer->packers[partition] = palloc(sizeof(QtPacker));
		qt_producer_init_packer(packer, topic);
	}
	qt_packer_add(packer, record);
	if (packer->batch_count >= GATHERED_MAX)
		append_packed(producer, partition);
}

void
qt_producer_finish(QtProducer *producer)
{
	for (int p = 0; p < producer->partition_count; p++)
	{
		if (producer->deferred)
		{
			if (producer->buffered[p] > 0)
				add_run(producer, p, -1, producer->buffered[p]);
		}
		else if (producer->packers[p] != NULL)
		{
			qt_packer_finish(producer->packers[p]);
			producer->topic->packing_ratio = producer->packers[p]->ratio;
			append_packed(producer, p);
		}
	}
}

void
qt_produce_record(QtTopic *topic, const QtRecord *record, int partition,
				  bool deferred, int *chosen, int64 *offset)
{
	PreventCommandIfReadOnly("produce()");
	PreventCommandDuringRecovery("produce()");

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

	if (single == NULL)
	{
		MemoryContext context = AllocSetContextCreate(TopMemoryContext, "qtopic single record",
													  ALLOCSET_DEFAULT_SIZES);
		MemoryContext old = MemoryContextSwitchTo(context);
		QtPacker   *packer = palloc(sizeof(QtPacker));

		qt_producer_init_packer(packer, topic);
		MemoryContextSwitchTo(old);
		single = packer;
	}
	else
	{
		/* an error may have left a record behind */
		qt_packer_reset(single);
		qt_batch_builder_reset(&single->builder);
		single->codec = topic->config.codec;
		single->level = topic->config.codec_level;
		single->log_append_time = topic->config.log_append_time;
		single->max_batch_bytes = topic->config.max_message_bytes;
	}
	qt_packer_add(single, record);
	qt_packer_finish(single);
	Assert(single->batch_count == 1);
	qt_producer_append(topic, *chosen, single, offset);
	qt_packer_reset(single);
}

void
qt_producer_init_packer(QtPacker *packer, QtTopic *topic)
{
	qt_packer_init(packer, topic->config.codec, topic->config.codec_level,
				   topic->config.log_append_time, QT_BATCH_PAGE_LIMIT,
				   topic->config.max_message_bytes);
	if (topic->packing_ratio > 0)
		packer->ratio = topic->packing_ratio;
}

void
qt_producer_append(QtTopic *topic, int number, QtPacker *packer, int64 *base_offsets)
{
	int			done = 0;

	qt_wakeup_note(topic->wait_slot);

	for (int tries = 0; done < packer->batch_count;)
	{
		QtPartition *partition;
		QtSegment  *segment;
		QtAppendTarget target;

		qt_topic_refresh(topic);
		partition = qt_topic_partition(topic, number);
		segment = append_segment(partition);
		target.slot = partition->slot;
		target.key = partition->key;
		target.leaf = segment->leaf;
		target.leaf_no = segment->leaf_no;
		target.ordinal = segment->ordinal;

		if (tries++ == APPEND_TRIES_MAX)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not find the active segment of topic \"%s\", partition %d",
							topic->name, number),
					 errdetail("The catalog names segment %d, but another transaction has appended to segment %u.",
							   segment->ordinal,
							   pg_atomic_read_u32(&partition->slot->highest_segment)),
					 errhint("Try the transaction again.")));

		LockRelationOid(target.leaf, RowExclusiveLock);
		if (!topic->valid)
			continue;			/* the lock brought news */

		done += qt_segment_append(&target, packer->batches + done,
								  packer->batch_count - done, base_offsets + done);
		if (done < packer->batch_count)
			qt_topic_reload_partition(topic, number);
	}
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

/* Append a partition's finished batches and note where they went. */
static void
append_packed(QtProducer *producer, int partition)
{
	QtPacker   *packer = producer->packers[partition];
	int64	   *base_offsets;

	if (packer->batch_count == 0)
		return;
	base_offsets = palloc(sizeof(int64) * packer->batch_count);
	qt_producer_append(producer->topic, partition, packer, base_offsets);
	for (int i = 0; i < packer->batch_count; i++)
		add_run(producer, partition, base_offsets[i], packer->batches[i].record_count);
	pfree(base_offsets);
	qt_packer_reset(packer);
}

/* Extends the last run if the records follow it. */
static void
add_run(QtProducer *producer, int partition, int64 base_offset, int64 record_count)
{
	QtProducedRun *run;

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
			producer->runs = palloc(sizeof(QtProducedRun) * producer->run_capacity);
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

/*
 * The segment to append to: the highest, but never one that this very
 * transaction made.  If it rolled back, the slot would be ahead of the
 * catalog and every producer would fail.  The first segment of a partition is
 * no danger: it goes away with its slot.
 */
static QtSegment *
append_segment(QtPartition *partition)
{
	for (int i = partition->segment_count - 1; i > 0; i--)
	{
		TransactionId made_by = partition->segments[i].made_by;

		if (!TransactionIdIsValid(made_by) ||
			!TransactionIdIsCurrentTransactionId(made_by))
			return &partition->segments[i];
	}
	return &partition->segments[0];
}
