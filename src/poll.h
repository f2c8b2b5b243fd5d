/*
 * poll.h
 *		Reading as a member of a consumer group.
 */
#ifndef QTOPIC_POLL_H
#define QTOPIC_POLL_H

#include "fetch.h"

typedef struct QtPollRequest
{
	const char *group;
	const char *member_id;
	int			epoch;
	int64		max_records;	/* > 0 */
	int64		max_bytes;		/* of keys, values and headers; one record at least */
	int64		max_wait_ms;	/* at most qtopic.max_wait */
} QtPollRequest;

/*
 * Read from the committed positions of the partitions that the member owns in
 * that epoch; returns how many records went to the sink.  Waits for some, but
 * not when the group has a later epoch, under REPEATABLE READ, or in a
 * transaction that has written.  Errors: those of qt_member_present(); QT001 a
 * position is out of range in a group that starts at "none".
 */
extern int64 qt_poll(const QtPollRequest *request, QtRecordSink sink, void *arg);

#endif							/* QTOPIC_POLL_H */
