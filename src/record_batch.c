/*
 * record_batch.c
 *		Kafka's record batch, magic 2: encoding and decoding.
 *
 * The header is 61 bytes, big-endian:
 *
 *		 0	base offset				8
 *		 8	batch length			4	bytes after this field
 *		12	partition leader epoch	4
 *		16	magic					1	2
 *		17	CRC-32C					4	of everything from byte 21 on
 *		21	attributes				2
 *		23	last offset delta		4
 *		27	base timestamp			8
 *		35	max timestamp			8
 *		43	producer id				8	-1: not idempotent
 *		51	producer epoch			2
 *		53	base sequence			4
 *		57	record count			4
 *
 * Then come the records, together compressed if the attributes say so.  A
 * record is varints and bytes: its length, a byte of attributes (no bit has a
 * meaning), the timestamp and offset relative to the header's, key and value
 * with their lengths, and the headers with their count.
 *
 * What is read may come from outside, through Kafka's protocol or a damaged
 * disk.  So every length is compared with the bytes that are there before it
 * is used, also when the CRC was found right.
 */
#include "postgres.h"

#include "port/pg_bswap.h"
#include "port/pg_crc32c.h"

#include "qtopic.h"
#include "record_batch.h"
#include "varint.h"

/* Places in the header, see above. */
#define BASE_OFFSET_AT			0
#define BATCH_LENGTH_AT			8
#define LEADER_EPOCH_AT			12
#define MAGIC_AT				16
#define CRC_AT					17
#define ATTRIBUTES_AT			21
#define LAST_OFFSET_DELTA_AT	23
#define BASE_TIMESTAMP_AT		27
#define MAX_TIMESTAMP_AT		35
#define PRODUCER_ID_AT			43
#define PRODUCER_EPOCH_AT		51
#define BASE_SEQUENCE_AT		53
#define RECORD_COUNT_AT			57

StaticAssertDecl(RECORD_COUNT_AT + sizeof(int32) == QT_BATCH_HEADER_SIZE,
				 "header of a record batch has 61 bytes");

/* What the batch length does not count. */
#define BATCH_OVERHEAD			(BATCH_LENGTH_AT + (int) sizeof(int32))

/* A record without key, value and headers: seven fields of a byte. */
#define RECORD_SIZE_MIN			7

static Size body_size(const QtRecord *record, int64 timestamp_delta,
					  int offset_delta);
static Size encode_records(QtCodec codec, int level, const char *raw,
						   Size raw_len, StringInfo dst);
static void finish_batch(char *batch, const QtBatchBuilder *builder, int count,
						 int64 max_timestamp, QtCodec codec,
						 bool log_append_time, Size body);
static void encode_header(char *batch, const QtBatchHeader *header);
static Size measure_prefix(const QtBatchBuilder *builder, int count,
						   int64 *max_timestamp);
static void check_header(const QtBatchHeader *header, Size total_len,
						 const QtBatchSource *source);
static void check_readable(const QtBatchHeader *header,
						   const QtBatchSource *source);
static uint32 batch_crc(const char *batch, Size len);
static const char *parse_record(const char **pos, const char *end,
								QtRecord *record);
static const char *parse_record_body(const char *pos, const char *end,
									 QtRecord *record);
static bool headers_fit(const char *pos, const char *end, int count);
static int	errdetail_source(const QtBatchSource *source);

static inline void
put16(char *to, int16 value)
{
	uint16		big_endian = pg_hton16((uint16) value);

	memcpy(to, &big_endian, sizeof(big_endian));
}

static inline void
put32(char *to, int32 value)
{
	uint32		big_endian = pg_hton32((uint32) value);

	memcpy(to, &big_endian, sizeof(big_endian));
}

static inline void
put64(char *to, int64 value)
{
	uint64		big_endian = pg_hton64((uint64) value);

	memcpy(to, &big_endian, sizeof(big_endian));
}

static inline int16
get16(const char *from)
{
	uint16		big_endian;

	memcpy(&big_endian, from, sizeof(big_endian));
	return (int16) pg_ntoh16(big_endian);
}

static inline int32
get32(const char *from)
{
	uint32		big_endian;

	memcpy(&big_endian, from, sizeof(big_endian));
	return (int32) pg_ntoh32(big_endian);
}

static inline int64
get64(const char *from)
{
	uint64		big_endian;

	memcpy(&big_endian, from, sizeof(big_endian));
	return (int64) pg_ntoh64(big_endian);
}

