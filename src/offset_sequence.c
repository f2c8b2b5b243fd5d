/*
 * offset_sequence.c
 *		The next offset of a partition, kept in a sequence relation.
 *
 * nextval() cannot do this: it knows neither ranges nor the flush below.  The
 * WAL protocol is that of nextval_internal() in commands/sequence.c.
 *
 * After every WAL record the log is flushed before an offset that it covers
 * is used.  Without that, a transaction with synchronous_commit = off could
 * return offsets to its client, lose the record with the server, and the same
 * offsets would be given to other records.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/rel.h"

#include "debug_point.h"
#include "offset_sequence.h"
#include "qtopic.h"

/* As in commands/sequence.c, which does not export it. */
#define SEQ_MAGIC	0x1717

typedef struct SequenceMagic
{
	uint32		magic;
} SequenceMagic;

static Form_pg_sequence_data lock_page(Relation sequence, int mode,
									   Buffer *buffer, HeapTuple tuple);
static XLogRecPtr log_page(Relation sequence, Buffer buffer, HeapTuple tuple);

int64
qt_sequence_reserve(Relation sequence, int64 count)
{
	Buffer		buffer;
	HeapTupleData tuple;
	Form_pg_sequence_data data;
	int64		next;
	int64		chunk = 0;
	XLogRecPtr	written = InvalidXLogRecPtr;

	data = lock_page(sequence, BUFFER_LOCK_EXCLUSIVE, &buffer, &tuple);
	next = data->is_called ? data->last_value + 1 : data->last_value;

	if (next > PG_INT64_MAX - count - QT_CHUNK_MAX)
	{
		UnlockReleaseBuffer(buffer);
		ereport(ERROR,
				(errcode(ERRCODE_SEQUENCE_GENERATOR_LIMIT_EXCEEDED),
				 errmsg("partition of sequence \"%s\" has no offsets left",
						RelationGetRelationName(sequence))));
	}

	/*
	 * The redo-pointer test: after a checkpoint the page must be logged
	 * again, or replay would start from what the checkpoint wrote, which is
	 * exact and not ahead.  The page is marked dirty before: a checkpoint
	 * whose redo pointer the test does not see yet then finds it in the pool
	 * and waits for our lock.  If the page were clean, the checkpoint would
	 * pass it by, and replay begin after the last WAL record of the sequence.
	 */
	MarkBufferDirty(buffer);
	if (RelationNeedsWAL(sequence) &&
		(data->log_cnt < count || !data->is_called ||
		 PageGetLSN(BufferGetPage(buffer)) <= GetRedoRecPtr()))
		chunk = Min(Max(count * 32, QT_CHUNK_MIN), QT_CHUNK_MAX);

	/* under a buffer lock, of which an advisory lock knows nothing */
	qt_debug_point("sequence-tested");

	START_CRIT_SECTION();
	if (chunk > 0)
	{
		data->last_value = next + count - 1 + chunk;
		data->is_called = true;
		data->log_cnt = 0;
		written = log_page(sequence, buffer, &tuple);
		data->log_cnt = chunk;
	}
	else
		data->log_cnt -= count;
	data->last_value = next + count - 1;
	data->is_called = true;
	END_CRIT_SECTION();

	UnlockReleaseBuffer(buffer);

	if (!XLogRecPtrIsInvalid(written))
		XLogFlush(written);
	return next;
}

int64
qt_sequence_peek(Oid sequence)
{
	Relation	rel = relation_open(sequence, AccessShareLock);
	Buffer		buffer;
	HeapTupleData tuple;
	Form_pg_sequence_data data;
	int64		next;

	data = lock_page(rel, BUFFER_LOCK_SHARE, &buffer, &tuple);
	next = data->is_called ? data->last_value + 1 : data->last_value;
	UnlockReleaseBuffer(buffer);
	relation_close(rel, AccessShareLock);
	return next;
}

static Form_pg_sequence_data
lock_page(Relation sequence, int mode, Buffer *buffer, HeapTuple tuple)
{
	Page		page;
	ItemId		lp;
	SequenceMagic *magic;

	*buffer = ReadBuffer(sequence, 0);
	LockBuffer(*buffer, mode);
	page = BufferGetPage(*buffer);
	magic = (SequenceMagic *) PageGetSpecialPointer(page);
	if (magic->magic != SEQ_MAGIC)
		elog(ERROR, "bad magic number in sequence \"%s\": %08X",
			 RelationGetRelationName(sequence), magic->magic);

	lp = PageGetItemId(page, FirstOffsetNumber);
	Assert(ItemIdIsNormal(lp));
	tuple->t_data = (HeapTupleHeader) PageGetItem(page, lp);
	tuple->t_len = ItemIdGetLength(lp);
	return (Form_pg_sequence_data) GETSTRUCT(tuple);
}

/* Write the page, as it is now, to WAL.  In a critical section. */
static XLogRecPtr
log_page(Relation sequence, Buffer buffer, HeapTuple tuple)
{
	xl_seq_rec	xlrec;
	XLogRecPtr	recptr;

	XLogBeginInsert();
	XLogRegisterBuffer(0, buffer, REGBUF_WILL_INIT);
	xlrec.qt_seq_locator = sequence->rd_locator;
	XLogRegisterData((char *) &xlrec, sizeof(xl_seq_rec));
	XLogRegisterData((char *) tuple->t_data, tuple->t_len);
	recptr = XLogInsert(RM_SEQ_ID, XLOG_SEQ_LOG);
	PageSetLSN(BufferGetPage(buffer), recptr);
	return recptr;
}
