/*
 * assignor.c
 *		Who of the members of a consumer group is to read which partition.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "assignor.h"

static const char *const names[] = {"uniform", "range"};

static void assign_ranges(QtAssignedTopic *topic);
static void assign_uniformly(int members, QtAssignedTopic *topics, int topic_count);
static bool move_one(QtAssignedTopic *topics, int topic_count, int *loads);
static int	least_loaded(const QtAssignedTopic *topic, const int *loads);

int
qt_assignor_from_name(const char *name)
{
	for (int i = 0; i < lengthof(names); i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	return -1;
}

const char *
qt_assignor_name(QtAssignor assignor)
{
	return names[assignor];
}

void
qt_assign(QtAssignor assignor, int members, QtAssignedTopic *topics, int topic_count)
{
	if (assignor == QT_ASSIGNOR_UNIFORM)
		assign_uniformly(members, topics, topic_count);
	else
		for (int t = 0; t < topic_count; t++)
			assign_ranges(&topics[t]);
}

/* n / m partitions for each; the first n % m members get one more. */
static void
assign_ranges(QtAssignedTopic *topic)
{
	int			members = bms_num_members(topic->members);
	int			member = -1;
	int			next = 0;

	for (int i = 0; i < members; i++)
	{
		int			share = topic->partitions / members + (i < topic->partitions % members);

		member = bms_next_member(topic->members, member);
		for (int p = 0; p < share; p++)
			topic->assigned[next++] = member;
	}
	while (next < topic->partitions)
		topic->assigned[next++] = -1;
}

static void
assign_uniformly(int members, QtAssignedTopic *topics, int topic_count)
{
	int		   *loads = palloc0(sizeof(int) * Max(members, 1));

	for (int t = 0; t < topic_count; t++)
		for (int p = 0; p < topics[t].partitions; p++)
		{
			int		   *member = &topics[t].assigned[p];

			if (*member >= 0 && bms_is_member(*member, topics[t].members))
				loads[*member]++;
			else
				*member = -1;
		}

	for (int t = 0; t < topic_count; t++)
		for (int p = 0; p < topics[t].partitions; p++)
		{
			int		   *member = &topics[t].assigned[p];

			if (*member >= 0 || bms_is_empty(topics[t].members))
				continue;
			*member = least_loaded(&topics[t], loads);
			loads[*member]++;
		}

	while (move_one(topics, topic_count, loads))
		CHECK_FOR_INTERRUPTS();
	pfree(loads);
}

/*
 * Move a partition between the two members that are furthest apart; false if
 * no move makes anything more even.  Each one takes the sum of the squares of
 * the loads down, so there is an end.
 */
static bool
move_one(QtAssignedTopic *topics, int topic_count, int *loads)
{
	int		   *moved = NULL;
	int			to = -1;
	int			gain = 1;

	for (int t = 0; t < topic_count; t++)
	{
		int			least;

		if (bms_is_empty(topics[t].members))
			continue;
		least = least_loaded(&topics[t], loads);
		for (int p = topics[t].partitions - 1; p >= 0; p--)
		{
			int		   *member = &topics[t].assigned[p];

			if (loads[*member] - loads[least] > gain)
			{
				gain = loads[*member] - loads[least];
				moved = member;
				to = least;
			}
		}
	}
	if (moved == NULL)
		return false;
	loads[*moved]--;
	loads[to]++;
	*moved = to;
	return true;
}

/* Of those who want the topic, the first with the least to read. */
static int
least_loaded(const QtAssignedTopic *topic, const int *loads)
{
	int			least = -1;

	for (int member = -1; (member = bms_next_member(topic->members, member)) >= 0;)
		if (least < 0 || loads[member] < loads[least])
			least = member;
	return least;
}
