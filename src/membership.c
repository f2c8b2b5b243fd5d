/*
 * membership.c
 *		Members of consumer groups: who is there, and who owns what.
 *
 * What is written under the exclusive lock on a group always goes the same
 * way: load what there is, change who is a member or what a member has given
 * up, then balance: find out who is to own what, mark what has to be revoked,
 * and hand over what is free.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog.h"
#include "debug_point.h"
#include "group_lock.h"
#include "member_state.h"
#include "membership.h"
#include "position.h"
#include "qtopic.h"
#include "wakeup.h"
#include "worker_slots.h"

/* Partitions handed over at a time: each one takes a lock. */
#define HANDED_MAX		128

/* How long a join usually takes at most, until it has committed. */
#define JOIN_MS			10000

/* Groups that are changed in one transaction of the worker. */
#define EXPIRED_MAX		8

/* A topic of a group. */
typedef struct Subject
{
	QtGroupTopicRow *in_topic;
	QtTopic    *topic;
	List	   *rows;			/* of QtOwnership */
	bool		wanted;			/* by a member */
} Subject;

/* A group that we have for ourselves. */
typedef struct Roster
{
	QtGroupRow	group;
	List	   *members;		/* of QtMemberRow, without fenced ones */
	List	   *subjects;		/* of Subject */
	bool		joined;			/* somebody did */
	bool		changed;
	TimestampTz now;
} Roster;

static void lock_topics(const QtJoinRequest *request);
static int *add_topics(const QtJoinRequest *request, QtGroupRow *group);
static char *make_member_id(void);
static void replace_member(Roster *roster, const QtJoinRequest *request,
						   const QtMemberRow *new);
static void check_place(const Roster *roster, const QtMemberRow *row);
static void hand_target_on(Roster *roster, int from, int to);
static void read_member(QtMember *member, const char *group, const char *member_id);
static void collect_owned(QtMember *member, QtGroupTopicRow *in_topic, QtTopic *topic,
						  List *rows);
static bool any_overdue(int group_id, Snapshot snapshot);
static void check_epoch(const QtMemberRow *row, int group_epoch, int epoch);
static void note_seen(const QtMemberRow *row);
static void check_rights(const QtMember *member);
static void check_topics(const QtMember *member);
static QtMemberRow *find_again(const Roster *roster, const QtMember *member, int epoch);
static void acknowledge(const QtMember *member, int epoch);
static void take_care(const QtMember *member);
static List *sweep_states(TimestampTz before);
static bool expire_in_group(int group_id, TimestampTz now, int *count);
static bool open_roster(Roster *roster, int group_id, TimestampTz now);
static void close_roster(const Roster *roster);
static bool load(Roster *roster, int group_id, TimestampTz now);
static QtTopic *lock_topic(int topic_id);
static void load_or_throw(Roster *roster, const QtGroupRow *group);
static QtMemberRow *roster_member(const Roster *roster, const char *member_id);
static void remove_member(Roster *roster, QtMemberRow *row);
static void balance(Roster *roster);
static void remove_overdue(Roster *roster);
static void free_rows(Roster *roster);
static void complete_rows(Roster *roster);
static bool wants(const QtMemberRow *row, int gt_id);
static bool set_targets(Roster *roster);
static QtAssignor choose_assignor(const Roster *roster);
static int	member_index(const Roster *roster, int member_no);
static int	compare_members(const ListCell *a, const ListCell *b);
static void mark_revoked(Roster *roster);
static void hand_over(Roster *roster);
static void save(Roster *roster);
static void report_unknown(const char *member_id);
static QtMemberKey member_key(int member_no);

/* ---- joining */

void
qt_member_join(const QtJoinRequest *request, QtMember *member)
{
	QtGroupRow	group;
	QtMemberRow row = {0};
	QtMemberKey key;
	Roster		roster;

	lock_topics(request);
	qt_group_open_alone(request->group, request->topics, request->topic_count, &group);
	row.group_id = group.group_id;
	row.topics = add_topics(request, &group);
	row.topic_count = request->topic_count;
	row.member_id = request->member_id ? pstrdup(request->member_id) : make_member_id();
	row.instance_id = request->instance_id ? pstrdup(request->instance_id) : NULL;
	row.assignor = request->assignor;
	row.session_ms = request->session_ms;
	row.member_no = qt_member_catalog_next_no();

	load_or_throw(&roster, &group);
	row.joined_epoch = row.member_epoch = roster.group.group_epoch + 1;
	key = member_key(row.member_no);
	if (qt_member_state_is_full())
		(void) sweep_states(DT_NOEND);
	(void) qt_member_state_seen(&key, row.session_ms, roster.now);
	replace_member(&roster, request, &row);
	balance(&roster);

	/* it may be the first whose session can end */
	qt_worker_tell(QT_NEWS_MEMBERS);
	read_member(member, request->group, row.member_id);
}

