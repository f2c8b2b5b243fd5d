/*
 * group.c
 *		Consumer groups: what they are, who may use them, where they start.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "fetch.h"
#include "group.h"
#include "group_lock.h"
#include "member_catalog.h"
#include "member_state.h"
#include "position.h"
#include "qtopic.h"
#include "record_row.h"

/* How long a group that is being made is waited for, and between two looks. */
#define OPEN_ALONE_MS		1000
#define OPEN_ALONE_RETRY_MS	10

static void lock_topic(QtGroup *group);
static void unlock_topic(const QtGroup *group);
static bool open_alone(QtGroup *group, QtTopic *const *topics, int topic_count);
static QtGroupStatus open_group(QtGroup *group, bool create);
static void check_owner(const QtGroup *group);
static void check_owner_alone(const QtGroup *group);
static void report_owner(const QtGroup *group);
static bool may_use(const QtGroupRow *row, const QtTopic *topic);
static bool find_group(QtGroup *group);
static void require_group(QtGroup *group);
static QtGroupStatus make_group(QtGroup *group);
static void insert_group_topic(QtGroup *group, QtStartAt start_at, TimestampTz start_time);
static void report_start(const QtGroup *group, int partition, const QtPosition *position,
						 int64 log_start_offset, int64 start);
static const QtMemberRow *find_live(List *members);
static void report_member(const QtGroupRow *row, const QtMemberRow *member);
static void lock_position(const QtPositionId *id, const char *name);
static void lock_late_commits(QtGroup *group, int gt_id, int partition);

QtGroupStatus
qt_group_open(QtGroup *group, const char *name, QtTopic *topic, bool create)
{
	QtGroupStatus status;

	memset(group, 0, sizeof(*group));
	group->name = name;
	group->topic = topic;

	lock_topic(group);
	if (find_group(group))
	{
		check_owner(group);
		status = open_group(group, create);
	}
	else
		status = create ? make_group(group) : QT_GROUP_MISSING;
	if (status != QT_GROUP_OPEN)
		unlock_topic(group);
	return status;
}

void
qt_group_close(const QtGroup *group)
{
	qt_group_unlock_shared(group->row.group_id);
	unlock_topic(group);
}

bool
qt_group_has_start(const QtGroup *group, int number, const QtPosition *position, int64 *start)
{
	QtPartition *partition = qt_topic_partition(group->topic, number);

	if (position->n == 0)
	{
		*start = partition->log_start_offset;
		/* a partition that was added later is read from its beginning */
		return number >= group->in_topic.partitions ||
			group->in_topic.start_at == QT_START_EARLIEST;
	}
	*start = position->next_offset;
	return *start >= partition->log_start_offset &&
		*start <= qt_partition_next_offset(partition);
}

int64
qt_group_start(const QtGroup *group, int number, const QtPosition *position, bool *moved)
{
	int64		log_start_offset = qt_topic_partition(group->topic, number)->log_start_offset;
	int64		start;

	*moved = !qt_group_has_start(group, number, position, &start);
	if (!*moved)
		return start;
	if (group->in_topic.start_at == QT_START_NONE)
		report_start(group, number, position, log_start_offset, -1);
	start = qt_group_start_offset(group, number);
	if (position->n > 0)
		report_start(group, number, position, log_start_offset, start);
	return start;
}

int64
qt_group_start_offset(const QtGroup *group, int partition)
{
	switch (group->in_topic.start_at)
	{
		case QT_START_LATEST:
			return qt_stable_offset(group->topic, partition);
		case QT_START_TIME:
			return qt_first_offset_since(group->topic, partition,
										 group->in_topic.start_time);
		default:
			return qt_topic_partition(group->topic, partition)->log_start_offset;
	}
}

void
qt_group_create(const char *name, QtTopic *topic, QtStartAt start_at, TimestampTz start_time)
{
	QtGroup		group = {name, topic};

	qt_group_check_name(name);
	lock_topic(&group);
	if (!qt_group_try_lock_name(name))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("consumer group \"%s\" is being created by another transaction", name),
				 errhint("Try again.")));
	if (!find_group(&group))
	{
		group.row.owner = GetUserId();
		group.row.group_id = qt_group_catalog_insert(name, group.row.owner,
													 GetCurrentTimestamp());
	}
	check_owner_alone(&group);
	if (!qt_group_try_lock_shared(group.row.group_id))
		ereport(ERROR,
				(errcode(ERRCODE_QT_REBALANCE_IN_PROGRESS),
				 errmsg("consumer group \"%s\" is being changed by another transaction", name),
				 errhint("Try again.")));
	if (!qt_group_catalog_get(group.row.group_id, &group.row))
		ereport(ERROR,
				(errcode(ERRCODE_QT_REBALANCE_IN_PROGRESS),
				 errmsg("consumer group \"%s\" was deleted by another transaction", name),
				 errhint("Try again.")));
	if (qt_group_catalog_find_topic(group.row.group_id, topic->id, &group.in_topic))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("consumer group \"%s\" already reads topic \"%s\"", name, topic->name),
				 errhint("Use reset_offsets() to move its positions.")));
	insert_group_topic(&group, start_at, start_time);
}

