/*
 * consume_portal.c
 *		Cursors that read in a consumer group.
 *
 * A cursor keeps its rows over a ROLLBACK TO that gives them back to the group:
 * they would be processed twice.  A loop of PL/pgSQL keeps them over COMMIT and
 * ROLLBACK in its body as well, where the server turns its portal into a held
 * one.  A COMMIT there would move the position past records that were not
 * processed yet, so it is refused.  A ROLLBACK cannot be; the transactions after
 * it, in which the loop may go on with its rows, cannot commit.
 */
#include "postgres.h"

#include "access/xact.h"
#include "tcop/pquery.h"
#include "utils/memutils.h"
#include "utils/portal.h"

#include "consume_portal.h"
#include "qtopic.h"
#include "wakeup.h"

typedef struct LoopPortal
{
	char		name[NAMEDATALEN];
	struct LoopPortal *next;
} LoopPortal;

/* Portals of loops whose rows were read in this transaction or given back. */
static LoopPortal *loops = NULL;

/*
 * When the statement began, in which they were given back by the transaction
 * before; 0: they were not.  If that statement ended in an error, so did the
 * loop.
 */
static TimestampTz given_back = 0;

static void before_commit(void);
static bool are_given_back(void);
static void at_end(QtTransactionEnd end);
static bool any_is_held(void);
static void forget_loops(void);

static const QtTransactionHooks hooks = {
	before_commit, at_end, NULL, NULL, NULL
};

void
qt_consume_check_portal(void)
{
	LoopPortal *loop;

	if (ActivePortal == NULL)
		return;
	if (ActivePortal->createSubid != ActivePortal->activeSubid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot consume in a cursor that is older than the current savepoint"),
				 errdetail("The cursor would keep its rows when the savepoint is rolled back."),
				 errhint("Declare the cursor after the savepoint, or fetch from it before.")));

	if (!ActivePortal->portalPinned)
		return;
	loop = MemoryContextAllocZero(TopMemoryContext, sizeof(LoopPortal));
	strlcpy(loop->name, ActivePortal->name, NAMEDATALEN);
	loop->next = loops;
	loops = loop;
	qt_wakeup_add_hooks(&hooks);
}

static void
before_commit(void)
{
	if (!are_given_back() && !any_is_held())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot commit inside of a loop over consume()"),
			 are_given_back() ?
			 errdetail("A rollback inside of the loop has given its records back to the group, and it may have gone on with them.") :
			 errdetail("The position would move past records that the loop has not processed yet."),
			 errhint("Leave the loop before COMMIT or ROLLBACK.")));
}

static bool
are_given_back(void)
{
	return given_back == GetCurrentStatementStartTimestamp();
}

static void
at_end(QtTransactionEnd end)
{
	given_back = 0;
	if (!any_is_held())
		forget_loops();
	else if (end == QT_END_ABORT)
		given_back = GetCurrentStatementStartTimestamp();
}

/* Has one of the loops gone on, or will it go on, after the transaction? */
static bool
any_is_held(void)
{
	for (LoopPortal *loop = loops; loop != NULL; loop = loop->next)
	{
		Portal		portal = GetPortalByName(loop->name);

		if (PortalIsValid(portal) && portal->autoHeld)
			return true;
	}
	return false;
}

static void
forget_loops(void)
{
	while (loops != NULL)
	{
		LoopPortal *loop = loops;

		loops = loop->next;
		pfree(loop);
	}
}
