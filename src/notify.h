/*
 * notify.h
 *		Notifications of new records, sent by the worker of a database.
 *
 * On channel qtopic_<topic>, made to fit as the topic's relation name is; the
 * payload is a JSON object {"partitions": {"<partition>": <last stable
 * offset>, ...}} of the partitions in which it has moved.
 */
#ifndef QTOPIC_NOTIFY_H
#define QTOPIC_NOTIFY_H

#include "datatype/timestamp.h"

/*
 * Look at the topics whose wait slots were woken since the last call, and
 * notify.  Needs a transaction with a snapshot, and locks that are given up
 * soon (lock_timeout).
 */
extern void qt_notify_send(TimestampTz now);

/* When topics that could not be read are tried again, or DT_NOEND. */
extern TimestampTz qt_notify_retry(void);

/* Forget what was sent; after a transaction that failed. */
extern void qt_notify_reset(void);

#endif							/* QTOPIC_NOTIFY_H */