void
qt_group_open_alone(const char *name, QtTopic *const *topics, int topic_count, QtGroupRow *row)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), OPEN_ALONE_MS);
	QtGroup		group = {name, NULL};

	qt_group_check_name(name);
	while (!open_alone(&group, topics, topic_count))
	{
		CHECK_FOR_INTERRUPTS();
		if (GetCurrentTimestamp() >= deadline)
			ereport(ERROR,
					(errcode(ERRCODE_QT_REBALANCE_IN_PROGRESS),
					 errmsg("consumer group \"%s\" is being created by another transaction", name),
					 errhint("Try again.")));
		pg_usleep(OPEN_ALONE_RETRY_MS * 1000L);
	}
	*row = group.row;
}

int
qt_group_add_topic(const QtGroupRow *row, const char *name, QtTopic *topic)
{
	QtGroup		group = {name, topic};

	group.row = *row;
	if (!qt_group_catalog_find_topic(row->group_id, topic->id, &group.in_topic))
	{
		check_owner_alone(&group);
		insert_group_topic(&group, QT_START_EARLIEST, 0);
	}
	return group.in_topic.gt_id;
}

void
qt_group_check_use(const QtGroupRow *row, QtTopic *topic)
{
	QtGroup		group = {row->name, topic};

	group.row = *row;
	check_owner(&group);
}

void
qt_group_refuse_members(const QtGroupRow *row, bool read_only)
{
	TimestampTz now = GetCurrentTimestamp();
	const QtMemberRow *live;
	List	   *members;
	ListCell   *lc;

	if (row->group_epoch == 0)
		return;
	members = qt_member_catalog_members(row->group_id, SnapshotSelf);
	foreach(lc, members)
		if (!((QtMemberRow *) lfirst(lc))->fenced)
			break;
	if (lc == NULL)
		return;
	live = find_live(members);
	if (live != NULL)
		report_member(row, live);

	/* their sessions have ended: they are to be removed, if we may write */
	if (read_only)
		return;
	if (!qt_group_try_lock_exclusive(row->group_id))
		ereport(ERROR,
				(errcode(ERRCODE_QT_REBALANCE_IN_PROGRESS),
				 errmsg("consumer group \"%s\" is being changed by another transaction", row->name),
				 errhint("Try again.")));
	qt_member_catalog_lock(true);
	members = qt_member_catalog_members(row->group_id, SnapshotSelf);
	foreach(lc, members)
	{
		QtMemberRow *member = lfirst(lc);
		QtMemberKey key = {MyDatabaseId, qt_member_catalog_table(), member->member_no};

		if (!member->fenced && !qt_member_state_expire(&key, member->session_ms, now))
			report_member(row, member);
	}
	foreach(lc, members)
		qt_member_catalog_delete(lfirst(lc));
}

/* The first one whose session has not ended, or NULL. */
static const QtMemberRow *
find_live(List *members)
{
	TimestampTz now = GetCurrentTimestamp();
	ListCell   *lc;

	foreach(lc, members)
	{
		QtMemberRow *member = lfirst(lc);
		QtMemberKey key = {MyDatabaseId, qt_member_catalog_table(), member->member_no};

		if (!member->fenced && !qt_member_state_overdue(&key, member->session_ms, now))
			return member;
	}
	return NULL;
}

static void
report_member(const QtGroupRow *row, const QtMemberRow *member)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("consumer group \"%s\" has members", row->name),
			 errdetail("Member \"%s\" has joined it; its partitions are assigned to its members.",
					   member->member_id),
			 errhint("Use poll_records() and commit_offsets(), or another group, or wait until the members have left.")));
}

void
qt_group_lookup(const char *name, QtGroupRow *row)
{
	QtGroup		group = {name, NULL};

	require_group(&group);
	*row = group.row;
}

