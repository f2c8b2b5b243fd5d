/*
 * wakeup.c
 *		What happens at the end of a transaction that used topics.
 *
 * Readers are woken at COMMIT, at ABORT (which may unblock the head of a
 * partition) and at the abort of a subtransaction; too often is fine, too
 * rarely is not.  A prepared transaction wakes nobody: waiting readers look
 * again once a second.
 *
 * Everything in the callbacks after the commit works on static memory: it
 * cannot allocate or throw.
 */
#include "postgres.h"

#include "access/xact.h"

#include "qtopic.h"
#include "waits.h"
#include "wakeup.h"

static bool registered = false;
static const QtDeferredHooks *deferred = NULL;

/* Wait slots of the topics this transaction appended to. */
static uint64 noted[QT_WAIT_SLOTS / 64];
static bool anything_noted = false;

static void at_transaction_event(XactEvent event, void *arg);
static void at_subtransaction_event(SubXactEvent event, SubTransactionId mine,
									SubTransactionId parent, void *arg);
static void wake_noted(void);
static void forget_noted(void);

void
qt_wakeup_register(void)
{
	if (registered)
		return;
	RegisterXactCallback(at_transaction_event, NULL);
	RegisterSubXactCallback(at_subtransaction_event, NULL);
	registered = true;
}

void
qt_wakeup_set_deferred(const QtDeferredHooks *hooks)
{
	deferred = hooks;
}

void
qt_wakeup_note(int wait_slot)
{
	qt_wakeup_register();
	noted[wait_slot / 64] |= UINT64CONST(1) << (wait_slot % 64);
	anything_noted = true;
}

static void
at_transaction_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			if (deferred)
				deferred->before_commit();
			break;

		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
			qt_wait_end();
			if (deferred)
				deferred->at_end();
			wake_noted();
			forget_noted();
			break;

		case XACT_EVENT_PREPARE:
			if (deferred)
				deferred->at_end();
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
			if (deferred)
				deferred->at_subcommit(level);
			break;

		case SUBXACT_EVENT_ABORT_SUB:
			qt_wait_end();
			if (deferred)
				deferred->at_subabort(level);
			/* the transaction may append to the same topics again */
			wake_noted();
			break;

		default:
			break;
	}
}

static void
wake_noted(void)
{
	if (!anything_noted)
		return;
	for (int word = 0; word < lengthof(noted); word++)
		for (int bit = 0; noted[word] >> bit != 0 && bit < 64; bit++)
			if ((noted[word] >> bit) & 1)
				qt_wait_wake(word * 64 + bit);
}

static void
forget_noted(void)
{
	if (anything_noted)
		memset(noted, 0, sizeof(noted));
	anything_noted = false;
}
