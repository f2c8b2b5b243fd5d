/*
 * consume.h
 *		Reading in a consumer group.
 */
#ifndef QTOPIC_CONSUME_H
#define QTOPIC_CONSUME_H

#include "fetch.h"
#include "topic_cache.h"

typedef struct QtConsumeRequest
{
	const char *group;
	QtTopic    *topic;			/* wait_for_records: NULL for all of the group's */
	int64		max_records;	/* > 0 */
	int64		max_bytes;		/* of keys, values and headers; one record at least */
	int64		max_wait_ms;	/* 0: do not wait */
} QtConsumeRequest;

/*
 * Read from the group's positions in the partitions that no other transaction
 * of the group reads, and move the positions in this transaction; a group that
 * does not exist is made.  Returns how many records went to the sink, those of
 * a partition in order.  If there are none, waits for some, unless waiting
 * cannot help or could deadlock: under REPEATABLE READ, or when this
 * transaction has written.
 *
 * The rights on the topic have been checked; 42501 if the group belongs to
 * another role, 40001 if a position was moved by a transaction that this one's
 * snapshot does not see, QT001 if a position is out of range and the group does
 * not say where to go on.
 */
extern int64 qt_consume(const QtConsumeRequest *request, QtRecordSink sink, void *arg);

/*
 * Wait until a qt_consume would find records, or the time is over; true if it
 * would.  Nothing is changed, and while it waits it holds no lock or snapshot
 * of its own.  42704 if topic is NULL and there is no such group.
 */
extern bool qt_wait_for_records(const QtConsumeRequest *request);

#endif							/* QTOPIC_CONSUME_H */
