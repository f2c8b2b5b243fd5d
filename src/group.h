/*
 * group.h
 *		Consumer groups: what they are, who may use them, where they start.
 */
#ifndef QTOPIC_GROUP_H
#define QTOPIC_GROUP_H

#include "group_catalog.h"
#include "topic_cache.h"

/* Bytes of a group's name. */
#define QT_GROUP_NAME_MAX	255

/* A topic in a group, open for use. */
typedef struct QtGroup
{
	const char *name;
	QtTopic    *topic;
	Oid			relation;		/* of the topic, locked */
	QtGroupRow	row;
	QtGroupTopicRow in_topic;
} QtGroup;

typedef enum QtGroupStatus
{
	QT_GROUP_OPEN,
	QT_GROUP_MISSING,			/* there is no such group, or it does not read the topic */
	QT_GROUP_BUSY				/* somebody is creating or changing it */
} QtGroupStatus;

/*
 * Open a topic in a group, without waiting for others that use the group.  If
 * the status is QT_GROUP_OPEN, the topic is locked against drop_topic and the
 * group against changes until the end of the transaction or qt_group_close; if
 * not, nothing is locked.  With create, what is missing is
 * made, to start at the earliest record.  42501 unless the current user is a
 * member of the role that owns the group or created the topic; the rights on
 * the topic are checked by the caller.
 */
extern QtGroupStatus qt_group_open(QtGroup *group, const char *name, QtTopic *topic,
								   bool create);
extern void qt_group_close(const QtGroup *group);

/* Does the position say where to read?  If not, qt_group_start does. */
extern bool qt_group_has_start(const QtGroup *group, int partition,
							   const QtPosition *position, int64 *start);

/*
 * Where to read in a partition whose position is given.  *moved says that this
 * is not the position.  QT001 if there is none, or it is out of range, and the
 * group does not say where to start.
 */
extern int64 qt_group_start(const QtGroup *group, int partition,
							const QtPosition *position, bool *moved);

/* Where start_at says that a partition begins now; "none" at its log start. */
extern int64 qt_group_start_offset(const QtGroup *group, int partition);

/*
 * Make a group read a topic, from where it says; 42710 if it does already,
 * 55P03 if somebody is creating it.
 */
extern void qt_group_create(const char *name, QtTopic *topic, QtStartAt start_at,
							TimestampTz start_time);

/*
 * The group, made if there is none, exclusively to the end of the transaction.
 * Its rights are checked for the topics.  QT003 if it is in use for a second.
 */
extern void qt_group_open_alone(const char *name, QtTopic *const *topics, int topic_count,
								QtGroupRow *row);

/* Make such a group read a topic, from its beginning; the gt_id. */
extern int	qt_group_add_topic(const QtGroupRow *row, const char *name, QtTopic *topic);

/* 42501 unless the user may use the group; topic may be NULL. */
extern void qt_group_check_use(const QtGroupRow *row, QtTopic *topic);

/*
 * 55000 if the group, which is locked, has members.  Those that were not seen
 * for their session timeout are removed, unless read_only.
 */
extern void qt_group_refuse_members(const QtGroupRow *row, bool read_only);

/* Find a group; 42704 if there is none, 42501 unless the current user owns it. */
extern void qt_group_lookup(const char *name, QtGroupRow *row);

/* QT003 if the group is in use; otherwise as qt_group_lookup. */
extern void qt_group_delete(const char *name);

/* Forget positions, of all partitions (-1) or one; returns how many. */
extern int	qt_group_delete_offsets(const char *name, QtTopic *topic, int partition);

/* May the current user read the topic and use the group? */
extern bool qt_group_is_usable(const QtGroupRow *row, const QtTopic *topic);

/* Throws 22023 if no group may have that name. */
extern void qt_group_check_name(const char *name);

#endif							/* QTOPIC_GROUP_H */
