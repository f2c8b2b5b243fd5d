/*
 * append.c
 *		Appending packed batches to a partition.
 *
 * The leaf is locked to the end of the transaction, before its segment's place
 * in the catalog is looked at for the last time: REINDEX CONCURRENTLY waits
 * for us only then, and drop_topic cannot take the storage away.
 *
 * Which segment is the active one is known only under the append lock.  A
 * producer whose catalog is behind appends nothing, reads the catalog again
 * and goes on with what is left.
 */
#include "postgres.h"

#include "access/xact.h"
#include "storage/lmgr.h"

#include "append.h"
#include "qtopic.h"
#include "segment_store.h"
#include "wakeup.h"

/* How often a segment may be overtaken by the next one before we give up. */
#define APPEND_TRIES_MAX	20

static QtSegment *append_segment(QtPartition *partition);

void
qt_append_init_packer(QtPacker *packer, QtTopic *topic)
{
	qt_packer_init(packer, topic->config.codec, topic->config.codec_level,
				   topic->config.log_append_time, QT_BATCH_PAGE_LIMIT,
				   topic->config.max_message_bytes);
	if (topic->packing_ratio > 0)
		packer->ratio = topic->packing_ratio;
}

void
qt_append(QtTopic *topic, int number, QtPacker *packer, int64 *base_offsets)
{
	int			done = 0;

	qt_wakeup_note(topic->wait_slot, number);

	for (int tries = 0; done < packer->batch_count;)
	{
		QtPartition *partition;
		QtSegment  *segment;
		QtAppendTarget target;
		int			appended;

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

		qt_append_lock(topic, target.leaf);
		if (!topic->valid)
			continue;			/* the lock brought news */

		appended = qt_segment_append(&target, packer->batches + done,
									 packer->batch_count - done, base_offsets + done);
		done += appended;
		if (appended > 0)
			tries = 0;
		if (done < packer->batch_count)
			qt_topic_reload_partition(topic, number);
	}
}

/*
 * Lock a leaf of the topic to the end of the transaction.  The topic's relation
 * comes first, as in drop_topic(), which so waits for us before it has locked
 * any leaf.
 */
void
qt_append_lock(QtTopic *topic, Oid leaf)
{
	if (OidIsValid(topic->relation))
		LockRelationOid(topic->relation, RowExclusiveLock);
	LockRelationOid(leaf, RowExclusiveLock);
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
