/*
 * deferred.c
 *		Records that are appended at the end of their transaction.
 *
 * Each partition has a buffer in the order of production.  Subtransactions
 * nest, so what a subtransaction added is always the tail of every buffer: a
 * mark for each nesting level says where it begins.  ROLLBACK TO cuts the
 * buffers at the marks, RELEASE relabels them.
 *
 * The buffers live in TopTransactionContext and are drained before commit or
 * prepare.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "append.h"
#include "deferred.h"
#include "guc.h"
#include "qtopic.h"
#include "wakeup.h"

/* Batches that are gathered before they are appended: so many, or so many bytes. */
#define DRAIN_BATCHES	64
#define DRAIN_BYTES		(512 * 1024)

/* How far past its bound the buffer may grow inside a subtransaction. */
#define HARD_LIMIT_FACTOR	16

/* A record in a buffer; key, value and headers follow. */
typedef struct BufferedRecord
{
	int64		timestamp;
	int			key_len;
	int			value_len;
	int			header_count;
	int			headers_len;
} BufferedRecord;

/* Where the records of a nesting level begin in a buffer. */
typedef struct Mark
{
	int			level;
	Size		start;
} Mark;

typedef struct BufferKey
{
	int			topic_id;
	int			partition;
	Oid			parent;			/* DROP and CREATE EXTENSION give the id again */
} BufferKey;

typedef struct PartitionBuffer
{
	BufferKey	key;			/* hash key */
	slist_node	next;			/* in order of first use */
	char	   *data;
	Size		len;
	Size		capacity;
	Mark	   *marks;
	int			mark_count;
	int			mark_capacity;
} PartitionBuffer;

typedef enum DrainState
{
	NOT_DRAINING,
	DRAINING_EARLY,
	DRAINING_AT_END
} DrainState;

static MemoryContext context = NULL;
static HTAB *buffers = NULL;
static slist_head order;
static Size total_bytes = 0;
static DrainState state = NOT_DRAINING;

static void before_commit(void);
static void at_end(QtTransactionEnd end);
static void at_subcommit(int level);
static void at_subabort(int level);
static void init_buffers(void);
static PartitionBuffer *find_buffer(QtTopic *topic, int partition);
static void lock_partition(QtTopic *topic, int partition);
static void mark_level(PartitionBuffer *buffer, int level);
static void reserve(PartitionBuffer *buffer, Size bytes);
static void limit_buffers(int level);
static void drain_all(void);
static void drain(PartitionBuffer *buffer);
static void append_part(char **to, const char *from, int len);
static const char *take_part(const char **from, int len);

static const QtTransactionHooks hooks = {
	before_commit, at_end, at_subcommit, at_subabort, NULL
};

bool
qt_deferred_possible(void)
{
	return state != DRAINING_AT_END;
}

void
qt_deferred_add(QtTopic *topic, int partition, const QtRecord *record)
{
	PartitionBuffer *buffer;
	BufferedRecord fixed;
	int			level = GetCurrentTransactionNestLevel();
	Size		bytes;
	char	   *to;

	if (qt_batch_record_size(record) > QT_BATCH_RAW_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("record is too large"),
				 errdetail("It has %zu bytes, at most %d are allowed.",
						   qt_batch_record_size(record), QT_BATCH_RAW_MAX)));
	if (buffers == NULL)
		init_buffers();
	lock_partition(topic, partition);
	buffer = find_buffer(topic, partition);

	fixed.timestamp = record->timestamp;
	fixed.key_len = record->key_len;
	fixed.value_len = record->value_len;
	fixed.header_count = record->header_count;
	fixed.headers_len = record->headers_len;
	bytes = sizeof(fixed) + Max(record->key_len, 0) + Max(record->value_len, 0) +
		record->headers_len;

	reserve(buffer, bytes);
	mark_level(buffer, level);
	to = buffer->data + buffer->len;
	append_part(&to, (char *) &fixed, sizeof(fixed));
	append_part(&to, record->key, record->key_len);
	append_part(&to, record->value, record->value_len);
	append_part(&to, record->headers, record->headers_len);
	buffer->len += bytes;
	total_bytes += bytes;

	if (total_bytes > (Size) qt_guc_deferred_buffer_size * 1024)
		limit_buffers(level);
}