/* Keeps drop_topic away; before the group, as everybody does. */
static void
lock_topics(const QtJoinRequest *request)
{
	for (int i = 0; i < request->topic_count; i++)
	{
		LockRelationOid(request->topics[i]->relation, AccessShareLock);
		qt_topic_refresh(request->topics[i]);
	}
}

/* Make the group read the topics; returns their gt_id. */
static int *
add_topics(const QtJoinRequest *request, QtGroupRow *group)
{
	int		   *topics = palloc(sizeof(int) * request->topic_count);

	for (int i = 0; i < request->topic_count; i++)
		topics[i] = qt_group_add_topic(group, request->group, request->topics[i]);
	return topics;
}

static char *
make_member_id(void)
{
	Datum		uuid = DirectFunctionCall1(gen_random_uuid, (Datum) 0);

	return DatumGetCString(DirectFunctionCall1(uuid_out, uuid));
}

/*
 * Enter a member.  Those whose place it takes own nothing any more, but what
 * they were to own is its to own; one of another member_id is remembered as
 * fenced.
 */
static void
replace_member(Roster *roster, const QtJoinRequest *request, const QtMemberRow *new)
{
	QtMemberRow *same = roster_member(roster, new->member_id);
	QtMemberRow fenced;
	QtMemberRow *added = palloc(sizeof(QtMemberRow));
	ListCell   *lc;

	if (same != NULL)
	{
		check_place(roster, same);
		hand_target_on(roster, same->member_no, new->member_no);
		remove_member(roster, same);
	}
	else if (qt_member_catalog_find(new->group_id, new->member_id, SnapshotSelf, &fenced))
		qt_member_catalog_delete(&fenced);

	foreach(lc, roster->members)
	{
		QtMemberRow *holder = lfirst(lc);

		if (new->instance_id == NULL || holder->instance_id == NULL ||
			strcmp(holder->instance_id, new->instance_id) != 0)
			continue;
		check_place(roster, holder);
		hand_target_on(roster, holder->member_no, new->member_no);
		holder->fenced = true;
		holder->instance_id = NULL;
		qt_member_catalog_update(holder);
		roster->members = list_delete_cell(roster->members, lc);
		break;
	}

	*added = *new;
	qt_member_catalog_insert(added);
	roster->members = lappend(roster->members, added);
	roster->joined = true;
}

/* May the user take the place of a member? */
static void
check_place(const Roster *roster, const QtMemberRow *row)
{
	ListCell   *lc;

	foreach(lc, roster->subjects)
	{
		Subject    *subject = lfirst(lc);

		if (wants(row, subject->in_topic->gt_id))
			qt_group_check_use(&roster->group, subject->topic);
	}
}

static void
hand_target_on(Roster *roster, int from, int to)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, roster->subjects)
		foreach(lc2, ((Subject *) lfirst(lc))->rows)
		{
			QtOwnership *row = lfirst(lc2);

			if (row->target != from)
				continue;
			row->target = to;
			row->changed = true;
		}
}

/* ---- going on, leaving */

void
qt_member_present(QtMember *member, const char *group, const char *member_id, int epoch)
{
	read_member(member, group, member_id);
	check_rights(member);
	check_epoch(&member->row, member->group.group_epoch, epoch);
	check_topics(member);
	note_seen(&member->row);
	qt_debug_point("member-read");
	if (epoch > member->row.member_epoch)
		acknowledge(member, epoch);
	else if (member->needs_care)
		take_care(member);
	else
		return;
	read_member(member, group, member_id);
}

void
qt_member_leave(const char *group, const char *member_id, int epoch)
{
	QtMember	member;
	QtMemberRow *row;
	Roster		roster;

	read_member(&member, group, member_id);
	check_rights(&member);
	check_epoch(&member.row, member.group.group_epoch, epoch);

	qt_group_lock_exclusive(member.group.group_id, group);
	load_or_throw(&roster, &member.group);
	row = find_again(&roster, &member, epoch);
	remove_member(&roster, row);
	balance(&roster);
}

