/*
 * segment_store.c
 *		Rows of the leaves: appending batches and the stop scan.
 *
 * Appending.  Offsets are reserved and rows inserted, heap and index, under
 * the partition's append lock, which is released at once and not at commit;
 * so physical order is offset order, and no producer waits for the commit of
 * another.  An LWLock cannot be cancelled and knows no deadlock detector:
 * everything that could wait for a transaction (opening relations, assigning
 * an xid) is done before it is taken.
 *
 * Reading.  The scan goes up the index from a settled point with SnapshotAny
 * and stops at the first row whose transaction had not ended when the
 * snapshot was taken.  Everything below is then decided for ever, so a reader
 * gets a prefix: nothing is skipped.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "port/pg_bswap.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "debug_point.h"
#include "guc.h"
#include "offset_sequence.h"
#include "qtopic.h"
#include "segment_store.h"

/* How much is appended in one go under the append lock. */
#define APPEND_BYTES_MAX	65536

/* Offset of the batch in a row's data: after partition, leaf, last_offset. */
#define LEAF_BATCH_START	16

/* A relation with its indexes, open for inserting. */
typedef struct OpenIndexes
{
	int			count;
	Relation   *relations;
	IndexInfo **infos;
} OpenIndexes;

static HeapTuple form_row(Relation leaf, const QtAppendTarget *target,
						  const QtPackedBatch *batch);
static Size row_size(const QtPackedBatch *batch);
static void patch_row(HeapTuple row, int64 base_offset, int record_count);
static void open_indexes(Relation heap, OpenIndexes *open);
static void close_indexes(OpenIndexes *open);
static void insert_row(Relation leaf, OpenIndexes *open, HeapTuple row);
static Relation open_scan_index(Relation leaf);
static bool row_is_settled(QtLeafScan *scan, HeapTuple row, Buffer buffer,
						   TransactionId *known_xmin, bool *known_committed,
						   bool *committed);
static void copy_batch(QtLeafScan *scan, int64 last_offset, struct varlena *batch);
static int64 batch_base_offset(struct varlena *batch, int64 otherwise);
static int64 batch_max_timestamp(struct varlena *batch);

int
qt_segment_append(const QtAppendTarget *target, const QtPackedBatch *batches,
				  int count, int64 *base_offsets)
{
	Relation	leaf;
	Relation	toast = NULL;
	Relation	sequence;
	OpenIndexes leaf_indexes;
	OpenIndexes toast_indexes;
	HeapTuple  *rows;
	int			done = 0;
	bool		current = true;

	/* Everything that may wait comes first. */
	(void) GetCurrentTransactionId();
	leaf = try_table_open(target->leaf, NoLock);
	if (leaf == NULL)
		return 0;
	Assert(CheckRelationLockedByMe(leaf, RowExclusiveLock, true));
	open_indexes(leaf, &leaf_indexes);
	sequence = relation_open(target->key.sequence, RowExclusiveLock);

	for (int i = 0; i < count; i++)
	{
		if (row_size(&batches[i]) > RelationGetToastTupleTarget(leaf, TOAST_TUPLE_TARGET) &&
			toast == NULL)
		{
			toast = table_open(leaf->rd_rel->reltoastrelid, RowExclusiveLock);
			open_indexes(toast, &toast_indexes);
		}
	}
	qt_debug_point("append-opened");

	rows = palloc(sizeof(HeapTuple) * count);
	while (done < count && current)
	{
		int			first = done;
		int			last = done;
		Size		bytes = 0;
		int64		records = 0;
		int64		base;

		/* one batch or 64 kB at a time */
		do
		{
			bytes += row_size(&batches[last]);
			records += batches[last].record_count;
			rows[last] = form_row(leaf, target, &batches[last]);
			last++;
		} while (last < count && bytes + row_size(&batches[last]) <= APPEND_BYTES_MAX);

		if (!qt_slot_lock(target->slot, &target->key))
			break;
		if (pg_atomic_read_u32(&target->slot->highest_segment) > (uint32) target->ordinal)
			current = false;
		else
		{
			pg_atomic_write_u32(&target->slot->highest_segment, (uint32) target->ordinal);
			base = qt_sequence_reserve(sequence, records);
			qt_debug_point("append-reserved");
			for (; done < last; done++)
			{
				patch_row(rows[done], base, batches[done].record_count);
				insert_row(leaf, &leaf_indexes, rows[done]);
				base_offsets[done] = base;
				base += batches[done].record_count;
			}
			pg_atomic_write_u64(&target->slot->next_offset, (uint64) base);
			pg_atomic_write_u32(&target->slot->next_is_old, 0);
		}
		qt_slot_unlock(target->slot);
		for (int i = first; i < last; i++)
			heap_freetuple(rows[i]);
		CHECK_FOR_INTERRUPTS();
	}

	pfree(rows);
	if (toast != NULL)
	{
		/* the lock stays, as that of the leaf does */
		close_indexes(&toast_indexes);
		table_close(toast, NoLock);
	}
	relation_close(sequence, NoLock);
	close_indexes(&leaf_indexes);
	table_close(leaf, NoLock);
	return done;
}

