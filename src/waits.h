/*
 * waits.h
 *		Wait slots: sessions that wait for records, and how they are woken.
 *
 * A wait slot is a generation and a bitmap of waiting sessions.  Topics share
 * a fixed number of slots by hash; that two topics may share one costs a
 * spurious wake-up and saves every allocation.
 *
 * Of the sessions that wait for a topic in the same consumer group no more are
 * woken than there are partitions with news.  A session that was woken and does not look
 * passes it on.
 */
#ifndef QTOPIC_WAITS_H
#define QTOPIC_WAITS_H

#define QT_WAIT_SLOTS	1024


/*
 * Instead of a topic in a group: waits for groups, but for no single one; or
 * waits for one, but will not read.  The latter are counted for themselves, as
 * what they are woken for is left for somebody who reads.
 */
#define QT_WAIT_ANY_GROUP	(-1)
#define QT_WAIT_TO_TELL(group_topic)	(-(group_topic) - 1)

extern Size qt_waits_shmem_size(void);
extern void qt_waits_shmem_init(void);

/* The wait slot of a topic of this database. */
extern int	qt_wait_slot(int topic_id);

/*
 * Waiting: qt_wait_begin, then look at the data, then qt_wait_sleep if there
 * is nothing; qt_wait_end at last, also after an error (from the transaction
 * callback).  A session waits once at a time, at any number of slots; with
 * group_topic it waits for one topic in a consumer group, or for any
 * (QT_WAIT_ANY_GROUP), else (0) for itself.
 */
extern void qt_wait_begin(const int *wait_slots, int count, int group_topic);

/*
 * Sleep until a slot was woken since qt_wait_begin or the last qt_wait_sleep,
 * or timeout_ms passed.  Throws on cancel and termination.  Must not be called
 * with a snapshot registered by the caller, a scan or a buffer pin.
 */
extern void qt_wait_sleep(long timeout_ms);

/*
 * The second is for a wait that an error has ended.  Do not throw; may be
 * called when not waiting.
 */
extern void qt_wait_end(void);
extern void qt_wait_break_off(void);

/*
 * News of records, or of a free partition: wake the sessions that wait at the
 * slot, of each group at most `sessions`.  Does not allocate or throw.
 */
extern void qt_wait_wake(int wait_slot, int sessions);

/*
 * The same for the sessions of one group and topic of this database only; and
 * for those that wait for any.
 */
extern void qt_wait_wake_group(int wait_slot, int group_topic, int sessions);

/*
 * Wake everybody, for news that name no slot.  Does not allocate or throw.
 */
extern void qt_wait_wake_all(void);

/* Moves with each wake-up of the slot. */
extern uint64 qt_wait_generation(int wait_slot);

#endif							/* QTOPIC_WAITS_H */
