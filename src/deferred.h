/*
 * deferred.h
 *		Records that are appended at the end of their transaction.
 */
#ifndef QTOPIC_DEFERRED_H
#define QTOPIC_DEFERRED_H

#include "topic_cache.h"
#include "record_batch.h"

/*
 * False once the buffer has begun to drain: what is produced then, by other
 * callbacks at commit, is appended at once.
 */
extern bool qt_deferred_possible(void);

/*
 * Buffer a record, which is copied.  The partition is locked against
 * drop_topic.  When the buffer is past qtopic.deferred_buffer_size, it is
 * appended early, unless that would put records of an outer transaction at
 * the mercy of a subtransaction; past 16 times the size this throws 54000.
 */
extern void qt_deferred_add(QtTopic *topic, int partition, const QtRecord *record);

#endif							/* QTOPIC_DEFERRED_H */
