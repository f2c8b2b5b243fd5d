/*
 * produce.h
 *		Producing: from records to appended batches.
 */
#ifndef QTOPIC_PRODUCE_H
#define QTOPIC_PRODUCE_H

#include "batch_packer.h"
#include "topic_cache.h"

/* Let the partitioner choose. */
#define QT_PARTITION_ANY	(-1)

/* Records that were appended without another producer's between them. */
typedef struct QtProducedRun
{
	int			partition;
	int64		base_offset;	/* -1: deferred, not known yet */
	int64		last_offset;
	int64		record_count;
} QtProducedRun;

/* One call that produces records to a topic. */
typedef struct QtProducer
{
	QtTopic    *topic;
	MemoryContext context;		/* current at qt_producer_begin */
	MemoryContext packing;		/* of the packers */
	bool		deferred;
	int			sticky;			/* partition of records without key, or -1 */
	int			partition_count;	/* when the call began */
	QtPacker  **packers;		/* by partition, NULL: nothing yet */
	Size		finished_bytes; /* of batches that wait to be appended */
	int64	   *buffered;		/* by partition: records deferred */
	bool		without_runs;	/* nobody asks where the records are */
	QtProducedRun *runs;
	int			run_count;
	int			run_capacity;
} QtProducer;

/*
 * Begin: refuses read-only transactions and recovery.  The rights have been
 * checked.  Memory is of the current context.
 */
extern void qt_producer_begin(QtProducer *producer, QtTopic *topic, bool deferred);

/* Add a record; 22023 if there is no such partition, 54000 if too large. */
extern void qt_producer_put(QtProducer *producer, const QtRecord *record, int partition);

/*
 * Append what is left.  Then runs[] tells where the records are, unless the
 * caller has set without_runs after the beginning.
 */
extern void qt_producer_finish(QtProducer *producer);

/* One record, the short way.  *offset is -1 if it was deferred. */
extern void qt_produce_record(QtTopic *topic, const QtRecord *record,
							  int partition, bool deferred,
							  int *chosen, int64 *offset);

#endif							/* QTOPIC_PRODUCE_H */