/* ---- ends of transactions ---- */

static void
before_commit(void)
{
	if (buffers == NULL)
		return;
	state = DRAINING_AT_END;
	drain_all();
}

/* TopTransactionContext is about to go, and the buffers with it. */
static void
at_end(QtTransactionEnd end)
{
	context = NULL;
	buffers = NULL;
	total_bytes = 0;
	state = NOT_DRAINING;
}

static void
at_subcommit(int level)
{
	slist_iter	iter;

	if (buffers == NULL)
		return;
	slist_foreach(iter, &order)
	{
		PartitionBuffer *buffer = slist_container(PartitionBuffer, next, iter.cur);
		Mark	   *top;

		if (buffer->mark_count == 0)
			continue;
		top = &buffer->marks[buffer->mark_count - 1];
		if (top->level < level)
			continue;
		if (buffer->mark_count > 1 && top[-1].level == level - 1)
			buffer->mark_count--;
		else
			top->level = level - 1;
	}
}

static void
at_subabort(int level)
{
	slist_iter	iter;

	/* an early drain cannot go on after an error */
	if (state == DRAINING_EARLY)
		state = NOT_DRAINING;
	if (buffers == NULL)
		return;
	slist_foreach(iter, &order)
	{
		PartitionBuffer *buffer = slist_container(PartitionBuffer, next, iter.cur);

		while (buffer->mark_count > 0 &&
			   buffer->marks[buffer->mark_count - 1].level >= level)
		{
			Size		start = buffer->marks[--buffer->mark_count].start;

			total_bytes -= buffer->len - start;
			buffer->len = start;
		}
	}
}

/* ---- buffers ---- */

