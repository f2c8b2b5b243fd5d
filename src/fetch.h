/*
 * fetch.h
 *		Reading records of a partition without a group.
 */
#ifndef QTOPIC_FETCH_H
#define QTOPIC_FETCH_H

#include "datatype/timestamp.h"

#include "record_batch.h"
#include "topic_cache.h"

/* Receives records in offset order; what they point to is not kept. */
typedef void (*QtRecordSink) (void *arg, const QtRecord *record,
							  const QtBatchSource *source);

typedef struct QtFetchRequest
{
	QtTopic    *topic;
	int			partition;
	int64		from_offset;
	int64		max_records;	/* > 0 */
	int64		max_bytes;		/* of keys, values and headers; one record at least */
	int64		max_wait_ms;	/* 0: do not wait */
} QtFetchRequest;

/* What one look at the log gave. */
typedef struct QtFetchResult
{
	int64		count;			/* records that went to the sink */
	int64		bytes;			/* of their keys, values and headers */
	int64		next_offset;	/* that of the last record plus one, if count > 0 */
	int			leader_epoch;	/* of its batch */
	bool		own_record;		/* stopped at a record of this transaction */
	int64		empty_to;		/* if count = 0: there are no records below, nor
								 * will there be */
} QtFetchResult;

/*
 * Read from a position with a snapshot of its own, without waiting.  The
 * caller has seen that the position is not outside of the log; what lies
 * below the log start is left out.
 */
extern void qt_fetch_once(const QtFetchRequest *request, QtRecordSink sink,
						  void *arg, QtFetchResult *result);

/*
 * Read from a position; returns how many records went to the sink.  If there
 * are none, waits for some, unless waiting cannot help: under REPEATABLE READ,
 * or when this transaction's own records are in the way.  QT001 if the
 * position is below the log start or above the next offset (on a standby the
 * latter returns nothing).  The rights have been checked.
 */
extern int64 qt_fetch(const QtFetchRequest *request, QtRecordSink sink, void *arg);

/* The ends of a partition, and what holds back its last stable offset. */
typedef struct QtPartitionState
{
	int64		log_start_offset;
	int64		last_stable_offset;
	int64		next_offset;
	TransactionId blocked_by;	/* top-level xid, or invalid */
	int			blocked_by_pid; /* 0: prepared, or not known any more */
} QtPartitionState;

extern void qt_partition_state(QtTopic *topic, int partition, QtPartitionState *state);

/*
 * The lowest offset of a record whose timestamp (ms since 1970) is not below,
 * or -1 if there is none among the stable records: those of now (latest), or
 * those that the isolation level shows.
 */
extern int64 qt_offset_for_time(QtTopic *topic, int partition, int64 timestamp,
								bool latest);

/* The same, or if there is none, the last stable offset. */
extern int64 qt_first_offset_since(QtTopic *topic, int partition, TimestampTz time);

/* Where a reader of a partition stops now, whatever the isolation level. */
extern int64 qt_stable_offset(QtTopic *topic, int partition);

#endif							/* QTOPIC_FETCH_H */