/*
 * Sum and difference of timestamps wrap around, as Java's do: the delta may
 * be any number when a producer sets wild times.
 */
static inline int64
add_wrapping(int64 a, int64 b)
{
	return (int64) ((uint64) a + (uint64) b);
}

static inline int64
subtract_wrapping(int64 a, int64 b)
{
	return (int64) ((uint64) a - (uint64) b);
}

/* A length or -1, then the bytes. */
static inline char *
put_bytes(char *pos, const char *bytes, int len)
{
	pos = qt_varint_write(pos, len);
	if (len > 0)
	{
		memcpy(pos, bytes, len);
		pos += len;
	}
	return pos;
}

void
qt_batch_builder_init(QtBatchBuilder *builder)
{
	initStringInfo(&builder->raw);
	qt_batch_builder_reset(builder);
}

void
qt_batch_builder_reset(QtBatchBuilder *builder)
{
	resetStringInfo(&builder->raw);
	builder->record_count = 0;
	builder->base_timestamp = 0;
	builder->max_timestamp = 0;
}

Size
qt_batch_record_size(const QtRecord *record)
{
	Size		body = body_size(record, PG_INT64_MIN, PG_INT32_MAX);

	return qt_varint_size(body) + body;
}

void
qt_batch_add(QtBatchBuilder *builder, const QtRecord *record)
{
	int			offset_delta = builder->record_count;
	int64		timestamp_delta;
	Size		body;
	char	   *pos;

	if (offset_delta == 0)
	{
		builder->base_timestamp = record->timestamp;
		builder->max_timestamp = record->timestamp;
	}
	else if (record->timestamp > builder->max_timestamp)
		builder->max_timestamp = record->timestamp;
	timestamp_delta = subtract_wrapping(record->timestamp,
										builder->base_timestamp);

	body = body_size(record, timestamp_delta, offset_delta);
	Assert(builder->raw.len + body + QT_VARINT_MAX <= QT_BATCH_RAW_MAX);
	enlargeStringInfo(&builder->raw, body + QT_VARINT_MAX);

	pos = builder->raw.data + builder->raw.len;
	pos = qt_varint_write(pos, body);
	*pos++ = 0;					/* attributes */
	pos = qt_varint_write(pos, timestamp_delta);
	pos = qt_varint_write(pos, offset_delta);
	pos = put_bytes(pos, record->key, record->key_len);
	pos = put_bytes(pos, record->value, record->value_len);
	pos = qt_varint_write(pos, record->header_count);
	if (record->header_count > 0)
	{
		memcpy(pos, record->headers, record->headers_len);
		pos += record->headers_len;
	}
	builder->raw.len = pos - builder->raw.data;
	builder->record_count++;
}

/* Bytes of a record after its length. */
static Size
body_size(const QtRecord *record, int64 timestamp_delta, int offset_delta)
{
	return 1 + qt_varint_size(timestamp_delta) + qt_varint_size(offset_delta) +
		qt_varint_size(record->key_len) + (Size) Max(record->key_len, 0) +
		qt_varint_size(record->value_len) + (Size) Max(record->value_len, 0) +
		qt_varint_size(record->header_count) +
		(record->header_count > 0 ? (Size) record->headers_len : 0);
}

int
qt_batch_prefix_count(const QtBatchBuilder *builder, Size raw_len)
{
	const char *pos = builder->raw.data;
	const char *end = pos + builder->raw.len;
	const char *limit = pos + Min(raw_len, (Size) builder->raw.len);
	int			count = 0;

	while (pos < end)
	{
		int32		body = 0;

		pos = qt_varint_read(pos, end, &body);
		if (body > limit - pos)
			break;
		pos += body;
		count++;
	}
	return count;
}

void
qt_batch_split(QtBatchBuilder *builder, int count, QtBatchBuilder *rest)
{
	const char *pos;
	const char *end = builder->raw.data + builder->raw.len;
	int64		max_timestamp;
	Size		kept;

	Assert(count > 0 && count <= builder->record_count);

	kept = measure_prefix(builder, count, &max_timestamp);
	pos = builder->raw.data + kept;
	while (pos < end)
	{
		QtRecord	record;

		if (parse_record(&pos, end, &record) != NULL)
			elog(ERROR, "record batch under construction is corrupt");
		record.timestamp = add_wrapping(builder->base_timestamp,
										record.timestamp);
		qt_batch_add(rest, &record);
	}

	builder->raw.len = kept;
	builder->record_count = count;
	builder->max_timestamp = max_timestamp;
}