void
qt_member_check_commit(const QtGroupRow *group, const char *member_id, int epoch,
					   const QtPositionId *ids, int count)
{
	Snapshot	snapshot = RegisterSnapshot(qt_catalog_snapshot());
	QtMember	member = {NULL, *group};
	QtGroupRow	now;

	if (!qt_group_catalog_find_as_of(group->name, snapshot, &now) ||
		now.group_id != group->group_id ||
		!qt_member_catalog_find(group->group_id, member_id, snapshot, &member.row))
		report_unknown(member_id);
	UnregisterSnapshot(snapshot);
	check_epoch(&member.row, now.group_epoch, epoch);
	note_seen(&member.row);
	for (int i = 0; i < count; i++)
		if (!qt_member_owns(&member, epoch, &ids[i]))
			ereport(ERROR,
					(errcode(ERRCODE_QT_FENCED_MEMBER),
					 errmsg("member \"%s\" does not own partition %d of topic \"%s\" in epoch %d",
							member_id, ids[i].partition, ids[i].topic->name, epoch),
					 errdetail("It was given to another member, or to this one later."),
					 errhint("Drop what was read from it, and go on with what heartbeat() returns.")));
}

bool
qt_member_owns(const QtMember *member, int epoch, const QtPositionId *id)
{
	Snapshot	snapshot = RegisterSnapshot(qt_catalog_snapshot());
	QtMemberRow row;
	QtOwnership owned;
	bool		owns;

	owns = qt_member_catalog_find(member->row.group_id, member->row.member_id, snapshot, &row) &&
		row.member_no == member->row.member_no && !row.fenced &&
		qt_member_catalog_find_ownership(id->gt_id, id->partition, snapshot, &owned) &&
		owned.owner == row.member_no && owned.since_epoch <= epoch &&
		(owned.revoke_epoch == 0 || owned.revoke_epoch > epoch);
	UnregisterSnapshot(snapshot);
	return owns;
}

/* All that concerns a member, of one snapshot. */
static void
read_member(QtMember *member, const char *group, const char *member_id)
{
	Snapshot	snapshot = RegisterSnapshot(qt_catalog_snapshot());
	ListCell   *lc;

	memset(member, 0, sizeof(*member));
	member->group_name = group;
	/* a session that waits may find that the extension was dropped */
	AcceptInvalidationMessages();
	if (!OidIsValid(qt_member_catalog_table()) ||
		!qt_group_catalog_find_as_of(group, snapshot, &member->group))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("consumer group \"%s\" does not exist", group)));
	if (!qt_member_catalog_find(member->group.group_id, member_id, snapshot, &member->row))
		report_unknown(member_id);

	member->topics = palloc(sizeof(QtTopic *) * Max(member->row.topic_count, 1));
	foreach(lc, qt_group_catalog_topics(member->group.group_id))
	{
		QtGroupTopicRow *in_topic = lfirst(lc);
		QtTopic    *topic = qt_topic_lookup_id(in_topic->topic_id, true);

		if (topic == NULL || !wants(&member->row, in_topic->gt_id))
			continue;
		member->topics[member->topic_count++] = topic;
		collect_owned(member, in_topic, topic,
					  qt_member_catalog_ownership(in_topic->gt_id, snapshot));
	}
	if (!qt_worker_is_running() && any_overdue(member->group.group_id, snapshot))
		member->needs_care = true;
	UnregisterSnapshot(snapshot);
}

/* What the member owns of a topic and is to keep. */
static void
collect_owned(QtMember *member, QtGroupTopicRow *in_topic, QtTopic *topic, List *rows)
{
	Size		size = sizeof(QtOwnedPartition) * (member->owned_count + list_length(rows) + 1);
	ListCell   *lc;

	member->owned = member->owned ? repalloc(member->owned, size) : palloc(size);
	foreach(lc, rows)
	{
		QtOwnership *row = lfirst(lc);
		QtOwnedPartition *owned = &member->owned[member->owned_count];

		if (row->target == member->row.member_no && row->owner == 0)
			member->needs_care = true;
		if (row->owner != member->row.member_no || row->revoke_epoch != 0)
			continue;
		owned->topic = topic;
		owned->in_topic = in_topic;
		owned->partition = row->partition;
		owned->since_epoch = row->since_epoch;
		member->owned_count++;
	}
	if (list_length(rows) < topic->partition_count)
		member->needs_care = true;
}

