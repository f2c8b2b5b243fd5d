/*
 * catalog.h
 *		The catalog tables of qtopic, read with a snapshot of their own.
 *
 * Every read here takes a fresh snapshot, whatever the isolation level of the
 * transaction: what a topic is, and where its segments are, is not part of
 * what a transaction froze.
 */
#ifndef QTOPIC_CATALOG_H
#define QTOPIC_CATALOG_H

#include "utils/jsonb.h"
#include "utils/snapshot.h"

/* A row of topics; what it points to is palloc'd. */
typedef struct QtTopicRow
{
	int			topic_id;
	char	   *name;
	NameData	relation;
	int			partitions;
	Jsonb	   *config;
	Oid			creator;
} QtTopicRow;

typedef enum QtSegmentState
{
	QT_SEGMENT_FREE,
	QT_SEGMENT_ACTIVE,
	QT_SEGMENT_SEALED,
	QT_SEGMENT_SETTLED,
	QT_SEGMENT_EXPIRED,
	QT_SEGMENT_FILLING,
	QT_SEGMENT_FILLED,
	QT_SEGMENT_REPLACED
} QtSegmentState;

/* A segment of a partition, and the leaf that holds it. */
typedef struct QtSegment
{
	int			ordinal;
	int			leaf_no;
	int			generation;
	QtSegmentState state;
	int64		last_key;		/* of a settled segment, else -1 */
	TransactionId made_by;		/* if this transaction made it, else invalid */
	Oid			leaf;			/* relation */
} QtSegment;

/* A partition as the catalog has it; palloc'd. */
typedef struct QtPartitionRow
{
	int64		log_start_offset;
	bool		log_start_is_ours;	/* moved by this very transaction */
	Oid			sequence;		/* relation */
	int			segment_count;
	QtSegment  *segments;		/* ordinal order; those that hold records */
} QtPartitionRow;

/* OIDs of schemas and tables; InvalidOid if there is no such thing. */
extern Oid	qt_catalog_schema(const char *schema);
extern Oid	qt_catalog_table(const char *table);

/* A fresh snapshot, to be registered by the caller. */
extern Snapshot qt_catalog_snapshot(void);

/* Name of a topic's partitioned table, of a leaf, of a partition's sequence. */
extern void qt_catalog_parent_name(NameData *name, int topic_id);
extern void qt_catalog_leaf_name(NameData *name, int topic_id, int partition, int leaf_no);
extern void qt_catalog_sequence_name(NameData *name, int topic_id, int partition);

/* The owner of the extension, who owns all storage. */
extern Oid	qt_catalog_owner(void);

/* False if there is no such topic. */
extern bool qt_catalog_find_topic(const char *name, QtTopicRow *row);
extern bool qt_catalog_get_topic(int topic_id, QtTopicRow *row);
extern bool qt_catalog_find_relation(const char *relation, QtTopicRow *row);

/*
 * Log start offset and segment list, both of one snapshot taken inside.
 * False if there is no such partition.
 */
extern bool qt_catalog_get_partition(int topic_id, int partition, QtPartitionRow *row);

#endif							/* QTOPIC_CATALOG_H */
