/*
 * assignor.h
 *		Who of the members of a consumer group is to read which partition.
 *
 * Both assignors give every partition to one of the members that want its
 * topic.  "uniform" keeps what is assigned already, and then moves as few
 * partitions as make the members even; "range" gives each member a range of
 * each topic, so that partitions of the same number meet in one member.
 */
#ifndef QTOPIC_ASSIGNOR_H
#define QTOPIC_ASSIGNOR_H

#include "nodes/bitmapset.h"

typedef enum QtAssignor
{
	QT_ASSIGNOR_UNIFORM,
	QT_ASSIGNOR_RANGE
} QtAssignor;

/* A topic to be assigned; members are counted from 0. */
typedef struct QtAssignedTopic
{
	Bitmapset  *members;		/* who want it */
	int			partitions;
	int		   *assigned;		/* a member for each partition, or -1: in and out */
} QtAssignedTopic;

/* The value of assignor; -1 if there is none of that name. */
extern int	qt_assignor_from_name(const char *name);
extern const char *qt_assignor_name(QtAssignor assignor);

/*
 * Assign all partitions; -1 is left only in topics that no member wants.  The
 * result depends on nothing but the arguments.
 */
extern void qt_assign(QtAssignor assignor, int members,
					  QtAssignedTopic *topics, int topic_count);

#endif							/* QTOPIC_ASSIGNOR_H */
