/*
 * wakeup.h
 *		What happens at the end of a transaction that used topics.
 *
 * The only file that registers transaction callbacks, once a backend.
 */
#ifndef QTOPIC_WAKEUP_H
#define QTOPIC_WAKEUP_H

/* What the buffer of deferred records does at the ends of transactions. */
typedef struct QtDeferredHooks
{
	void		(*before_commit) (void);	/* may throw */
	void		(*at_end) (void);	/* after commit, abort or prepare */
	void		(*at_subcommit) (int level);
	void		(*at_subabort) (int level);
} QtDeferredHooks;

/* Register the callbacks; cheap if that was done. */
extern void qt_wakeup_register(void);

extern void qt_wakeup_set_deferred(const QtDeferredHooks *hooks);

/*
 * Note that this transaction has appended to a topic: its readers are woken
 * when the transaction ends, one way or the other.
 */
extern void qt_wakeup_note(int wait_slot);

#endif							/* QTOPIC_WAKEUP_H */
