/*
 * append.h
 *		Appending packed batches to a partition.
 */
#ifndef QTOPIC_APPEND_H
#define QTOPIC_APPEND_H

#include "batch_packer.h"
#include "topic_cache.h"

/* A packer with the topic's settings; memory is of the current context. */
extern void qt_append_init_packer(QtPacker *packer, QtTopic *topic);

/*
 * Append the finished batches of a packer to a partition, in order.
 * base_offsets has room for as many as there are and gets where each begins.
 * Throws 40001 if the active segment keeps moving away.
 */
extern void qt_append(QtTopic *topic, int partition, QtPacker *packer,
					  int64 *base_offsets);

/*
 * Lock a leaf of the topic for appending, to the end of the transaction.  The
 * topic may be invalid afterwards.
 */
extern void qt_append_lock(QtTopic *topic, Oid leaf);

#endif							/* QTOPIC_APPEND_H */
