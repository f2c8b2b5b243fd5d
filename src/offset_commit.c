/*
 * offset_commit.c
 *		Positions that members of consumer groups commit.
 *
 * First the partitions are locked, in ascending order, then it is found out
 * whether the member still owns them; the locks are kept to the end of the
 * transaction, and nobody else becomes an owner without them.
 */
#include "postgres.h"

#include "storage/lmgr.h"

#include "debug_point.h"
#include "group.h"
#include "membership.h"
#include "offset_commit.h"
#include "position.h"
#include "qtopic.h"

/* An offset and the partition that it is for. */
typedef struct Target
{
	QtPositionId id;
	const QtOffsetToCommit *offset;
} Target;

static void lock_topics(const QtOffsetToCommit *offsets, int count);
static void find_group(const char *name, const QtOffsetToCommit *offsets, int count,
					   QtGroupRow *row);
static Target *find_targets(const QtGroupRow *group, const QtOffsetToCommit *offsets, int count);
static int	compare_targets(const void *a, const void *b);
static void commit_one(const Target *target);

void
qt_commit_offsets(const char *group, const char *member_id, int epoch,
				  const QtOffsetToCommit *offsets, int count)
{
	QtPositionId *ids = palloc(sizeof(QtPositionId) * Max(count, 1));
	QtGroupRow	row;
	Target	   *targets;

	lock_topics(offsets, count);
	find_group(group, offsets, count, &row);
	targets = find_targets(&row, offsets, count);
	for (int i = 0; i < count; i++)
	{
		ids[i] = targets[i].id;
		qt_position_lock(&ids[i]);
	}
	qt_debug_point("commit-locked");
	qt_member_check_commit(&row, member_id, epoch, ids, count);
	for (int i = 0; i < count; i++)
		commit_one(&targets[i]);
}

static void
lock_topics(const QtOffsetToCommit *offsets, int count)
{
	for (int i = 0; i < count; i++)
	{
		LockRelationOid(offsets[i].topic->relation, AccessShareLock);
		qt_topic_refresh(offsets[i].topic);
		qt_topic_check_partition(offsets[i].topic, offsets[i].partition);
	}
}

static void
find_group(const char *name, const QtOffsetToCommit *offsets, int count, QtGroupRow *row)
{
	if (!qt_group_catalog_find(name, row))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("consumer group \"%s\" does not exist", name)));
	for (int i = 0; i < count; i++)
		qt_group_check_use(row, offsets[i].topic);
	if (count == 0)
		qt_group_check_use(row, NULL);
}

/* The partitions in the order in which they are locked. */
static Target *
find_targets(const QtGroupRow *group, const QtOffsetToCommit *offsets, int count)
{
	Target	   *targets = palloc(sizeof(Target) * Max(count, 1));

	for (int i = 0; i < count; i++)
	{
		QtGroupTopicRow in_topic;

		if (!qt_group_catalog_find_topic(group->group_id, offsets[i].topic->id, &in_topic))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("consumer group \"%s\" does not read topic \"%s\"",
							group->name, offsets[i].topic->name)));
		targets[i].id = (QtPositionId) {in_topic.gt_id, offsets[i].topic, offsets[i].partition};
		targets[i].offset = &offsets[i];
	}
	qsort(targets, count, sizeof(Target), compare_targets);
	for (int i = 1; i < count; i++)
		if (compare_targets(&targets[i - 1], &targets[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("partition %d of topic \"%s\" is given twice",
							targets[i].id.partition, targets[i].id.topic->name)));
	return targets;
}

static int
compare_targets(const void *a, const void *b)
{
	const QtPositionId *left = &((const Target *) a)->id;
	const QtPositionId *right = &((const Target *) b)->id;

	if (left->gt_id != right->gt_id)
		return left->gt_id < right->gt_id ? -1 : 1;
	return left->partition < right->partition ? -1 : left->partition > right->partition;
}

/*
 * What was read may have been deleted meanwhile, so an offset below the log is
 * as good as any.
 */
static void
commit_one(const Target *target)
{
	const QtPositionId *id = &target->id;
	int64		end = qt_partition_next_offset(qt_topic_partition(id->topic, id->partition));
	QtPosition	position;

	if (target->offset->next_offset > end)
		ereport(ERROR,
				(errcode(ERRCODE_QT_OFFSET_OUT_OF_RANGE),
				 errmsg("offset %lld is out of range for topic \"%s\", partition %d",
						(long long) target->offset->next_offset, id->topic->name, id->partition),
				 errdetail("The next record gets offset %lld.", (long long) end),
				 errhint("A position is the offset of the last record read plus one.")));
	qt_group_catalog_read_position(id->gt_id, id->partition, true, &position);
	qt_position_move(id, &position, target->offset->next_offset, 0, target->offset->metadata);
}