static bool
any_overdue(int group_id, Snapshot snapshot)
{
	TimestampTz now = GetCurrentTimestamp();
	ListCell   *lc;

	foreach(lc, qt_member_catalog_members(group_id, snapshot))
	{
		QtMemberRow *row = lfirst(lc);
		QtMemberKey key = member_key(row->member_no);

		if (qt_member_state_overdue(&key, row->session_ms, now))
			return true;
	}
	return false;
}

/* An epoch below joined_epoch is that of an earlier member of that member_id. */
static void
check_epoch(const QtMemberRow *row, int group_epoch, int epoch)
{
	if (row->fenced)
		ereport(ERROR,
				(errcode(ERRCODE_QT_FENCED_MEMBER),
				 errmsg("member \"%s\" was fenced", row->member_id),
				 errdetail("Another member has joined with its instance_id."),
				 errhint("End this one, or join again if it is the one to go on.")));
	if (epoch < row->joined_epoch || epoch > group_epoch)
		ereport(ERROR,
				(errcode(ERRCODE_QT_FENCED_MEMBER),
				 errmsg("epoch %d is not one of member \"%s\"", epoch, row->member_id),
				 errdetail("The member has joined in epoch %d; the group is at epoch %d.",
						   row->joined_epoch, group_epoch),
				 errhint("Present the member_epoch of the last answer, or join again.")));
}

/* The member is there, and its positions are used. */
static void
note_seen(const QtMemberRow *row)
{
	QtMemberKey key = member_key(row->member_no);
	TimestampTz now = GetCurrentTimestamp();

	if (!qt_member_state_seen(&key, row->session_ms, now))
		report_unknown(row->member_id);
	for (int i = 0; i < row->topic_count; i++)
	{
		QtGroupStateKey use = qt_position_key(row->topics[i], -1);

		qt_group_state_attempt(&use, now);
	}
}

static void
check_rights(const QtMember *member)
{
	for (int i = 0; i < member->topic_count; i++)
		qt_group_check_use(&member->group, member->topics[i]);
	if (member->topic_count == 0)
		qt_group_check_use(&member->group, NULL);
}

/* It would wait for ever, even if there are new ones of their names. */
static void
check_topics(const QtMember *member)
{
	if (member->topic_count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the topics of member \"%s\" were dropped", member->row.member_id),
				 errhint("Join again.")));
}

/* A member that may have lost its place since it was read. */
static QtMemberRow *
find_again(const Roster *roster, const QtMember *member, int epoch)
{
	const char *member_id = member->row.member_id;
	QtMemberRow *row = roster_member(roster, member_id);
	QtMemberRow now;

	if (row != NULL && row->member_no == member->row.member_no)
		return row;
	if (qt_member_catalog_find(member->row.group_id, member_id, SnapshotSelf, &now))
		check_epoch(&now, roster->group.group_epoch, epoch);
	report_unknown(member_id);
	return NULL;
}

/* The member presents a new epoch: what was to be revoked is free. */
static void
acknowledge(const QtMember *member, int epoch)
{
	Roster		roster;
	QtMemberRow *row;
	ListCell   *lc;
	ListCell   *lc2;

	qt_group_lock_exclusive(member->group.group_id, member->group_name);
	load_or_throw(&roster, &member->group);
	row = find_again(&roster, member, epoch);

	if (row->member_epoch < epoch)
	{
		row->member_epoch = epoch;
		qt_member_catalog_update(row);
		roster.changed = true;
	}
	foreach(lc, roster.subjects)
		foreach(lc2, ((Subject *) lfirst(lc))->rows)
		{
			QtOwnership *owned = lfirst(lc2);

			if (owned->owner != row->member_no || owned->revoke_epoch == 0 ||
				owned->revoke_epoch > epoch)
				continue;
			owned->owner = 0;
			owned->changed = true;
		}
	balance(&roster);
	close_roster(&roster);
}

/* Do what is to be done in the group, unless it is in use. */
static void
take_care(const QtMember *member)
{
	Roster		roster;

	if (!open_roster(&roster, member->group.group_id, GetCurrentTimestamp()))
		return;
	balance(&roster);
	close_roster(&roster);
}

/* ---- the end of those who are gone */

