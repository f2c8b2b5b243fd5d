/*
 * topic_reader.h
 *		Reading several partitions of a topic with one snapshot, within bounds.
 */
#ifndef QTOPIC_TOPIC_READER_H
#define QTOPIC_TOPIC_READER_H

#include "nodes/bitmapset.h"
#include "nodes/execnodes.h"

#include "partition_scan.h"
#include "record_batch.h"

/* Which records are wanted; all bounds are inclusive. */
typedef struct QtReadBounds
{
	bool		nothing;		/* none at all */
	bool		some_partitions;	/* only those of the set */
	Bitmapset  *partitions;
	int64		low;			/* offsets */
	int64		high;
	int64		time_low;		/* ms since 1970 */
	int64		time_high;
	bool		backward;		/* both partitions and offsets descending */
	bool		continued;		/* a part of the partition that is not its first */
	bool		stop_fixed;		/* somebody has found out where to stop: */
	int64		stop;			/* keys from here on are out */
	int64		stop_base;		/* base offset of the first of them */
	int64		log_start;		/* records below are gone */
} QtReadBounds;

typedef struct QtTopicReader
{
	QtTopic    *topic;
	EState	   *estate;
	MemoryContext context;		/* of what belongs to the partition in hand */
	QtReadBounds bounds;
	int			partition_count;	/* when the reader was opened */
	int			partition;		/* in hand */
	bool		scanning;		/* view and scan are of that partition */
	bool		last_chunk;		/* the scan need not go on */
	QtReadView	view;
	QtPartitionScan scan;
	Size		chunk_bytes;
	int			batch;			/* next batch of the chunk */
	bool		reading;		/* the batch reader has a batch */
	QtBatchSource source;
	QtBatchReader batch_reader;
	QtRecord   *records;		/* backward: the records of the batch */
	int			record_count;
	int			record_capacity;

	/* for EXPLAIN */
	int64		partitions_read;
	int64		segments_read;
	int64		batches_read;
	int64		batches_passed;
} QtTopicReader;

/* What there is in a partition within the bounds. */
typedef struct QtPartitionSummary
{
	int			partition;
	int64		count;
	int64		first_offset;	/* valid if count > 0 */
	int64		last_offset;
} QtPartitionSummary;

extern void qt_reader_open(QtTopicReader *reader, QtTopic *topic, EState *estate);

/* No bounds at all. */
extern void qt_read_bounds_init(QtReadBounds *bounds);

/* (Re)start with bounds, which are copied but for the set of partitions. */
extern void qt_reader_start(QtTopicReader *reader, const QtReadBounds *bounds);

/*
 * The next record, valid until the next call; reader->source tells where it
 * is.  False at the end.  No pin or lock is held between calls.
 */
extern bool qt_reader_next(QtTopicReader *reader, QtRecord *record);

/*
 * Summarize the next partition that has records, mostly from the headers of
 * its batches; with ends_only the count is not that of the records, and only
 * the ends are read.  False at the end.  Bounds must not be backward.  Not to
 * be mixed with qt_reader_next.
 */
extern bool qt_reader_summarize(QtTopicReader *reader, bool ends_only,
								QtPartitionSummary *summary);

/*
 * Where the snapshot stops in a partition, and where the partition starts; for
 * those who share the work of reading it.
 */
extern void qt_reader_find_stop(QtTopicReader *reader, int partition, QtStop *stop);

extern void qt_reader_close(QtTopicReader *reader);

#endif							/* QTOPIC_TOPIC_READER_H */