QtScanEnd
qt_segment_scan(QtLeafScan *scan)
{
	Relation	leaf = table_open(scan->leaf, NoLock);
	Relation	index = open_scan_index(leaf);
	TupleTableSlot *slot = table_slot_create(leaf, NULL);
	ScanDirection direction = scan->backward ? BackwardScanDirection : ForwardScanDirection;
	IndexScanDesc desc;
	ScanKeyData key;
	TransactionId known_xmin = InvalidTransactionId;
	bool		known_committed = false;
	QtScanEnd	end = QT_SCAN_END;
	int64		records = 0;
	Size		bytes = 0;

	ScanKeyInit(&key, 1,
				scan->backward ? BTLessStrategyNumber : BTGreaterEqualStrategyNumber,
				scan->backward ? F_INT8LT : F_INT8GE, Int64GetDatum(scan->next_key));
	desc = index_beginscan(leaf, index, SnapshotAny, 1, 0);
	desc->xs_want_itup = true;
	index_rescan(desc, &key, 1, NULL, 0);

	while (index_getnext_slot(desc, direction, slot))
	{
		bool		isnull;
		bool		committed;
		int64		index_key;
		int64		last_offset;
		struct varlena *batch;
		HeapTuple	row;

		CHECK_FOR_INTERRUPTS();

		index_key = DatumGetInt64(index_getattr(desc->xs_itup, 1, desc->xs_itupdesc, &isnull));
		last_offset = DatumGetInt64(slot_getattr(slot, QT_ANUM_LEAF_LAST_OFFSET, &isnull));

		/* On a standby the row may be a later one in the place of a dead one. */
		if (last_offset != index_key)
			continue;

		if (last_offset >= scan->bound)
		{
			scan->stop_key = last_offset;
			scan->stop_base = scan->bound_base;
			scan->stop_xid = InvalidTransactionId;
			end = QT_SCAN_STOPPED;
			break;
		}
		if (scan->backward && last_offset < scan->position)
		{
			end = QT_SCAN_OUTSIDE;
			break;
		}

		batch = (struct varlena *) DatumGetPointer(slot_getattr(slot, QT_ANUM_LEAF_BATCH, &isnull));
		row = ((HeapTupleTableSlot *) slot)->tuple;
		if (!row_is_settled(scan, row, ((BufferHeapTupleTableSlot *) slot)->buffer,
							&known_xmin, &known_committed, &committed))
		{
			Assert(!scan->backward);
			scan->stop_key = last_offset;
			scan->stop_base = batch_base_offset(batch, scan->next_key);
			scan->stop_xid = HeapTupleHeaderGetXmin(row->t_data);
			end = QT_SCAN_STOPPED;
			break;
		}

		if (committed && last_offset >= scan->position)
		{
			if (scan->batch_count > 0 &&
				(records >= scan->max_records || bytes >= scan->max_bytes))
			{
				end = QT_SCAN_LIMIT;
				break;
			}
			if (scan->min_time != PG_INT64_MIN && batch_max_timestamp(batch) < scan->min_time)
				scan->batches_passed++;
			else
			{
				copy_batch(scan, last_offset, batch);
				records += scan->backward ? 1 :
					last_offset - Max(scan->position, scan->next_key) + 1;
				bytes += scan->batches[scan->batch_count - 1].len;
			}
		}
		scan->next_key = scan->backward ? last_offset : last_offset + 1;
		if (!scan->backward && last_offset >= scan->upto)
		{
			end = QT_SCAN_OUTSIDE;
			break;
		}
	}

	index_endscan(desc);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	table_close(leaf, NoLock);
	return end;
}

void
qt_segment_flush(XLogRecPtr flush_to)
{
	if (qt_guc_durable_read && !XLogRecPtrIsInvalid(flush_to) && !RecoveryInProgress())
		XLogFlush(flush_to);
}

/* The row of a batch; last offset and base offset are patched later. */
static HeapTuple
form_row(Relation leaf, const QtAppendTarget *target, const QtPackedBatch *batch)
{
	Datum		values[QT_NATTS_LEAF];
	bool		nulls[QT_NATTS_LEAF] = {false};

	values[QT_ANUM_LEAF_PARTITION - 1] = Int32GetDatum(target->key.partition);
	values[QT_ANUM_LEAF_LEAF - 1] = Int32GetDatum(target->leaf_no);
	values[QT_ANUM_LEAF_LAST_OFFSET - 1] = Int64GetDatum(0);
	values[QT_ANUM_LEAF_BATCH - 1] = PointerGetDatum(batch->data);
	return heap_form_tuple(RelationGetDescr(leaf), values, nulls);
}

