/*
 * record_batch.h
 *		Kafka's record batch, magic 2: encoding and decoding.
 *
 * Pure: bytes in, bytes out; no catalog, no relation.  All integers of the
 * header are big-endian, all of a record zig-zag varints.
 *
 * A batch is built with base offset 0 and leader epoch 0, which the CRC does
 * not cover; the append path patches both when it knows them.
 */
#ifndef QTOPIC_RECORD_BATCH_H
#define QTOPIC_RECORD_BATCH_H

#include "lib/stringinfo.h"

#include "codec.h"

#define QT_BATCH_HEADER_SIZE	61
#define QT_BATCH_MAGIC			2

/* A record; pointers are into somebody else's memory. */
typedef struct QtRecord
{
	int64		offset;			/* ignored when encoding */
	int64		timestamp;		/* ms since 1970-01-01 UTC */
	const char *key;
	int			key_len;		/* -1: NULL */
	const char *value;
	int			value_len;		/* -1: NULL, a tombstone */
	int			header_count;
	const char *headers;		/* as encoded in the batch, without the count */
	int			headers_len;
} QtRecord;

/* A header of a record; pointers as above. */
typedef struct QtHeader
{
	const char *name;
	int			name_len;
	const char *value;
	int			value_len;		/* -1: NULL */
} QtHeader;

typedef struct QtBatchHeader
{
	int64		base_offset;
	int32		batch_length;	/* bytes after this field */
	int32		leader_epoch;
	int8		magic;
	uint32		crc;
	int16		attributes;
	int32		last_offset_delta;
	int64		base_timestamp;
	int64		max_timestamp;
	int64		producer_id;
	int16		producer_epoch;
	int32		base_sequence;
	int32		record_count;
} QtBatchHeader;

#define QT_BATCH_CODEC_MASK			0x07
#define QT_BATCH_LOG_APPEND_TIME	0x08
#define QT_BATCH_TRANSACTIONAL		0x10
#define QT_BATCH_CONTROL			0x20
#define QT_BATCH_DELETE_HORIZON		0x40

/*
 * Names a stored batch in error messages.  NULL instead of a source, or a
 * NULL topic, is a batch that is stored nowhere.
 */
typedef struct QtBatchSource
{
	const char *topic;
	int			partition;
	int64		last_offset;	/* the batch must have it; -1: any */
} QtBatchSource;

/*
 * For ereport() beside ERRCODE_DATA_CORRUPTED: the primary message about a
 * corrupt batch.  The caller adds a detail.
 */
extern int	qt_batch_errmsg_corrupt(const QtBatchSource *source);

/* ---- building ---- */

/*
 * A batch under construction: the raw records so far.  Reusable; memory is of
 * the context current at qt_batch_builder_init.
 */
typedef struct QtBatchBuilder
{
	StringInfoData raw;			/* records section, not compressed */
	int			record_count;
	int64		base_timestamp;
	int64		max_timestamp;
} QtBatchBuilder;

extern void qt_batch_builder_init(QtBatchBuilder *builder);
extern void qt_batch_builder_reset(QtBatchBuilder *builder);

/* Bytes that a record adds to the raw section at most, and at most 14 less. */
extern Size qt_batch_record_size(const QtRecord *record);

/*
 * Add a record.  The caller has checked that the raw section stays within
 * QT_BATCH_RAW_MAX (an Assert here).
 */
extern void qt_batch_add(QtBatchBuilder *builder, const QtRecord *record);

/*
 * Encode the first `count` records (all: builder->record_count) as a complete
 * batch, appended to dst; the builder is not changed.  With a codec, a raw
 * section shorter than QT_BATCH_COMPRESS_MIN, or one that does not become
 * smaller, is stored uncompressed.  Returns the size of the batch in bytes.
 */
#define QT_BATCH_COMPRESS_MIN	1024
extern Size qt_batch_encode(const QtBatchBuilder *builder, int count,
							QtCodec codec, int level, bool log_append_time,
							StringInfo dst);

/*
 * Cut a batch that was encoded from this builder down to its first `count`
 * records without compressing again.  Returns its new size, or 0 if it cannot
 * be done.
 */
extern Size qt_batch_cut(const QtBatchBuilder *builder, int count,
						 bool log_append_time, StringInfo batch);

/* How many records at the start of the builder fit raw_len bytes, uncompressed. */
extern int	qt_batch_prefix_count(const QtBatchBuilder *builder, Size raw_len);

/*
 * Move the records after the first `count` to the end of `rest`, another
 * builder.
 */
extern void qt_batch_split(QtBatchBuilder *builder, int count,
						   QtBatchBuilder *rest);

/* Overwrite base offset and leader epoch of an encoded batch, in place. */
extern void qt_batch_patch(char *batch, int64 base_offset, int32 leader_epoch);

/* ---- reading ---- */

/*
 * Decode the header.  Any bytes are safe: checks magic, lengths and counts
 * against len, and the last offset against source's.  Throws XX001 naming
 * topic, partition and offset.  The record count of a compressed batch is
 * only known to be below QT_BATCH_RAW_MAX / 7 until a reader is open on it.
 */
extern void qt_batch_header_decode(const char *data, Size len,
								   const QtBatchSource *source,
								   QtBatchHeader *header);

/*
 * As above for the first QT_BATCH_HEADER_SIZE bytes of a batch of total_len
 * bytes (a slice of a toasted value): the body is not looked at.
 */
extern void qt_batch_header_decode_slice(const char *data, Size len, Size total_len,
										 const QtBatchSource *source,
										 QtBatchHeader *header);

/* The highest timestamp, from the first QT_BATCH_HEADER_SIZE bytes. */
extern int64 qt_batch_max_timestamp(const char *header);

/*
 * Iterates over the records of a batch.  `data` and source's topic must stay
 * valid until the last record was used.  The decompression buffer is kept
 * between batches and belongs to the context current at qt_batch_reader_init.
 */
typedef struct QtBatchReader
{
	QtBatchHeader header;
	QtBatchSource source;
	StringInfoData raw;			/* decompression buffer */
	const char *pos;
	const char *end;
	int			next;			/* records handed out so far */
	int64		last_offset;	/* of the record handed out last, or base - 1 */
} QtBatchReader;

extern void qt_batch_reader_init(QtBatchReader *reader);

/*
 * Start on a batch: decode the header, check the CRC if asked, decompress
 * (never to more than QT_BATCH_RAW_MAX bytes).  Control batches and batches
 * with gzip or snappy are refused (0A000).  Throws XX001 on corrupt bytes.
 */
extern void qt_batch_reader_open(QtBatchReader *reader,
								 const char *data, Size len,
								 const QtBatchSource *source,
								 bool check_crc);

/*
 * Next record; false at the end.  The record's pointers are into the batch or
 * the reader's buffer, valid until the next qt_batch_reader_open.  Throws
 * XX001 if a record does not fit, offsets do not rise, the count is not what
 * the header says, or bytes are left over.  With LogAppendTime every record
 * has the batch's max_timestamp, as in Kafka.
 */
extern bool qt_batch_reader_next(QtBatchReader *reader, QtRecord *record);

/*
 * Parse the header of a record at pos; returns the position after it, or NULL
 * if it does not fit before end.  Those of a record that a reader handed out
 * always do, and fill its headers_len bytes exactly.
 */
extern const char *qt_header_parse(const char *pos, const char *end,
								   QtHeader *header);

#endif							/* QTOPIC_RECORD_BATCH_H */