Size
qt_batch_encode(const QtBatchBuilder *builder, int count, QtCodec codec,
				int level, bool log_append_time, StringInfo dst)
{
	int64		max_timestamp = builder->max_timestamp;
	Size		raw_len = builder->raw.len;
	int			start = dst->len;
	Size		body;

	Assert(count > 0 && count <= builder->record_count);

	if (count < builder->record_count)
		raw_len = measure_prefix(builder, count, &max_timestamp);

	/* the records first, since it is they that may not compress */
	enlargeStringInfo(dst, QT_BATCH_HEADER_SIZE);
	dst->len += QT_BATCH_HEADER_SIZE;
	body = encode_records(codec, level, builder->raw.data, raw_len, dst);
	if (body == raw_len)
		codec = QT_CODEC_NONE;
	finish_batch(dst->data + start, builder, count, max_timestamp, codec,
				 log_append_time, body);
	return QT_BATCH_HEADER_SIZE + body;
}

Size
qt_batch_cut(const QtBatchBuilder *builder, int count, bool log_append_time,
			 StringInfo batch)
{
	int			codec = get16(batch->data + ATTRIBUTES_AT) & QT_BATCH_CODEC_MASK;
	int64		max_timestamp;
	Size		raw_len = measure_prefix(builder, count, &max_timestamp);
	Size		body = 0;

	if (raw_len >= QT_BATCH_COMPRESS_MIN)
		body = qt_codec_cut(codec, batch->data + QT_BATCH_HEADER_SIZE,
							batch->len - QT_BATCH_HEADER_SIZE, builder->raw.data, raw_len);
	if (body == 0 || body >= raw_len)
		return 0;
	batch->len = QT_BATCH_HEADER_SIZE + body;
	finish_batch(batch->data, builder, count, max_timestamp, codec, log_append_time, body);
	return batch->len;
}

/* Write header and CRC of a batch whose records are there, `body` bytes. */
static void
finish_batch(char *batch, const QtBatchBuilder *builder, int count,
			 int64 max_timestamp, QtCodec codec, bool log_append_time, Size body)
{
	QtBatchHeader header;

	header.max_timestamp = max_timestamp;
	header.base_offset = 0;
	header.batch_length = QT_BATCH_HEADER_SIZE - BATCH_OVERHEAD + body;
	header.leader_epoch = 0;
	header.magic = QT_BATCH_MAGIC;
	header.attributes = codec;
	if (log_append_time)
		header.attributes |= QT_BATCH_LOG_APPEND_TIME;
	header.last_offset_delta = count - 1;
	header.base_timestamp = builder->base_timestamp;
	header.producer_id = -1;
	header.producer_epoch = -1;
	header.base_sequence = -1;
	header.record_count = count;
	encode_header(batch, &header);
	put32(batch + CRC_AT, batch_crc(batch, QT_BATCH_HEADER_SIZE + body));
}

/*
 * Append the records to dst, compressed if that makes them smaller; returns
 * their size, which is raw_len if and only if they are not compressed.
 */
static Size
encode_records(QtCodec codec, int level, const char *raw, Size raw_len,
			   StringInfo dst)
{
	if (codec != QT_CODEC_NONE && raw_len >= QT_BATCH_COMPRESS_MIN)
	{
		Size		bound = qt_codec_bound(codec, raw_len);
		Size		compressed;

		enlargeStringInfo(dst, bound);
		compressed = qt_codec_compress(codec, level, raw, raw_len,
									   dst->data + dst->len, bound);
		if (compressed < raw_len)
		{
			dst->len += compressed;
			dst->data[dst->len] = '\0';
			return compressed;
		}
	}

	appendBinaryStringInfo(dst, raw, raw_len);
	return raw_len;
}

/* Write everything but the CRC. */
static void
encode_header(char *batch, const QtBatchHeader *header)
{
	put64(batch + BASE_OFFSET_AT, header->base_offset);
	put32(batch + BATCH_LENGTH_AT, header->batch_length);
	put32(batch + LEADER_EPOCH_AT, header->leader_epoch);
	batch[MAGIC_AT] = header->magic;
	put16(batch + ATTRIBUTES_AT, header->attributes);
	put32(batch + LAST_OFFSET_DELTA_AT, header->last_offset_delta);
	put64(batch + BASE_TIMESTAMP_AT, header->base_timestamp);
	put64(batch + MAX_TIMESTAMP_AT, header->max_timestamp);
	put64(batch + PRODUCER_ID_AT, header->producer_id);
	put16(batch + PRODUCER_EPOCH_AT, header->producer_epoch);
	put32(batch + BASE_SEQUENCE_AT, header->base_sequence);
	put32(batch + RECORD_COUNT_AT, header->record_count);
}

