/*
 * savepoint.c - nested savepoints, which producers and consumers set, roll back
 * to and release at random.
 */
#include "stress.h"

bool
savepoint(Worker *worker, Savepoints *savepoints, long mark)
{
	if (savepoints->depth == MAX_DEPTH)
		return true;
	if (!run(worker, "SAVEPOINT s%d", savepoints->depth + 1))
		return false;
	savepoints->marks[++savepoints->depth] = mark;
	return true;
}

bool
rollback_to(Worker *worker, Savepoints *savepoints, long *mark)
{
	int			target;

	if (savepoints->depth == 0)
		return true;
	target = 1 + random_below(worker, savepoints->depth);
	if (!run(worker, "ROLLBACK TO s%d", target))
		return false;
	savepoints->depth = target;
	*mark = savepoints->marks[target];
	return true;
}

bool
release(Worker *worker, Savepoints *savepoints)
{
	int			target;

	if (savepoints->depth == 0)
		return true;
	target = 1 + random_below(worker, savepoints->depth);
	if (!run(worker, "RELEASE s%d", target))
		return false;
	savepoints->depth = target - 1;
	return true;
}