int
qt_members_expire(TimestampTz now)
{
	/* one that has just joined may not have committed yet */
	List	   *members = sweep_states(TimestampTzPlusMilliseconds(now, -JOIN_MS));
	int			done = 0;		/* group */
	int			groups = 0;
	int			count = 0;
	ListCell   *lc;

	foreach(lc, members)
	{
		QtMemberRow *row = lfirst(lc);
		QtMemberKey key = member_key(row->member_no);

		if (row->group_id == done || !qt_member_state_overdue(&key, row->session_ms, now))
			continue;
		done = row->group_id;
		if (expire_in_group(row->group_id, now, &count) && ++groups == EXPIRED_MAX)
			break;
		CHECK_FOR_INTERRUPTS();
	}
	return count;
}

/*
 * Forget in shared memory who is no member (any more) and was last seen before
 * a time; the list of those who are.
 */
static List *
sweep_states(TimestampTz before)
{
	Snapshot	snapshot = RegisterSnapshot(qt_catalog_snapshot());
	List	   *members = qt_member_catalog_members(0, snapshot);
	int		   *numbers = palloc(sizeof(int) * (list_length(members) + 1));
	ListCell   *lc;

	UnregisterSnapshot(snapshot);
	foreach(lc, members)
		numbers[foreach_current_index(lc)] = ((QtMemberRow *) lfirst(lc))->member_no;
	qt_member_state_sweep(MyDatabaseId, qt_member_catalog_table(), numbers, list_length(members),
						  before);
	pfree(numbers);
	return members;
}

/* False if the group is in use. */
static bool
expire_in_group(int group_id, TimestampTz now, int *count)
{
	Roster		roster;
	int			before;

	if (!open_roster(&roster, group_id, now))
		return false;
	before = list_length(roster.members);
	balance(&roster);
	*count += before - list_length(roster.members);
	close_roster(&roster);
	return true;
}

TimestampTz
qt_members_next_due(void)
{
	return qt_member_state_next_due(MyDatabaseId);
}

TimestampTz
qt_member_last_seen(int member_no)
{
	QtMemberKey key = member_key(member_no);

	return qt_member_state_last_seen(&key);
}

/* ---- a group that we have for ourselves */

/* The group for ourselves, by try. */
static bool
open_roster(Roster *roster, int group_id, TimestampTz now)
{
	if (!qt_group_try_lock_exclusive(group_id))
		return false;
	if (load(roster, group_id, now))
		return true;
	roster->group.group_id = group_id;
	close_roster(roster);
	return false;
}

/* Nothing that was not written is locked any more: the caller may be about to wait. */
static void
close_roster(const Roster *roster)
{
	ListCell   *lc;

	if (roster->changed)
		return;
	foreach(lc, roster->subjects)
		UnlockRelationOid(((Subject *) lfirst(lc))->topic->relation, AccessShareLock);
	qt_member_catalog_lock(false);
	qt_group_unlock_exclusive(roster->group.group_id);
}

/*
 * False if the group is gone, or one of its topics is being altered or
 * dropped.  Its topics are locked against that.
 */
static bool
load(Roster *roster, int group_id, TimestampTz now)
{
	List	   *members;
	ListCell   *lc;

	qt_member_catalog_lock(true);
	memset(roster, 0, sizeof(*roster));
	roster->now = now;
	if (!qt_group_catalog_get(group_id, &roster->group))
		return false;
	foreach(lc, qt_group_catalog_topics(group_id))
	{
		Subject    *subject = palloc0(sizeof(Subject));

		subject->in_topic = lfirst(lc);
		subject->topic = lock_topic(subject->in_topic->topic_id);
		if (subject->topic == NULL)
			return false;
		subject->rows = qt_member_catalog_ownership(subject->in_topic->gt_id, SnapshotSelf);
		roster->subjects = lappend(roster->subjects, subject);
	}

	members = qt_member_catalog_members(group_id, SnapshotSelf);
	foreach(lc, members)
	{
		QtMemberRow *row = lfirst(lc);
		QtMemberKey key = member_key(row->member_no);

		if (!row->fenced)
			roster->members = lappend(roster->members, row);
		else if (qt_member_state_expire(&key, row->session_ms, now))
		{
			qt_member_catalog_delete(row);
			roster->changed = true;
		}
	}
	return true;
}

