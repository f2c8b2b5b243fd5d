/*
 * api_rows.h
 *		Arguments and results that the reading functions have in common.
 */
#ifndef QTOPIC_API_ROWS_H
#define QTOPIC_API_ROWS_H

#include "fmgr.h"
#include "utils/tuplestore.h"

#include "record_row.h"

/* Where the records of a call go. */
typedef struct QtRows
{
	Tuplestorestate *store;
	TupleDesc	desc;
	QtFormat	key_format;
	QtFormat	value_format;
	MemoryContext row_context;
	bool		with_topic;		/* the first column is the topic's name */
} QtRows;

/*
 * Make the call return the rows that are added; max_records says how many
 * there may be.
 */
extern void qt_rows_begin(QtRows *rows, FunctionCallInfo fcinfo, QtFormat key_format,
						  QtFormat value_format, int64 max_records);

/* A QtRecordSink for a QtRows. */
extern void qt_rows_add(void *rows, const QtRecord *record, const QtBatchSource *source);

extern void qt_rows_end(QtRows *rows);

/* Arguments; all throw 22004 for NULL. */
extern void qt_argument_not_null(FunctionCallInfo fcinfo, int arg, const char *name);
extern char *qt_argument_text(FunctionCallInfo fcinfo, int arg, const char *name);

/* 22023 unless greater than zero. */
extern int64 qt_argument_positive(FunctionCallInfo fcinfo, int arg, const char *name);

/* An interval in ms, rounded up; 22023 if negative. */
extern int64 qt_argument_ms(FunctionCallInfo fcinfo, int arg, const char *name);

#endif							/* QTOPIC_API_ROWS_H */