/* How long the row of a batch is, at most. */
static Size
row_size(const QtPackedBatch *batch)
{
	return MAXALIGN(SizeofHeapTupleHeader) + LEAF_BATCH_START + VARSIZE(batch->data);
}

static void
patch_row(HeapTuple row, int64 base_offset, int record_count)
{
	char	   *data = (char *) row->t_data + row->t_data->t_hoff;
	int64		last_offset = base_offset + record_count - 1;

	memcpy(data + 8, &last_offset, sizeof(last_offset));
	qt_batch_patch(VARDATA_ANY(data + LEAF_BATCH_START), base_offset,
				   (int32) GetWALInsertionTimeLine());
}

/*
 * Open all indexes of a heap for inserting.  Their definitions are checked:
 * an index that a superuser added must not run code or wait for transactions
 * under the append lock.
 *
 * Those of a TOAST table are opened again under the append lock, where nothing
 * may wait and no invalidation be taken: heap_insert() looks for a free chunk
 * id through the index.  So they are locked here in that mode too, and the
 * list of them, which an invalidation may have thrown away meanwhile, is read
 * once more.
 */
static void
open_indexes(Relation heap, OpenIndexes *open)
{
	List	   *oids = RelationGetIndexList(heap);
	bool		is_toast = heap->rd_rel->relkind == RELKIND_TOASTVALUE;
	ListCell   *lc;

	open->count = 0;
	open->relations = palloc(sizeof(Relation) * list_length(oids));
	open->infos = palloc(sizeof(IndexInfo *) * list_length(oids));
	foreach(lc, oids)
	{
		Relation	index = index_open(lfirst_oid(lc), RowExclusiveLock);
		IndexInfo  *info;

		if (is_toast)
			LockRelation(index, AccessShareLock);
		if (!is_toast && !index->rd_index->indisready)
		{
			index_close(index, RowExclusiveLock);
			continue;
		}
		info = is_toast ? NULL : BuildIndexInfo(index);
		if (info && (info->ii_Expressions != NIL || info->ii_Predicate != NIL ||
					 info->ii_Unique || info->ii_ExclusionOps != NULL))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("index \"%s\" is not supported on the storage of a topic",
							RelationGetRelationName(index)),
					 errdetail("Indexes there must be plain: not unique, without expressions and predicate."),
					 errhint("Drop the index.")));
		open->relations[open->count] = index;
		open->infos[open->count] = info;
		open->count++;
	}
	list_free(oids);
	if (is_toast)
		list_free(RelationGetIndexList(heap));
}

static void
close_indexes(OpenIndexes *open)
{
	for (int i = 0; i < open->count; i++)
	{
		if (open->infos[i] == NULL)
			UnlockRelation(open->relations[i], AccessShareLock);
		index_close(open->relations[i], RowExclusiveLock);
	}
	pfree(open->relations);
	pfree(open->infos);
}

/*
 * Insert a row into heap and indexes.  It goes to the end of the heap, so that
 * physical order is offset order.
 */
static void
insert_row(Relation leaf, OpenIndexes *open, HeapTuple row)
{
	Datum		columns[QT_NATTS_LEAF];
	bool		column_nulls[QT_NATTS_LEAF];

	RelationSetTargetBlock(leaf, InvalidBlockNumber);
	heap_insert(leaf, row, GetCurrentCommandId(true), HEAP_INSERT_SKIP_FSM, NULL);
	qt_debug_point("append-heap");

	heap_deform_tuple(row, RelationGetDescr(leaf), columns, column_nulls);
	for (int i = 0; i < open->count; i++)
	{
		IndexInfo  *info = open->infos[i];
		Datum		values[INDEX_MAX_KEYS];
		bool		nulls[INDEX_MAX_KEYS];

		for (int k = 0; k < info->ii_NumIndexAttrs; k++)
		{
			values[k] = columns[info->ii_IndexAttrNumbers[k] - 1];
			nulls[k] = column_nulls[info->ii_IndexAttrNumbers[k] - 1];
		}
		index_insert(open->relations[i], values, nulls, &row->t_self, leaf,
					 UNIQUE_CHECK_NO, false, info);
	}
}

