/*
 * record_row.h
 *		A record as SQL values, and SQL values as a record.
 */
#ifndef QTOPIC_RECORD_ROW_H
#define QTOPIC_RECORD_ROW_H

#include "datatype/timestamp.h"

#include "qtopic.h"
#include "record_batch.h"

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

/*
 * Fill the columns; memory is of the current context.  A key or value that
 * does not decode is 22021 (text) or 22P02 (jsonb), naming topic, partition
 * and offset.
 */
extern void qt_record_to_row(const QtRecord *record, const QtBatchSource *source,
							 QtFormat key_format, QtFormat value_format,
							 Datum *values, bool *nulls);

/* Milliseconds since 1970, truncated; 22008 for infinity. */
extern int64 qt_timestamp_to_ms(TimestampTz timestamp);

extern TimestampTz qt_timestamp_from_ms(int64 ms);

#endif							/* QTOPIC_RECORD_ROW_H */