/* Raw bytes and highest timestamp of the first `count` records. */
static Size
measure_prefix(const QtBatchBuilder *builder, int count, int64 *max_timestamp)
{
	const char *pos = builder->raw.data;
	const char *end = pos + builder->raw.len;
	int			i;

	*max_timestamp = builder->base_timestamp;
	for (i = 0; i < count; i++)
	{
		int32		body = 0;
		int64		delta = 0;
		int64		timestamp;

		pos = qt_varint_read(pos, end, &body);
		qt_varlong_read(pos + 1, end, &delta);	/* after the attributes */
		timestamp = add_wrapping(builder->base_timestamp, delta);
		*max_timestamp = Max(*max_timestamp, timestamp);
		pos += body;
	}
	return pos - builder->raw.data;
}

void
qt_batch_patch(char *batch, int64 base_offset, int32 leader_epoch)
{
	put64(batch + BASE_OFFSET_AT, base_offset);
	put32(batch + LEADER_EPOCH_AT, leader_epoch);
}

int64
qt_batch_max_timestamp(const char *header)
{
	return get64(header + MAX_TIMESTAMP_AT);
}

void
qt_batch_header_decode(const char *data, Size len,
					   const QtBatchSource *source, QtBatchHeader *header)
{
	qt_batch_header_decode_slice(data, len, len, source, header);
}

void
qt_batch_header_decode_slice(const char *data, Size len, Size total_len,
							 const QtBatchSource *source,
							 QtBatchHeader *header)
{
	Assert(len <= total_len);

	if (len < QT_BATCH_HEADER_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 qt_batch_errmsg_corrupt(source),
				 errdetail("Its size is %zu, and its header alone takes %d bytes.",
						   total_len, QT_BATCH_HEADER_SIZE)));

	header->base_offset = get64(data + BASE_OFFSET_AT);
	header->batch_length = get32(data + BATCH_LENGTH_AT);
	header->leader_epoch = get32(data + LEADER_EPOCH_AT);
	header->magic = (int8) data[MAGIC_AT];
	header->crc = (uint32) get32(data + CRC_AT);
	header->attributes = get16(data + ATTRIBUTES_AT);
	header->last_offset_delta = get32(data + LAST_OFFSET_DELTA_AT);
	header->base_timestamp = get64(data + BASE_TIMESTAMP_AT);
	header->max_timestamp = get64(data + MAX_TIMESTAMP_AT);
	header->producer_id = get64(data + PRODUCER_ID_AT);
	header->producer_epoch = get16(data + PRODUCER_EPOCH_AT);
	header->base_sequence = get32(data + BASE_SEQUENCE_AT);
	header->record_count = get32(data + RECORD_COUNT_AT);

	check_header(header, total_len, source);
}

/*
 * Check the fields against each other and against the size of the batch, so
 * that the caller may compute with them.
 */
static void
check_header(const QtBatchHeader *header, Size total_len,
			 const QtBatchSource *source)
{
	int			codec = header->attributes & QT_BATCH_CODEC_MASK;
	Size		records_max;

	if (header->magic != QT_BATCH_MAGIC)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 qt_batch_errmsg_corrupt(source),
				 errdetail("Its magic is %d, not %d.",
						   header->magic, QT_BATCH_MAGIC)));
	if (header->batch_length < 0 ||
		(Size) header->batch_length + BATCH_OVERHEAD != total_len)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 qt_batch_errmsg_corrupt(source),
				 errdetail("Its length field says %lld bytes, but its size is %zu.",
						   (long long) header->batch_length + BATCH_OVERHEAD,
						   total_len)));
	if (qt_codec_name(codec) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 qt_batch_errmsg_corrupt(source),
				 errdetail("Its compression codec is %d.", codec)));
	if (header->base_offset < 0 || header->last_offset_delta < 0 ||
		header->base_offset >= PG_INT64_MAX - header->last_offset_delta)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 qt_batch_errmsg_corrupt(source),
				 errdetail("Its base offset is %lld and its last offset delta %d.",
						   (long long) header->base_offset,
						   header->last_offset_delta)));

	/* Compaction leaves fewer records than offsets, never more. */
	records_max = codec == QT_CODEC_NONE ? total_len - QT_BATCH_HEADER_SIZE :
		QT_BATCH_RAW_MAX;
	records_max = Min(records_max / RECORD_SIZE_MIN,
					  (Size) header->last_offset_delta + 1);
	if (header->record_count < 0 || (Size) header->record_count > records_max)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 qt_batch_errmsg_corrupt(source),
				 errdetail("Its record count is %d, but at most %zu fit.",
						   header->record_count, records_max)));

	if (source != NULL && source->last_offset >= 0 &&
		header->base_offset + header->last_offset_delta != source->last_offset)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 qt_batch_errmsg_corrupt(source),
				 errdetail("Its last offset is %lld.",
						   (long long) header->base_offset +
						   header->last_offset_delta)));
}