/* NULL if it is being dropped or altered, or was dropped. */
static QtTopic *
lock_topic(int topic_id)
{
	QtTopic    *topic = qt_topic_lookup_id(topic_id, true);
	Oid			relation;

	if (topic == NULL)
		return NULL;
	relation = topic->relation;
	if (!ConditionalLockRelationOid(relation, AccessShareLock))
		return NULL;
	if (qt_topic_lookup_id(topic_id, true) == topic && topic->relation == relation)
		return topic;
	UnlockRelationOid(relation, AccessShareLock);
	return NULL;
}

static void
load_or_throw(Roster *roster, const QtGroupRow *group)
{
	if (!load(roster, group->group_id, GetCurrentTimestamp()))
		ereport(ERROR,
				(errcode(ERRCODE_QT_REBALANCE_IN_PROGRESS),
				 errmsg("consumer group \"%s\" or one of its topics is being changed by another transaction",
						group->name),
				 errhint("Try again.")));
}

static QtMemberRow *
roster_member(const Roster *roster, const char *member_id)
{
	ListCell   *lc;

	foreach(lc, roster->members)
		if (strcmp(((QtMemberRow *) lfirst(lc))->member_id, member_id) == 0)
			return lfirst(lc);
	return NULL;
}

static void
remove_member(Roster *roster, QtMemberRow *row)
{
	qt_member_catalog_delete(row);
	roster->members = list_delete_ptr(roster->members, row);
	roster->changed = true;
}

static void
balance(Roster *roster)
{
	remove_overdue(roster);
	list_sort(roster->members, compare_members);
	free_rows(roster);
	complete_rows(roster);
	if (set_targets(roster) || roster->joined)
	{
		roster->group.group_epoch++;
		roster->changed = true;
	}
	mark_revoked(roster);
	hand_over(roster);
	save(roster);
}

/* First nobody may see them any more, then they are deleted. */
static void
remove_overdue(Roster *roster)
{
	List	   *members = list_copy(roster->members);
	ListCell   *lc;

	foreach(lc, members)
	{
		QtMemberRow *row = lfirst(lc);
		QtMemberKey key = member_key(row->member_no);

		if (!qt_member_state_expire(&key, row->session_ms, roster->now))
			continue;
		qt_debug_point("member-expired");
		remove_member(roster, row);
	}
}

/* Nobody who is no member owns anything, or is to own it. */
static void
free_rows(Roster *roster)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, roster->subjects)
		foreach(lc2, ((Subject *) lfirst(lc))->rows)
		{
			QtOwnership *row = lfirst(lc2);

			if (row->owner != 0 && member_index(roster, row->owner) < 0)
			{
				row->owner = 0;
				row->changed = true;
			}
			if (row->owner == 0 && row->revoke_epoch != 0)
			{
				row->revoke_epoch = 0;
				row->changed = true;
			}
		}
}

/* A row for each partition of a topic that somebody wants. */
static void
complete_rows(Roster *roster)
{
	ListCell   *lc;

	foreach(lc, roster->subjects)
	{
		Subject    *subject = lfirst(lc);
		ListCell   *lc2;

		foreach(lc2, roster->members)
			subject->wanted |= wants(lfirst(lc2), subject->in_topic->gt_id);
		for (int p = list_length(subject->rows);
			 subject->wanted && p < subject->topic->partition_count; p++)
		{
			QtOwnership *row = palloc0(sizeof(QtOwnership));

			row->gt_id = subject->in_topic->gt_id;
			row->partition = p;
			row->is_new = true;
			subject->rows = lappend(subject->rows, row);
		}
	}
}

static bool
wants(const QtMemberRow *row, int gt_id)
{
	for (int i = 0; i < row->topic_count; i++)
		if (row->topics[i] == gt_id)
			return true;
	return false;
}

