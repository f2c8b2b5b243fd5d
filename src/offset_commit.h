/*
 * offset_commit.h
 *		Positions that members of consumer groups commit.
 */
#ifndef QTOPIC_OFFSET_COMMIT_H
#define QTOPIC_OFFSET_COMMIT_H

#include "topic_cache.h"

/* Bytes of metadata, as Kafka's offset.metadata.max.bytes. */
#define QT_METADATA_MAX		4096

/* Where to read next in a partition. */
typedef struct QtOffsetToCommit
{
	QtTopic    *topic;
	int			partition;
	int64		next_offset;	/* >= 0 */
	const char *metadata;		/* or NULL */
} QtOffsetToCommit;

/*
 * A member commits positions in this transaction; all or none.  Waits for
 * others that commit in the same partitions.  Errors: QT002, QT004 as
 * qt_member_present(), and QT002 for a partition that it does not own; QT001
 * for an offset above the end of the log; 42704, 42501, 22023 twice the same
 * partition.  The right to read the topics has been checked.
 */
extern void qt_commit_offsets(const char *group, const char *member_id, int epoch,
							  const QtOffsetToCommit *offsets, int count);

#endif							/* QTOPIC_OFFSET_COMMIT_H */
