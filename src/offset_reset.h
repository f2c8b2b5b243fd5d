/*
 * offset_reset.h
 *		Moving the positions of a consumer group by hand.
 */
#ifndef QTOPIC_OFFSET_RESET_H
#define QTOPIC_OFFSET_RESET_H

#include "datatype/timestamp.h"

#include "topic_cache.h"

typedef enum QtResetTo
{
	QT_RESET_EARLIEST,
	QT_RESET_LATEST,			/* the last stable offset */
	QT_RESET_CURRENT,			/* the position, brought into the log */
	QT_RESET_OFFSET,
	QT_RESET_TIME,				/* the first record not before */
	QT_RESET_SHIFT				/* the position plus an amount */
} QtResetTo;

typedef struct QtResetRequest
{
	const char *group;
	QtTopic    *topic;
	int			partition;		/* -1: all */
	QtResetTo	to;
	int64		offset;			/* or amount */
	TimestampTz time;
	bool		dry_run;
} QtResetRequest;

typedef struct QtResetResult
{
	int			partition;
	int64		old_offset;		/* -1: there was no position */
	int64		new_offset;
} QtResetResult;

/*
 * Move positions, or with dry_run say where they would go.  A value outside of
 * the log is brought into it, with a warning.  Waits for transactions that
 * consume in the partitions.  A group that does not exist is made.  Returns a
 * palloc'd array of *count results.  42501 as qt_group_open, QT003 if the group
 * is being changed.
 */
extern QtResetResult *qt_reset_offsets(const QtResetRequest *request, int *count);

#endif							/* QTOPIC_OFFSET_RESET_H */