/* Find out who is to own what; true if that is news. */
static bool
set_targets(Roster *roster)
{
	int			count = list_length(roster->subjects);
	QtAssignedTopic *topics = palloc0(sizeof(QtAssignedTopic) * Max(count, 1));
	bool		changed = false;
	ListCell   *lc;

	foreach(lc, roster->subjects)
	{
		Subject    *subject = lfirst(lc);
		QtAssignedTopic *topic = &topics[foreach_current_index(lc)];
		ListCell   *lc2;

		topic->partitions = list_length(subject->rows);
		topic->assigned = palloc(sizeof(int) * Max(topic->partitions, 1));
		foreach(lc2, subject->rows)
			topic->assigned[foreach_current_index(lc2)] =
				member_index(roster, ((QtOwnership *) lfirst(lc2))->target);
		foreach(lc2, roster->members)
			if (wants(lfirst(lc2), subject->in_topic->gt_id))
				topic->members = bms_add_member(topic->members, foreach_current_index(lc2));
	}
	qt_assign(choose_assignor(roster), list_length(roster->members), topics, count);

	foreach(lc, roster->subjects)
	{
		Subject    *subject = lfirst(lc);
		QtAssignedTopic *topic = &topics[foreach_current_index(lc)];
		ListCell   *lc2;

		foreach(lc2, subject->rows)
		{
			QtOwnership *row = lfirst(lc2);
			int			index = topic->assigned[foreach_current_index(lc2)];
			int			target = index < 0 ? 0 :
				((QtMemberRow *) list_nth(roster->members, index))->member_no;

			if (row->target == target)
				continue;
			row->target = target;
			row->changed = true;
			changed = true;
		}
	}
	return changed;
}

/* What more than half of the members ask for. */
static QtAssignor
choose_assignor(const Roster *roster)
{
	int			range = 0;
	ListCell   *lc;

	foreach(lc, roster->members)
		range += ((QtMemberRow *) lfirst(lc))->assignor == QT_ASSIGNOR_RANGE;
	return 2 * range > list_length(roster->members) ? QT_ASSIGNOR_RANGE : QT_ASSIGNOR_UNIFORM;
}

static int
member_index(const Roster *roster, int member_no)
{
	ListCell   *lc;

	foreach(lc, roster->members)
		if (member_no != 0 && ((QtMemberRow *) lfirst(lc))->member_no == member_no)
			return foreach_current_index(lc);
	return -1;
}

/* One that comes back with its instance_id keeps its place. */
static int
compare_members(const ListCell *a, const ListCell *b)
{
	const QtMemberRow *left = lfirst(a);
	const QtMemberRow *right = lfirst(b);
	int			order = strcmp(left->instance_id ? left->instance_id : left->member_id,
							   right->instance_id ? right->instance_id : right->member_id);

	return order != 0 ? order : strcmp(left->member_id, right->member_id);
}

/*
 * A mark stays until it is acknowledged, even if the owner is to have the
 * partition again by then: it may have been told that it has not, and what it
 * committed before must not come later.
 */
static void
mark_revoked(Roster *roster)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, roster->subjects)
		foreach(lc2, ((Subject *) lfirst(lc))->rows)
		{
			QtOwnership *row = lfirst(lc2);

			if (row->owner == 0 || row->owner == row->target || row->revoke_epoch != 0)
				continue;
			row->revoke_epoch = roster->group.group_epoch;
			row->changed = true;
		}
}

/*
 * Give partitions without owner to those who are to own them.  One that is
 * locked may be about to get a position from its last owner; the lock is kept,
 * so that this one cannot begin to.
 */
static void
hand_over(Roster *roster)
{
	int			handed = 0;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, roster->subjects)
		foreach(lc2, ((Subject *) lfirst(lc))->rows)
		{
			QtOwnership *row = lfirst(lc2);

			if (row->owner != 0 || row->target == 0 || handed == HANDED_MAX ||
				!qt_group_try_lock_partition(row->gt_id, row->partition))
				continue;
			row->owner = row->target;
			row->since_epoch = roster->group.group_epoch;
			row->changed = true;
			handed++;
		}
}

/* Write what has changed, and wake the members that wait for records. */
static void
save(Roster *roster)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, roster->subjects)
		foreach(lc2, ((Subject *) lfirst(lc))->rows)
		{
			QtOwnership *row = lfirst(lc2);

			roster->changed |= row->changed || row->is_new;
			qt_member_catalog_save_ownership(row);
		}
	if (!roster->changed)
		return;
	qt_group_catalog_set_epoch(roster->group.group_id, roster->group.group_epoch,
							   qt_assignor_name(choose_assignor(roster)));
	foreach(lc, roster->subjects)
		qt_wakeup_note(((Subject *) lfirst(lc))->topic->wait_slot, 0);
}

static void
report_unknown(const char *member_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_QT_UNKNOWN_MEMBER),
			 errmsg("unknown member \"%s\"", member_id),
			 errdetail("It has never joined, has left, or was not heard of for its session timeout."),
			 errhint("Join again.")));
}

static QtMemberKey
member_key(int member_no)
{
	return (QtMemberKey) {MyDatabaseId, qt_member_catalog_table(), member_no};
}