void
qt_group_delete(const char *name)
{
	QtGroup		group = {name, NULL};
	ListCell   *lc;

	qt_group_lookup(name, &group.row);
	qt_group_lock_exclusive(group.row.group_id, name);
	/* another one may have been faster */
	qt_group_lookup(name, &group.row);
	qt_group_refuse_members(&group.row, false);

	/* a drop_topic that has begun deletes them itself: wait for it */
	foreach(lc, qt_group_catalog_topics(group.row.group_id))
	{
		QtGroupTopicRow *in_topic = lfirst(lc);

		group.topic = qt_topic_lookup_id(in_topic->topic_id, true);
		if (group.topic == NULL)
			continue;
		LockRelationOid(group.topic->relation, AccessShareLock);
		if (qt_topic_lookup_id(in_topic->topic_id, true) == group.topic)
			lock_late_commits(&group, in_topic->gt_id, -1);
	}
	qt_member_catalog_lock(true);
	foreach(lc, qt_member_catalog_members(group.row.group_id, SnapshotSelf))
		qt_member_catalog_delete(lfirst(lc));
	foreach(lc, qt_group_catalog_topics(group.row.group_id))
		qt_group_catalog_delete_topic(lfirst(lc));
	qt_group_catalog_delete(group.row.group_id);
}

int
qt_group_delete_offsets(const char *name, QtTopic *topic, int partition)
{
	QtGroup		group = {name, topic};

	require_group(&group);
	lock_topic(&group);
	qt_group_lock_exclusive(group.row.group_id, name);
	/* it may have got members, or be another one, meanwhile */
	require_group(&group);
	if (!qt_group_catalog_find_topic(group.row.group_id, topic->id, &group.in_topic))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("consumer group \"%s\" does not read topic \"%s\"", name, topic->name)));
	qt_group_refuse_members(&group.row, false);
	lock_late_commits(&group, group.in_topic.gt_id, partition);
	return qt_position_forget(group.in_topic.gt_id, topic, partition);
}

bool
qt_group_is_usable(const QtGroupRow *row, const QtTopic *topic)
{
	return OidIsValid(topic->relation) &&
		pg_class_aclcheck(topic->relation, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		may_use(row, topic);
}

void
qt_group_check_name(const char *name)
{
	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("name of a consumer group must not be empty")));
	if (strlen(name) > QT_GROUP_NAME_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("name of a consumer group is too long"),
				 errdetail("It has %zu bytes, at most %d are allowed.",
						   strlen(name), QT_GROUP_NAME_MAX)));
}

/*
 * Consumers keep drop_topic away, so that it finds all that the group knows of
 * the topic.
 */
static void
lock_topic(QtGroup *group)
{
	group->relation = group->topic->relation;
	LockRelationOid(group->relation, AccessShareLock);
	qt_topic_refresh(group->topic);
}

static void
unlock_topic(const QtGroup *group)
{
	UnlockRelationOid(group->relation, AccessShareLock);
}

/* False if somebody else is creating or deleting it. */
static bool
open_alone(QtGroup *group, QtTopic *const *topics, int topic_count)
{
	if (find_group(group))
	{
		for (int i = 0; i < topic_count; i++)
		{
			group->topic = topics[i];
			check_owner(group);
		}
		qt_group_lock_exclusive(group->row.group_id, group->name);
		/* it may have been deleted before we had the lock */
		return qt_group_catalog_get(group->row.group_id, &group->row);
	}
	if (!qt_group_try_lock_name(group->name))
		return false;
	/* another one may have been faster */
	if (find_group(group))
	{
		qt_group_unlock_name(group->name);
		return false;
	}
	group->row.owner = GetUserId();
	group->row.group_id = qt_group_catalog_insert(group->name, group->row.owner,
												  GetCurrentTimestamp());
	return qt_group_try_lock_exclusive(group->row.group_id) &&
		qt_group_catalog_get(group->row.group_id, &group->row);
}

/* Open a group that was found; the topic is locked. */
static QtGroupStatus
open_group(QtGroup *group, bool create)
{
	QtGroupStatus status = QT_GROUP_BUSY;

	if (!qt_group_try_lock_shared(group->row.group_id))
		return QT_GROUP_BUSY;

	/* it may have been deleted before we had the lock */
	if (qt_group_catalog_get(group->row.group_id, &group->row))
	{
		if (qt_group_catalog_find_topic(group->row.group_id, group->topic->id, &group->in_topic))
			return QT_GROUP_OPEN;
		status = create ? QT_GROUP_BUSY : QT_GROUP_MISSING;
		check_owner_alone(group);
		if (create && qt_group_try_lock_name(group->name))
		{
			/* another one may have been faster */
			if (qt_group_catalog_find_topic(group->row.group_id, group->topic->id,
											&group->in_topic))
				qt_group_unlock_name(group->name);
			else
				insert_group_topic(group, QT_START_EARLIEST, 0);
			return QT_GROUP_OPEN;
		}
	}
	qt_group_unlock_shared(group->row.group_id);
	return status;
}

/* Only members of the group's owner, or of the topic's creator, may use it. */
static void
check_owner(const QtGroup *group)
{
	if (!may_use(&group->row, group->topic))
		report_owner(group);
}