/* A valid index on the last offset; never by a stored OID. */
static Relation
open_scan_index(Relation leaf)
{
	List	   *oids = RelationGetIndexList(leaf);
	ListCell   *lc;

	foreach(lc, oids)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index form = index->rd_index;

		if (form->indisvalid && index->rd_rel->relam == BTREE_AM_OID &&
			form->indkey.values[0] == QT_ANUM_LEAF_LAST_OFFSET &&
			(index->rd_indoption[0] & INDOPTION_DESC) == 0 &&
			RelationGetIndexPredicate(index) == NIL)
		{
			list_free(oids);
			return index;
		}
		index_close(index, AccessShareLock);
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("storage table \"%s\" has no valid index on its offsets",
					RelationGetRelationName(leaf)),
			 errhint("Use REINDEX TABLE \"%s\".\"%s\", or restore the storage from a backup.",
					 QT_STORAGE_SCHEMA, RelationGetRelationName(leaf))));
	return NULL;				/* keep compiler quiet */
}

/*
 * Was the row's transaction over when the snapshot was taken?  If so, tell
 * whether it committed, and note up to where WAL must be flushed for the row
 * to be durable.  The order of the tests matters: XidInMVCCSnapshot leaves out
 * our own transactions, and a transaction that aborted after the snapshot was
 * taken must stop the scan like one that committed then.
 */
static bool
row_is_settled(QtLeafScan *scan, HeapTuple row, Buffer buffer,
			   TransactionId *known_xmin, bool *known_committed,
			   bool *committed)
{
	TransactionId xmin = HeapTupleHeaderGetXmin(row->t_data);
	XLogRecPtr	lsn;

	if (xmin == FrozenTransactionId)
	{
		*committed = true;
		/* hint bits and freezing say nothing about durability */
		lsn = BufferGetLSNAtomic(buffer);
		scan->flush_to = Max(scan->flush_to, lsn);
		return true;
	}

	if (xmin == *known_xmin)
	{
		*committed = *known_committed;
		return true;
	}

	if (TransactionIdIsCurrentTransactionId(xmin) ||
		XidInMVCCSnapshot(xmin, scan->snapshot))
		return false;

	*committed = TransactionIdDidCommit(xmin);
	if (*committed)
	{
		lsn = TransactionIdGetCommitLSN(xmin);
		scan->flush_to = Max(scan->flush_to, lsn);
	}
	*known_xmin = xmin;
	*known_committed = *committed;
	return true;
}

static void
copy_batch(QtLeafScan *scan, int64 last_offset, struct varlena *batch)
{
	QtStoredBatch *stored;
	struct varlena *copy;

	if (scan->batch_count == scan->batch_capacity)
	{
		scan->batch_capacity = Max(16, scan->batch_capacity * 2);
		if (scan->batches == NULL)
			scan->batches = palloc(sizeof(QtStoredBatch) * scan->batch_capacity);
		else
			scan->batches = repalloc_huge(scan->batches,
										  sizeof(QtStoredBatch) * scan->batch_capacity);
	}
	stored = &scan->batches[scan->batch_count++];
	stored->last_offset = last_offset;
	stored->total_len = toast_raw_datum_size(PointerGetDatum(batch)) - VARHDRSZ;

	if (scan->headers_only)
		copy = detoast_attr_slice(batch, 0, QT_BATCH_HEADER_SIZE);
	else if (VARATT_IS_EXTERNAL(batch) || VARATT_IS_COMPRESSED(batch))
		copy = detoast_attr(batch);
	else
	{
		copy = palloc(VARSIZE_ANY(batch));
		memcpy(copy, batch, VARSIZE_ANY(batch));
	}
	stored->data = VARDATA_ANY(copy);
	stored->len = VARSIZE_ANY_EXHDR(copy);
}

/*
 * Base offset of a batch whose transaction may have aborted: if it was
 * toasted, VACUUM may already have removed its chunks, and the answer is what
 * the caller knows to be not above it.
 */
static int64
batch_base_offset(struct varlena *batch, int64 otherwise)
{
	uint64		base;

	if (VARATT_IS_EXTERNAL(batch) || VARATT_IS_COMPRESSED(batch) ||
		VARSIZE_ANY_EXHDR(batch) < sizeof(base))
		return otherwise;
	memcpy(&base, VARDATA_ANY(batch), sizeof(base));
	return (int64) pg_ntoh64(base);
}

/* From the header; a batch too short to have one is left to whoever decodes it. */
static int64
batch_max_timestamp(struct varlena *batch)
{
	struct varlena *header = VARATT_IS_EXTERNAL(batch) || VARATT_IS_COMPRESSED(batch) ?
		detoast_attr_slice(batch, 0, QT_BATCH_HEADER_SIZE) : batch;
	int64		timestamp = PG_INT64_MAX;

	if (VARSIZE_ANY_EXHDR(header) >= QT_BATCH_HEADER_SIZE)
		timestamp = qt_batch_max_timestamp(VARDATA_ANY(header));
	if (header != batch)
		pfree(header);
	return timestamp;
}
