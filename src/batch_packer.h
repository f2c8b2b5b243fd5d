/*
 * batch_packer.h
 *		Packs a stream of records into batches that each fill a heap page.
 *
 * Pure.  A batch is closed when its estimated compressed size (raw size times
 * the ratio that the last batches had) reaches the page limit.  A batch that
 * turns out too large is cut at a record boundary and its rest starts the
 * next one; a single record that does not fit makes a batch of its own,
 * which will be toasted.
 */
#ifndef QTOPIC_BATCH_PACKER_H
#define QTOPIC_BATCH_PACKER_H

#include "record_batch.h"

/* A finished batch, as a bytea ready to be stored (4-byte varlena header). */
typedef struct QtPackedBatch
{
	bytea	   *data;			/* palloc'd in the packer's context */
	int			record_count;	/* its offsets are base .. base + count - 1 */
} QtPackedBatch;

typedef struct QtPacker
{
	MemoryContext context;		/* of everything below */
	QtCodec		codec;
	int			level;
	bool		log_append_time;
	Size		page_limit;		/* bytes of a batch that fit one heap page */
	Size		max_batch_bytes;	/* max.message.bytes of the topic */
	double		ratio;			/* compressed / raw that is expected */
	QtBatchBuilder builder;
	Size		measured_raw;	/* so many bytes of it, if not 0, are known to */
	Size		measured_size;	/* compress to so many */
	QtBatchBuilder rest;		/* what was cut off; empty between calls */
	StringInfoData encoded;
	QtPackedBatch *batches;		/* finished ones, in order */
	int			batch_count;
	int			batch_capacity;
	Size		batch_bytes;	/* of the finished ones */
} QtPacker;

/*
 * The packer allocates in the context current now.  level is the library's, 0
 * its default.  The caller may set packer->ratio after this, to what an earlier
 * packer of the same topic has learnt.
 */
extern void qt_packer_init(QtPacker *packer, QtCodec codec, int level,
						   bool log_append_time, Size page_limit,
						   Size max_batch_bytes);

/*
 * Add a record.  Throws 54000 (with the sizes in the detail and a hint naming
 * max.message.bytes) if the record alone, encoded as a batch, is larger than
 * max_batch_bytes, or raw larger than QT_BATCH_RAW_MAX.
 */
extern void qt_packer_add(QtPacker *packer, const QtRecord *record);

/* Close the batch under construction, if any; batches[] is then complete. */
extern void qt_packer_finish(QtPacker *packer);

/* Forget the finished batches (freeing them); the ratio is kept. */
extern void qt_packer_reset(QtPacker *packer);

#endif							/* QTOPIC_BATCH_PACKER_H */