void
qt_batch_reader_init(QtBatchReader *reader)
{
	memset(reader, 0, sizeof(*reader));
	initStringInfo(&reader->raw);
}

void
qt_batch_reader_open(QtBatchReader *reader, const char *data, Size len,
					 const QtBatchSource *source, bool check_crc)
{
	QtBatchHeader header;
	int			codec;

	/* If this fails, the reader is at its end. */
	reader->header.record_count = 0;
	reader->next = 0;
	reader->pos = reader->end = NULL;
	reader->source.topic = NULL;
	reader->source.last_offset = -1;
	if (source != NULL)
		reader->source = *source;

	qt_batch_header_decode(data, len, source, &header);
	if (check_crc && batch_crc(data, len) != header.crc)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 qt_batch_errmsg_corrupt(source),
				 errdetail("Its CRC-32C is %08x, but its bytes have %08x.",
						   header.crc, batch_crc(data, len))));
	check_readable(&header, source);

	codec = header.attributes & QT_BATCH_CODEC_MASK;
	data += QT_BATCH_HEADER_SIZE;
	len -= QT_BATCH_HEADER_SIZE;
	if (codec != QT_CODEC_NONE)
	{
		const char *error;

		resetStringInfo(&reader->raw);
		error = qt_codec_decompress(codec, data, len, &reader->raw,
									QT_BATCH_RAW_MAX);
		if (error != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 qt_batch_errmsg_corrupt(source),
					 errdetail("%s", error)));
		data = reader->raw.data;
		len = reader->raw.len;
	}
	if ((Size) header.record_count > len / RECORD_SIZE_MIN)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 qt_batch_errmsg_corrupt(source),
				 errdetail("Its record count is %d, but at most %zu fit.",
						   header.record_count, len / RECORD_SIZE_MIN)));

	reader->header = header;
	reader->pos = data;
	reader->end = data + len;
	reader->last_offset = header.base_offset - 1;
}

/* Refuse what is valid, but nothing that qtopic has code for. */
static void
check_readable(const QtBatchHeader *header, const QtBatchSource *source)
{
	int			codec = header->attributes & QT_BATCH_CODEC_MASK;

	if (header->attributes & QT_BATCH_CONTROL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("control batches are not supported"),
				 errdetail_source(source)));
	if (codec == QT_CODEC_GZIP || codec == QT_CODEC_SNAPPY)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("compression codec \"%s\" is not supported",
						qt_codec_name(codec)),
				 errdetail_source(source)));
}

bool
qt_batch_reader_next(QtBatchReader *reader, QtRecord *record)
{
	const QtBatchHeader *header = &reader->header;
	const char *error;
	int64		previous_delta;

	if (reader->next >= header->record_count)
	{
		if (reader->pos != reader->end)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 qt_batch_errmsg_corrupt(&reader->source),
					 errdetail("Bytes after its last record: %zu.",
							   (Size) (reader->end - reader->pos))));
		return false;
	}

	error = parse_record(&reader->pos, reader->end, record);
	if (unlikely(error != NULL))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 qt_batch_errmsg_corrupt(&reader->source),
				 errdetail("Record %d of %d has %s.",
						   reader->next + 1, header->record_count, error)));

	/* parse_record left the deltas, and compared so nothing can overflow */
	previous_delta = reader->last_offset - header->base_offset;
	if (unlikely(record->offset <= previous_delta ||
				 record->offset > header->last_offset_delta))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 qt_batch_errmsg_corrupt(&reader->source),
				 errdetail("Record %d of %d has offset delta %d, but must have one from %d to %d.",
						   reader->next + 1, header->record_count,
						   (int) record->offset, (int) previous_delta + 1,
						   header->last_offset_delta)));

	record->offset += header->base_offset;
	if (header->attributes & QT_BATCH_LOG_APPEND_TIME)
		record->timestamp = header->max_timestamp;
	else
		record->timestamp = add_wrapping(header->base_timestamp,
										 record->timestamp);
	reader->last_offset = record->offset;
	reader->next++;
	return true;
}

