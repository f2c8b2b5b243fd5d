/*
 * membership.h
 *		Members of consumer groups: who is there, and who owns what.
 *
 * For consumers whose effects lie outside of the database.  A group has an
 * epoch, which moves with every change of who is to own what.  A member is told
 * it with its assignment, and by presenting it in its next call acknowledges
 * that it has given up what was taken from it.  Only then, or when the member is
 * gone, does a partition get another owner, and only while no commit of the
 * former one is under way: that holds the lock on the partition.
 *
 * All changes are made under the exclusive lock on the group; a member that
 * just goes on takes no lock and writes nothing.
 */
#ifndef QTOPIC_MEMBERSHIP_H
#define QTOPIC_MEMBERSHIP_H

#include "group.h"
#include "member_catalog.h"
#include "position.h"

/* Bounds and default of the session timeout, as Kafka's. */
#define QT_SESSION_MS_MIN		6000
#define QT_SESSION_MS_MAX		(30 * 60 * 1000)

/* Bytes of a member's or an instance's identifier. */
#define QT_MEMBER_ID_MAX		255

/* A partition that a member owns and is to keep. */
typedef struct QtOwnedPartition
{
	QtTopic    *topic;
	QtGroupTopicRow *in_topic;
	int			partition;
	int			since_epoch;
} QtOwnedPartition;

/* A member as of one moment. */
typedef struct QtMember
{
	const char *group_name;
	QtGroupRow	group;
	QtMemberRow row;
	int			topic_count;
	QtTopic   **topics;			/* that it wants */
	int			owned_count;
	QtOwnedPartition *owned;	/* by topic and partition */
	bool		needs_care;		/* there is something to do in the group that
								 * nobody else may come to do */
} QtMember;

typedef struct QtJoinRequest
{
	const char *group;
	QtTopic   **topics;			/* different ones, readable by the user */
	int			topic_count;
	const char *instance_id;	/* or NULL */
	const char *member_id;		/* or NULL: one is made */
	QtAssignor	assignor;
	int			session_ms;
} QtJoinRequest;

/*
 * Join a group, which is made if there is none.  One of the same member_id, or
 * of the same instance_id, loses its place to this one.  Errors: QT003, 42501,
 * 53400.
 */
extern void qt_member_join(const QtJoinRequest *request, QtMember *member);

/*
 * A member presents an epoch: it is there, and has given up what was to be
 * revoked up to that epoch.  Errors: QT002 the epoch is not the member's, QT004
 * there is no such member (any more), QT003, 42704 no such group, or its topics
 * were dropped, 42501.
 */
extern void qt_member_present(QtMember *member, const char *group,
							  const char *member_id, int epoch);

/* Leave; the same errors. */
extern void qt_member_leave(const char *group, const char *member_id, int epoch);

/*
 * May the member commit positions, whose partitions it has locked?  The same
 * errors; QT002 as well for a partition that it does not own in that epoch.
 */
extern void qt_member_check_commit(const QtGroupRow *group, const char *member_id, int epoch,
								   const QtPositionId *ids, int count);

/* Does the member own it in that epoch?  For a partition that is locked. */
extern bool qt_member_owns(const QtMember *member, int epoch, const QtPositionId *id);

/*
 * Remove members that were not seen for their session timeout before a time;
 * returns how many.  Groups that are in use are left for later.
 */
extern int	qt_members_expire(TimestampTz now);

/* When that will have something to do; DT_NOEND: never. */
extern TimestampTz qt_members_next_due(void);

/* When a member was last seen; 0: not since the server was started. */
extern TimestampTz qt_member_last_seen(int member_no);

#endif							/* QTOPIC_MEMBERSHIP_H */
