/*
 * offset_reset.c
 *		Moving the positions of a consumer group by hand.
 *
 * The partitions are locked in ascending order, waiting for their consumers;
 * these take theirs by try, so nobody waits for us in turn.
 */
#include "postgres.h"

#include "common/int.h"

#include "fetch.h"
#include "group.h"
#include "offset_reset.h"
#include "partition_scan.h"
#include "position.h"
#include "qtopic.h"

/* Of a partition. */
typedef struct Ends
{
	int64		start;			/* log start offset */
	int64		stable;			/* last stable offset */
} Ends;

static QtResetResult reset_partition(const QtResetRequest *request, QtGroup *group,
									 bool group_exists, int partition);
static int64 target(const QtResetRequest *request, int partition, int64 current,
					const Ends *ends);
static int64 current_offset(const QtGroup *group, bool group_exists, int partition,
							const QtPosition *position, const Ends *ends);
static int64 clamp(const QtResetRequest *request, int partition, int64 offset,
				   const Ends *ends);

QtResetResult *
qt_reset_offsets(const QtResetRequest *request, int *count)
{
	int			first = request->partition < 0 ? 0 : request->partition;
	int			end = request->partition < 0 ? request->topic->partition_count :
		request->partition + 1;
	QtResetResult *results = palloc(sizeof(QtResetResult) * (end - first));
	QtGroup		group;
	QtGroupStatus status;

	status = qt_group_open(&group, request->group, request->topic, !request->dry_run);
	if (status == QT_GROUP_BUSY)
		ereport(ERROR,
				(errcode(ERRCODE_QT_REBALANCE_IN_PROGRESS),
				 errmsg("consumer group \"%s\" is being changed by another transaction",
						request->group),
				 errhint("Try again.")));

	if (!request->dry_run)
		qt_group_refuse_members(&group.row, false);

	*count = 0;
	for (int p = first; p < end; p++)
		results[(*count)++] = reset_partition(request, &group, status == QT_GROUP_OPEN, p);
	if (status == QT_GROUP_OPEN && request->dry_run)
		qt_group_close(&group);
	return results;
}

static QtResetResult
reset_partition(const QtResetRequest *request, QtGroup *group, bool group_exists, int partition)
{
	QtPositionId id = {group->in_topic.gt_id, request->topic, partition};
	QtResetResult result = {partition, -1};
	QtPosition	position = {0};
	Ends		ends;

	if (!request->dry_run)
		qt_position_lock(&id);
	if (group_exists)
		qt_group_catalog_read_position(id.gt_id, partition, !request->dry_run, &position);
	if (position.n > 0)
		result.old_offset = position.next_offset;

	/* as positions, these are not part of what the transaction froze */
	ends.stable = qt_scan_latest_stable_offset(request->topic, partition, &ends.start);
	result.new_offset =
		clamp(request, partition,
			  target(request, partition,
					 current_offset(group, group_exists, partition, &position, &ends), &ends),
			  &ends);
	if (!request->dry_run)
		qt_position_move(&id, &position, result.new_offset, 0, NULL);
	return result;
}

/* Where the request says to go; may be outside of the log. */
static int64
target(const QtResetRequest *request, int partition, int64 current,
	   const Ends *ends)
{
	int64		offset;

	switch (request->to)
	{
		case QT_RESET_EARLIEST:
			return ends->start;
		case QT_RESET_LATEST:
			return ends->stable;
		case QT_RESET_CURRENT:
			return current;
		case QT_RESET_OFFSET:
			return request->offset;
		case QT_RESET_TIME:
			return Min(qt_first_offset_since(request->topic, partition, request->time),
					   ends->stable);
		case QT_RESET_SHIFT:
			if (pg_add_s64_overflow(current, request->offset, &offset))
				offset = request->offset < 0 ? PG_INT64_MIN : PG_INT64_MAX;
			return offset;
	}
	return 0;
}

/* Where the group would read now; without a position, where it starts. */
static int64
current_offset(const QtGroup *group, bool group_exists, int partition,
			   const QtPosition *position, const Ends *ends)
{
	if (position->n > 0)
		return position->next_offset;
	if (group_exists && partition < group->in_topic.partitions)
		return Min(qt_group_start_offset(group, partition), ends->stable);
	return ends->start;
}

static int64
clamp(const QtResetRequest *request, int partition, int64 offset,
	  const Ends *ends)
{
	int64		clamped = Max(offset, ends->start);

	clamped = Min(clamped, ends->stable);
	if (clamped != offset)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("offset %lld is out of range for topic \"%s\", partition %d",
						(long long) offset, request->topic->name, partition),
				 errdetail("The partition has offsets from %lld to %lld; the position is set to %lld.",
						   (long long) ends->start,
						   (long long) ends->stable, (long long) clamped)));
	return clamped;
}