static uint32
batch_crc(const char *batch, Size len)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, batch + ATTRIBUTES_AT, len - ATTRIBUTES_AT);
	FIN_CRC32C(crc);
	return crc;
}

/*
 * Parse the record at *pos and move *pos behind it.  The record gets the
 * deltas of offset and timestamp.  Returns NULL, or what is wrong with it, to
 * go on after "Record 1 of 2 has".
 */
static const char *
parse_record(const char **pos, const char *end, QtRecord *record)
{
	const char *body;
	int32		body_len;

	body = qt_varint_read(*pos, end, &body_len);
	if (body == NULL || body_len < 0 || body_len > end - body)
		return "a length that does not fit into the batch";
	*pos = body + body_len;
	return parse_record_body(body, body + body_len, record);
}

static inline const char *
parse_record_body(const char *pos, const char *end, QtRecord *record)
{
	int32		offset_delta;

	if (pos >= end)
		return "no attributes";
	pos++;						/* attributes */

	pos = qt_varlong_read(pos, end, &record->timestamp);
	if (pos == NULL)
		return "an invalid timestamp delta";
	pos = qt_varint_read(pos, end, &offset_delta);
	if (pos == NULL)
		return "an invalid offset delta";
	record->offset = offset_delta;

	pos = qt_varint_read(pos, end, &record->key_len);
	if (pos == NULL || record->key_len < -1 || record->key_len > end - pos)
		return "a key length that does not fit into it";
	record->key = record->key_len >= 0 ? pos : NULL;
	pos += Max(record->key_len, 0);

	pos = qt_varint_read(pos, end, &record->value_len);
	if (pos == NULL || record->value_len < -1 || record->value_len > end - pos)
		return "a value length that does not fit into it";
	record->value = record->value_len >= 0 ? pos : NULL;
	pos += Max(record->value_len, 0);

	pos = qt_varint_read(pos, end, &record->header_count);
	if (pos == NULL || record->header_count < 0)
		return "an invalid header count";
	record->headers = pos;
	record->headers_len = end - pos;
	if (!headers_fit(pos, end, record->header_count))
		return "headers that do not fill the rest of it";
	return NULL;
}

/* Do `count` headers take exactly the bytes from pos to end? */
static inline bool
headers_fit(const char *pos, const char *end, int count)
{
	for (; count > 0; count--)
	{
		QtHeader	header;

		pos = qt_header_parse(pos, end, &header);
		if (pos == NULL)
			return false;
	}
	return pos == end;
}

const char *
qt_header_parse(const char *pos, const char *end, QtHeader *header)
{
	pos = qt_varint_read(pos, end, &header->name_len);
	if (pos == NULL || header->name_len < 0 || header->name_len > end - pos)
		return NULL;
	header->name = pos;
	pos += header->name_len;

	pos = qt_varint_read(pos, end, &header->value_len);
	if (pos == NULL || header->value_len < -1 || header->value_len > end - pos)
		return NULL;
	header->value = header->value_len >= 0 ? pos : NULL;
	return pos + Max(header->value_len, 0);
}

int
qt_batch_errmsg_corrupt(const QtBatchSource *source)
{
	if (source == NULL || source->topic == NULL)
		return errmsg("record batch is corrupt");
	if (source->last_offset < 0)
		return errmsg("record batch in topic \"%s\", partition %d is corrupt",
					  source->topic, source->partition);
	return errmsg("record batch in topic \"%s\", partition %d, offset %lld is corrupt",
				  source->topic, source->partition,
				  (long long) source->last_offset);
}

/* Where a batch is that is not corrupt; nothing if that is not known. */
static int
errdetail_source(const QtBatchSource *source)
{
	if (source == NULL || source->topic == NULL)
		return 0;
	if (source->last_offset < 0)
		return errdetail("The record batch is in topic \"%s\", partition %d.",
						 source->topic, source->partition);
	return errdetail("The record batch is in topic \"%s\", partition %d, and ends at offset %lld.",
					 source->topic, source->partition,
					 (long long) source->last_offset);
}
