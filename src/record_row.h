/*
 * record_row.h
 *		A record as SQL values, and SQL values as a record.
 */
#ifndef QTOPIC_RECORD_ROW_H
#define QTOPIC_RECORD_ROW_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

#include "qtopic.h"
#include "record_batch.h"
#include "topic_cache.h"

/* Columns of every relation or function that shows records. */
enum
{
	QT_COLUMN_PARTITION,
	QT_COLUMN_OFFSET,
	QT_COLUMN_TIMESTAMP,
	QT_COLUMN_KEY,
	QT_COLUMN_VALUE,
	QT_COLUMN_HEADERS,
	QT_RECORD_COLUMNS
};

#define QT_ALL_COLUMNS	((1 << QT_RECORD_COLUMNS) - 1)

/*
 * Fill the columns whose bits are set in needed, and make the others NULL;
 * memory is of the current context.  A key or value that
 * does not decode is 22021 (text) or 22P02 (jsonb), naming topic, partition
 * and offset.
 */
extern void qt_record_to_row(const QtRecord *record, const QtBatchSource *source,
							 QtFormat key_format, QtFormat value_format,
							 int needed, Datum *values, bool *nulls);

/*
 * Set the key, value or headers of a record; types are not domains but what is
 * below them.  The record points into the datum
 * or into memory of the current context.  42804 for a type that is not
 * supported or does not fit the topic's format; 22P02 if a value of a jsonb
 * topic is not valid; 22023 for bad headers.
 */
extern void qt_record_set_key(QtRecord *record, const QtTopic *topic, Datum key, Oid type);
extern void qt_record_set_value(QtRecord *record, const QtTopic *topic, Datum value, Oid type);
extern void qt_record_set_headers(QtRecord *record, Jsonb *headers);

/*
 * The timestamp of a record: the one given, or now.  22023 if the topic's
 * configuration does not allow it.
 */
extern int64 qt_record_timestamp(const QtTopic *topic, bool given, TimestampTz time,
								 TimestampTz now);

/* Milliseconds since 1970, truncated; 22008 for infinity. */
extern int64 qt_timestamp_to_ms(TimestampTz timestamp);

/*
 * The first millisecond not before a time; the lowest or highest number for
 * infinity.
 */
extern int64 qt_timestamp_to_ms_up(TimestampTz timestamp);

/* A time that SQL cannot show is infinity. */
extern TimestampTz qt_timestamp_from_ms(int64 ms);

/* The first ms that is shown as infinity, or the last one as -infinity. */
extern int64 qt_timestamp_edge_ms(bool end);

#endif							/* QTOPIC_RECORD_ROW_H */
