/*
 * wakeup.c
 *		What happens at the end of a transaction that used topics.
 *
 * Readers are woken at COMMIT, at ABORT (which may unblock the head of a
 * partition) and at the abort of a subtransaction; too often is fine, too
 * rarely is not.  COMMIT PREPARED wakes nobody: waiting readers look again from
 * time to time, and the worker, which is told of the PREPARE, watches.
 *
 * Everything in the callbacks after the commit works on static memory: it
 * cannot allocate or throw.
 */
#include "postgres.h"

#include <limits.h>

#include "access/xact.h"
#include "port/pg_bitutils.h"
#include "utils/resowner.h"

#include "qtopic.h"
#include "waits.h"
#include "wakeup.h"
#include "worker_slots.h"

#define HOOKS_MAX	3

static bool registered = false;
static const QtTransactionHooks *hooks[HOOKS_MAX];
static int	hook_count = 0;

/*
 * Wait slots of the topics this transaction appended to, and for each of them
 * the partitions, modulo 64.
 */
static uint64 noted[QT_WAIT_SLOTS / 64];
static uint64 noted_partitions[QT_WAIT_SLOTS];
static bool anything_noted = false;

/* The same for topics that it drops. */
static uint64 dropped[QT_WAIT_SLOTS / 64];
static bool anything_dropped = false;

static void at_transaction_event(XactEvent event, void *arg);
static void at_subtransaction_event(SubXactEvent event, SubTransactionId mine,
									SubTransactionId parent, void *arg);
static void at_resource_release(ResourceReleasePhase phase, bool is_commit,
								bool is_top_level, void *arg);
static void call_at_end(QtTransactionEnd end);
static void wake_noted(uint32 news);
static void forget_noted(void);
static void wake_dropped(void);

void
qt_wakeup_register(void)
{
	if (registered)
		return;
	RegisterXactCallback(at_transaction_event, NULL);
	RegisterSubXactCallback(at_subtransaction_event, NULL);
	RegisterResourceReleaseCallback(at_resource_release, NULL);
	registered = true;
}

void
qt_wakeup_add_hooks(const QtTransactionHooks *more)
{
	for (int i = 0; i < hook_count; i++)
		if (hooks[i] == more)
			return;
	if (hook_count == HOOKS_MAX)
		elog(ERROR, "too many users of transaction hooks");
	hooks[hook_count++] = more;
	qt_wakeup_register();
}

void
qt_wakeup_note(int wait_slot, int partition)
{
	qt_wakeup_register();
	noted[wait_slot / 64] |= UINT64CONST(1) << (wait_slot % 64);
	noted_partitions[wait_slot] |= UINT64CONST(1) << (partition % 64);
	anything_noted = true;
}

void
qt_wakeup_note_drop(int wait_slot)
{
	qt_wakeup_register();
	dropped[wait_slot / 64] |= UINT64CONST(1) << (wait_slot % 64);
	anything_dropped = true;
}

static void
at_transaction_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			for (int i = 0; i < hook_count; i++)
				if (hooks[i]->before_commit)
					hooks[i]->before_commit();
			break;

		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
			qt_wait_break_off();
			call_at_end(event == XACT_EVENT_COMMIT ? QT_END_COMMIT : QT_END_ABORT);
			wake_noted(QT_NEWS_RECORDS);
			forget_noted();
			break;

		case XACT_EVENT_PREPARE:
			call_at_end(QT_END_PREPARE);
			/* the worker watches for its end, which wakes nobody */
			wake_noted(QT_NEWS_RECORDS | QT_NEWS_PREPARED);
			forget_noted();
			break;

		default:
			break;
	}
}

static void
at_subtransaction_event(SubXactEvent event, SubTransactionId mine,
						SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();

	switch (event)
	{
		case SUBXACT_EVENT_COMMIT_SUB:
			for (int i = 0; i < hook_count; i++)
				if (hooks[i]->at_subcommit)
					hooks[i]->at_subcommit(level);
			break;

		case SUBXACT_EVENT_ABORT_SUB:
			qt_wait_break_off();
			for (int i = 0; i < hook_count; i++)
				if (hooks[i]->at_subabort)
					hooks[i]->at_subabort(level);
			/* the transaction may append to the same topics again */
			wake_noted(QT_NEWS_RECORDS);
			break;

		default:
			break;
	}
}

/*
 * News that a lock is free are no news before it is: at the transaction events
 * the locks are still held, and invalidations not sent.
 */
static void
at_resource_release(ResourceReleasePhase phase, bool is_commit,
					bool is_top_level, void *arg)
{
	if (phase != RESOURCE_RELEASE_AFTER_LOCKS)
		return;
	for (int i = 0; i < hook_count; i++)
		if (hooks[i]->locks_released)
			hooks[i]->locks_released();
	if (is_top_level && anything_dropped)
		wake_dropped();
}

static void
call_at_end(QtTransactionEnd end)
{
	for (int i = 0; i < hook_count; i++)
		if (hooks[i]->at_end)
			hooks[i]->at_end(end);
}

static void
wake_noted(uint32 news)
{
	if (!anything_noted)
		return;
	for (int word = 0; word < lengthof(noted); word++)
		for (uint64 bits = noted[word]; bits != 0; bits &= bits - 1)
		{
			int			wait_slot = word * 64 + pg_rightmost_one_pos64(bits);

			qt_wait_wake(wait_slot, pg_popcount64(noted_partitions[wait_slot]));
		}
	qt_worker_tell(news);
}

static void
forget_noted(void)
{
	if (!anything_noted)
		return;
	memset(noted, 0, sizeof(noted));
	memset(noted_partitions, 0, sizeof(noted_partitions));
	anything_noted = false;
}

static void
wake_dropped(void)
{
	for (int word = 0; word < lengthof(dropped); word++)
		for (uint64 bits = dropped[word]; bits != 0; bits &= bits - 1)
			qt_wait_wake(word * 64 + pg_rightmost_one_pos64(bits), INT_MAX);
	memset(dropped, 0, sizeof(dropped));
	anything_dropped = false;
}
