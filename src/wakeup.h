/*
 * wakeup.h
 *		What happens at the end of a transaction that used topics.
 *
 * The only file that registers transaction callbacks, once a backend.
 */
#ifndef QTOPIC_WAKEUP_H
#define QTOPIC_WAKEUP_H

typedef enum QtTransactionEnd
{
	QT_END_COMMIT,
	QT_END_ABORT,
	QT_END_PREPARE
} QtTransactionEnd;

/*
 * What a file does at the ends of transactions and subtransactions; any of
 * them may be NULL.  Only before_commit may throw or allocate.
 */
typedef struct QtTransactionHooks
{
	void		(*before_commit) (void);	/* or before PREPARE */
	void		(*at_end) (QtTransactionEnd end);
	void		(*at_subcommit) (int level);
	void		(*at_subabort) (int level);
	void		(*locks_released) (void);	/* after each of the ends above, and
											 * at other times */
} QtTransactionHooks;

/* Register the callbacks; cheap if that was done. */
extern void qt_wakeup_register(void);

/* Call these hooks from now on; cheap if that was done. */
extern void qt_wakeup_add_hooks(const QtTransactionHooks *hooks);

/*
 * Note that this transaction has appended to a partition of a topic: its
 * readers are woken when the transaction ends, one way or the other.
 */
extern void qt_wakeup_note(int wait_slot, int partition);

/*
 * Note that this transaction drops a topic.  Its readers are woken when they
 * can see that: after the end of the transaction, which sends invalidations late.
 */
extern void qt_wakeup_note_drop(int wait_slot);

#endif							/* QTOPIC_WAKEUP_H */
