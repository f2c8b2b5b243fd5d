/*
 * member_state.h
 *		Shared memory of members: when they were last seen.
 *
 * Lost at restart: a member that is not known was seen just now, so that all
 * have a fresh timeout.
 */
#ifndef QTOPIC_MEMBER_STATE_H
#define QTOPIC_MEMBER_STATE_H

#include "datatype/timestamp.h"
#include "storage/lwlock.h"

/*
 * A member.  The OID of the table of members tells one from another of the
 * same number in a dropped and recreated extension.
 */
typedef struct QtMemberKey
{
	Oid			database;
	Oid			members;
	int			member_no;
} QtMemberKey;

extern Size qt_member_state_shmem_size(void);
extern void qt_member_state_shmem_init(LWLock *lock);

/*
 * The member is there; false if it was found overdue before (which is for
 * ever).  53400 if there are too many members.
 */
extern bool qt_member_state_seen(const QtMemberKey *key, int session_ms, TimestampTz now);

/*
 * Was it not seen for its session_ms?  If so, it never is again.  One that is
 * not known, and for which there is no room, has to go.
 */
extern bool qt_member_state_expire(const QtMemberKey *key, int session_ms, TimestampTz now);

/* The same, without consequences. */
extern bool qt_member_state_overdue(const QtMemberKey *key, int session_ms, TimestampTz now);

/* When it was last seen; 0: not known. */
extern TimestampTz qt_member_state_last_seen(const QtMemberKey *key);

/* When the next member of a database is overdue; DT_NOEND if there are none. */
extern TimestampTz qt_member_state_next_due(Oid database);

extern bool qt_member_state_is_full(void);

/*
 * Forget members of a database that are not in a list of numbers, which gets
 * sorted, and were last seen before a time; and those of another table of
 * members.
 */
extern void qt_member_state_sweep(Oid database, Oid members, int *keep, int count,
								  TimestampTz before);

#endif							/* QTOPIC_MEMBER_STATE_H */
