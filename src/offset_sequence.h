/*
 * offset_sequence.h
 *		The next offset of a partition, kept in a sequence relation.
 *
 * The page holds the exact next offset: last_value + 1 if is_called, else
 * last_value.  That is also what pg_dump saves.  What is in the WAL runs
 * ahead by a chunk, so a crash loses at most one chunk of offsets and a clean
 * restart none.
 */
#ifndef QTOPIC_OFFSET_SEQUENCE_H
#define QTOPIC_OFFSET_SEQUENCE_H

#include "utils/relcache.h"

/* Bounds of a chunk, in offsets; it is 32 times what was asked for. */
#define QT_CHUNK_MIN	1024
#define QT_CHUNK_MAX	65536

/*
 * Reserve count offsets and return the first.  The caller holds the append
 * lock and has the sequence open and locked.  If WAL had to be written it is
 * flushed before returning.  Throws 2200H when offsets run out.
 */
extern int64 qt_sequence_reserve(Relation sequence, int64 count);

/* The next offset; on a standby up to a chunk ahead of the primary's. */
extern int64 qt_sequence_peek(Oid sequence);

#endif							/* QTOPIC_OFFSET_SEQUENCE_H */
