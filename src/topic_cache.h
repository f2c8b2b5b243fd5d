/*
 * topic_cache.h
 *		What this session knows of topics and partitions.
 *
 * An entry is found by name, rebuilt when the catalog changed, and carries
 * pointers into shared memory.  A QtTopic pointer stays good for the life of
 * the session unless the topic is dropped; what it points to changes only in
 * the functions below, which may be called again after any lock was taken.
 */
#ifndef QTOPIC_TOPIC_CACHE_H
#define QTOPIC_TOPIC_CACHE_H

#include "nodes/parsenodes.h"

#include "catalog.h"
#include "qtopic.h"
#include "shmem.h"
#include "topic_config.h"

typedef struct QtPartition
{
	bool		loaded;
	QtPartitionSlot *slot;
	QtPartitionKey key;
	int64		log_start_offset;
	bool		log_start_is_ours;	/* and may be rolled back */
	int			segment_count;
	QtSegment  *segments;		/* ordinal order */
} QtPartition;

typedef struct QtTopic
{
	char		name[QT_TOPIC_NAME_MAX + 1];	/* hash key */
	bool		valid;			/* false: the catalog has changed */
	bool		complete;		/* false: an error cut a rebuild short */
	MemoryContext context;		/* of partitions and below */
	int			id;
	NameData	relation_name;
	Oid			relation;		/* foreign table, or InvalidOid */
	Oid			parent;			/* partitioned table */
	Oid			creator;		/* role */
	int			partition_count;
	QtTopicConfig config;
	QtPartition *partitions;
	int			wait_slot;

	/* producer's state, kept over rebuilds */
	int			sticky_partition;	/* of records without key, or -1 */
	Size		sticky_bytes;	/* produced there so far */
	double		packing_ratio;	/* compressed / raw; 0: not known */
} QtTopic;

/*
 * Find a topic.  NULL if there is none and missing_ok, else 42704; 55000
 * unless the library was preloaded.
 */
extern QtTopic *qt_topic_lookup(const char *name, bool missing_ok);

/* The same by identifier; never finds another topic of the same name. */
extern QtTopic *qt_topic_lookup_id(int topic_id, bool missing_ok);

/*
 * Moves when topics may have been created, altered or dropped, as far as this
 * session has processed invalidations.
 */
extern uint64 qt_topic_changes(void);

/*
 * Rebuild the entry if the catalog changed.  42704 if the topic is gone or was
 * replaced by another of the same name.
 */
extern void qt_topic_refresh(QtTopic *topic);

/* A partition of a valid topic, loaded; 22023 if there is no such partition. */
extern QtPartition *qt_topic_partition(QtTopic *topic, int partition);

/* The catalog table of positions: its OID tells this extension from a later one. */
extern Oid	qt_positions_table(void);

/*
 * The next offset as shared memory has it: not below that of any record that
 * was appended before the call.
 */
extern int64 qt_partition_next_offset(const QtPartition *partition);

/* Read log start offset and segments anew. */
extern void qt_topic_reload_partition(QtTopic *topic, int partition);

/* Throws 22023 if the topic has no such partition. */
extern void qt_topic_check_partition(const QtTopic *topic, int partition);

/*
 * Throws 42501, saying what is missing, unless the current user has the right
 * (ACL_SELECT or ACL_INSERT) on the topic's relation.
 */
extern void qt_topic_check_right(const QtTopic *topic, AclMode right);

#endif							/* QTOPIC_TOPIC_CACHE_H */