static void
init_buffers(void)
{
	HASHCTL		info = {0};
	MemoryContext new_context;

	qt_wakeup_add_hooks(&hooks);

	new_context = AllocSetContextCreate(TopTransactionContext, "qtopic deferred records",
										ALLOCSET_DEFAULT_SIZES);
	info.keysize = sizeof(BufferKey);
	info.entrysize = sizeof(PartitionBuffer);
	info.hcxt = new_context;
	buffers = hash_create("qtopic deferred buffers", 16, &info,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	context = new_context;
	slist_init(&order);
	total_bytes = 0;
}

static PartitionBuffer *
find_buffer(QtTopic *topic, int partition)
{
	BufferKey	key = {topic->id, partition, topic->parent};
	bool		found;
	PartitionBuffer *buffer = hash_search(buffers, &key, HASH_ENTER, &found);

	if (!found)
	{
		memset((char *) buffer + sizeof(key), 0, sizeof(*buffer) - sizeof(key));
		slist_push_head(&order, &buffer->next);
	}
	return buffer;
}

/* Keep drop_topic away until the end of the transaction. */
static void
lock_partition(QtTopic *topic, int number)
{
	do
	{
		QtPartition *partition;

		qt_topic_refresh(topic);
		partition = qt_topic_partition(topic, number);
		qt_append_lock(topic, partition->segments[partition->segment_count - 1].leaf);
	} while (!topic->valid);
}

/* Note that the records from here on belong to a nesting level. */
static void
mark_level(PartitionBuffer *buffer, int level)
{
	if (buffer->mark_count > 0 &&
		buffer->marks[buffer->mark_count - 1].level >= level)
		return;
	if (buffer->mark_count == buffer->mark_capacity)
	{
		int			capacity = Max(4, buffer->mark_capacity * 2);

		if (buffer->marks == NULL)
			buffer->marks = MemoryContextAlloc(context, capacity * sizeof(Mark));
		else
			buffer->marks = repalloc(buffer->marks, capacity * sizeof(Mark));
		buffer->mark_capacity = capacity;
	}
	buffer->marks[buffer->mark_count].level = level;
	buffer->marks[buffer->mark_count].start = buffer->len;
	buffer->mark_count++;
}

static void
reserve(PartitionBuffer *buffer, Size bytes)
{
	Size		capacity = Max(buffer->capacity, 8192);

	if (buffer->len + bytes <= buffer->capacity)
		return;
	while (capacity < buffer->len + bytes)
		capacity *= 2;
	if (buffer->data == NULL)
		buffer->data = MemoryContextAllocHuge(context, capacity);
	else
		buffer->data = repalloc_huge(buffer->data, capacity);
	buffer->capacity = capacity;
}

/*
 * The buffers are over their bound: append them early, if all they hold
 * belongs to the current level.  Rows carry the xid of the subtransaction that
 * inserts them, so records of an outer level would be lost with its ROLLBACK.
 */
static void
limit_buffers(int level)
{
	slist_iter	iter;

	slist_foreach(iter, &order)
	{
		PartitionBuffer *buffer = slist_container(PartitionBuffer, next, iter.cur);

		if (buffer->mark_count > 0 && buffer->marks[0].level < level)
		{
			if (total_bytes > (Size) qt_guc_deferred_buffer_size * 1024 * HARD_LIMIT_FACTOR)
				ereport(ERROR,
						(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						 errmsg("too many deferred records in subtransactions"),
						 errdetail("%zu bytes are buffered, and cannot be appended before the subtransaction ends.",
								   total_bytes),
						 errhint("Increase qtopic.deferred_buffer_size, or produce in immediate mode.")));
			return;
		}
	}

	state = DRAINING_EARLY;
	drain_all();
	state = NOT_DRAINING;
}

/* ---- draining ---- */

static void
drain_all(void)
{
	slist_iter	iter;

	/*
	 * Newest first, which is as good as any order; one partition at a time,
	 * and each only once, as nothing can be added meanwhile.
	 */
	slist_foreach(iter, &order)
	{
		PartitionBuffer *buffer = slist_container(PartitionBuffer, next, iter.cur);

		if (buffer->len > 0)
			drain(buffer);
		total_bytes -= buffer->len;
		buffer->len = 0;
		buffer->mark_count = 0;
	}
}

static void
drain(PartitionBuffer *buffer)
{
	QtTopic    *topic = qt_topic_lookup_id(buffer->key.topic_id, true);
	const char *from = buffer->data;
	const char *end = buffer->data + buffer->len;
	MemoryContext work;
	MemoryContext old;
	QtPacker	packer;

	/* dropped by this very transaction */
	if (topic == NULL || topic->parent != buffer->key.parent)
		return;

	work = AllocSetContextCreate(CurrentMemoryContext, "qtopic drain",
								 ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(work);
	qt_append_init_packer(&packer, topic);
	while (from < end)
	{
		BufferedRecord fixed;
		QtRecord	record;

		memcpy(&fixed, take_part(&from, sizeof(fixed)), sizeof(fixed));
		record.offset = 0;
		record.timestamp = fixed.timestamp;
		record.key_len = fixed.key_len;
		record.key = take_part(&from, fixed.key_len);
		record.value_len = fixed.value_len;
		record.value = take_part(&from, fixed.value_len);
		record.header_count = fixed.header_count;
		record.headers_len = fixed.headers_len;
		record.headers = take_part(&from, fixed.headers_len);
		qt_packer_add(&packer, &record);

		if (from == end)
			qt_packer_finish(&packer);
		if (packer.batch_count >= DRAIN_BATCHES || packer.batch_bytes >= DRAIN_BYTES ||
			from == end)
		{
			int64	   *base_offsets = palloc(sizeof(int64) * packer.batch_count);

			CHECK_FOR_INTERRUPTS();
			qt_append(topic, buffer->key.partition, &packer, base_offsets);
			qt_packer_reset(&packer);
			pfree(base_offsets);
		}
	}
	topic->packing_ratio = packer.ratio;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
}

static void
append_part(char **to, const char *from, int len)
{
	if (len <= 0)
		return;
	memcpy(*to, from, len);
	*to += len;
}

static const char *
take_part(const char **from, int len)
{
	const char *part = *from;

	if (len > 0)
		*from += len;
	return part;
}