/* What a group reads is its owner's to say. */
static void
check_owner_alone(const QtGroup *group)
{
	if (!may_use(&group->row, NULL))
		report_owner(group);
}

static void
report_owner(const QtGroup *group)
{
	const char *owner;

	owner = GetUserNameFromId(group->row.owner, true);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for consumer group \"%s\"", group->name),
			 owner ? errdetail("The group belongs to role \"%s\".", owner) :
			 errdetail("The role that the group belonged to was dropped."),
			 errhint("Use another group, or become a member of that role.")));
}

/* topic may be NULL */
static bool
may_use(const QtGroupRow *row, const QtTopic *topic)
{
	return superuser() || has_privs_of_role(GetUserId(), row->owner) ||
		(topic != NULL && has_privs_of_role(GetUserId(), topic->creator));
}

static bool
find_group(QtGroup *group)
{
	return qt_group_catalog_find(group->name, &group->row);
}

/* Find a group that exists, and may be used. */
static void
require_group(QtGroup *group)
{
	if (!find_group(group))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("consumer group \"%s\" does not exist", group->name)));
	check_owner(group);
}

/* Make a group that starts to read the topic; its creator holds the name. */
static QtGroupStatus
make_group(QtGroup *group)
{
	qt_group_check_name(group->name);
	if (!qt_group_try_lock_name(group->name))
		return QT_GROUP_BUSY;
	/* another one may have been faster */
	if (find_group(group))
	{
		qt_group_unlock_name(group->name);
		check_owner(group);
		return open_group(group, true);
	}

	group->row.owner = GetUserId();
	group->row.group_id = qt_group_catalog_insert(group->name, group->row.owner,
												  GetCurrentTimestamp());
	(void) qt_group_try_lock_shared(group->row.group_id);
	insert_group_topic(group, QT_START_EARLIEST, 0);
	return QT_GROUP_OPEN;
}

/*
 * Where the group starts is found out now for the partitions that exist, so
 * that nothing that comes from now on is missed.
 */
static void
insert_group_topic(QtGroup *group, QtStartAt start_at, TimestampTz start_time)
{
	QtGroupTopicRow *row = &group->in_topic;

	row->group_id = group->row.group_id;
	row->topic_id = group->topic->id;
	row->start_at = start_at;
	row->start_time = start_time;
	row->partitions = group->topic->partition_count;
	qt_group_catalog_insert_topic(row);

	if (start_at != QT_START_LATEST && start_at != QT_START_TIME)
		return;
	for (int p = 0; p < row->partitions; p++)
	{
		QtPositionId id = {row->gt_id, group->topic, p};
		QtPosition	none = {0};

		lock_position(&id, group->name);
		qt_position_move(&id, &none, qt_group_start_offset(group, p), 0, NULL);
	}
}

/* The position does not say where to read; start is -1: neither does the group. */
static void
report_start(const QtGroup *group, int partition, const QtPosition *position,
			 int64 log_start_offset, int64 start)
{
	if (position->n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_QT_OFFSET_OUT_OF_RANGE),
				 errmsg("consumer group \"%s\" has no position in topic \"%s\", partition %d",
						group->name, group->topic->name, partition),
				 errhint("Set one with reset_offsets().")));
	ereport(start < 0 ? ERROR : WARNING,
			(errcode(start < 0 ? ERRCODE_QT_OFFSET_OUT_OF_RANGE : ERRCODE_WARNING),
			 errmsg("position %lld of consumer group \"%s\" is out of range for topic \"%s\", partition %d",
					(long long) position->next_offset, group->name, group->topic->name, partition),
			 position->next_offset < log_start_offset ?
			 errdetail("The partition starts at offset %lld.", (long long) log_start_offset) :
			 errdetail("The next record gets an offset below the position."),
			 start < 0 ? errhint("Set another position with reset_offsets().") :
			 errhint("The group goes on at offset %lld.", (long long) start)));
}

static void
lock_position(const QtPositionId *id, const char *name)
{
	if (!qt_position_try_lock(id))
		ereport(ERROR,
				(errcode(ERRCODE_QT_REBALANCE_IN_PROGRESS),
				 errmsg("partition %d of topic \"%s\" is in use in consumer group \"%s\"",
						id->partition, id->topic->name, name),
				 errhint("Try again.")));
}

/*
 * What a former member commits does not take the group's lock.  QT003 if one
 * is about to.
 */
static void
lock_late_commits(QtGroup *group, int gt_id, int partition)
{
	int			first = partition < 0 ? 0 : partition;
	int			end = partition < 0 ? group->topic->partition_count : partition + 1;

	qt_topic_refresh(group->topic);
	for (int p = first; group->row.group_epoch > 0 && p < end; p++)
	{
		QtPositionId id = {gt_id, group->topic, p};

		lock_position(&id, group->name);
	}
}
