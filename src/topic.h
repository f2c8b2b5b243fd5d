/*
 * topic.h
 *		Creating, altering and dropping topics, deleting records.
 */
#ifndef QTOPIC_TOPIC_H
#define QTOPIC_TOPIC_H

#include "utils/jsonb.h"

/*
 * Create a topic on behalf of the current user, who needs CREATE on schema
 * qtopic (42501).  config may be NULL.  Throws 42710 if the topic or its
 * relation exists, 22023 for a bad name, number of partitions (1 to
 * QT_PARTITIONS_PER_CALL_MAX) or configuration.
 */
extern void qt_topic_create(const char *name, int partitions, Jsonb *config);

/*
 * Add partitions (0: none; never fewer than there are, 22023) and merge
 * configuration (NULL: none).  The current user must be a member of the
 * topic's creator (42501).
 */
extern void qt_topic_alter(const char *name, int partitions, Jsonb *config);

/*
 * Move the log start offset of a partition up to before_offset, or for -1 to
 * the last stable offset; returns what it is then.  It never goes back.  QT001
 * above the last stable offset, 22023 if there is no such partition, 55000 if
 * the topic is only compacted.  Rights as for qt_topic_alter.
 */
extern int64 qt_topic_delete_records(const char *name, int partition, int64 before_offset);

/* Drop a topic with its records.  Rights as for qt_topic_alter. */
extern void qt_topic_drop(const char *name, bool missing_ok);

/*
 * The foreign table of that name was dropped; if it was that of a topic, drop
 * what is left of the topic.
 */
extern void qt_topic_relation_dropped(const char *relation);

/*
 * Make an identifier of a name: a longer one is cut and gets a hash of the
 * whole.  The relation of a topic has the topic's name, made to fit.
 */
extern void qt_topic_fit_name(NameData *fitted, const char *name);

#endif							/* QTOPIC_TOPIC_H */
