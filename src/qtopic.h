/*
 * qtopic.h
 *		Names, limits and SQLSTATEs that every file of qtopic may use.
 */
#ifndef QTOPIC_QTOPIC_H
#define QTOPIC_QTOPIC_H

#include "compat.h"

#define QT_EXTENSION_NAME		"qtopic"
#define QT_VERSION				"0.1"

/* Schemas that the extension script creates. */
#define QT_RELATION_SCHEMA		"qtopic"			/* one foreign table a topic */
#define QT_STORAGE_SCHEMA		"qtopic_internal"	/* catalog and storage */
#define QT_SERVER_NAME			"qtopic"			/* foreign server of the topics */
#define QT_WRAPPER_NAME			"qtopic"			/* and its foreign data wrapper */

/* Kafka's limit on topic names (bytes; the allowed characters are ASCII). */
#define QT_TOPIC_NAME_MAX		249

/* What one create_topic() or alter_topic() call may add. */
#define QT_PARTITIONS_PER_CALL_MAX	1000

/* Partitions of one topic. */
#define QT_PARTITIONS_MAX		10000

/*
 * Bounds of a record batch, in bytes.  The raw bound covers what a batch may
 * decompress to; it is checked before anything is allocated.
 */
#define QT_BATCH_BYTES_MAX		(128 * 1024 * 1024)
#define QT_BATCH_RAW_MAX		(256 * 1024 * 1024)

/* SQLSTATEs of class QT: only what a client must branch on. */
#define ERRCODE_QT_OFFSET_OUT_OF_RANGE		MAKE_SQLSTATE('Q','T','0','0','1')
#define ERRCODE_QT_FENCED_MEMBER			MAKE_SQLSTATE('Q','T','0','0','2')
#define ERRCODE_QT_REBALANCE_IN_PROGRESS	MAKE_SQLSTATE('Q','T','0','0','3')
#define ERRCODE_QT_UNKNOWN_MEMBER			MAKE_SQLSTATE('Q','T','0','0','4')

/* How the bytes of keys and values are shown and checked. */
typedef enum QtFormat
{
	QT_FORMAT_TEXT,
	QT_FORMAT_JSONB,
	QT_FORMAT_BYTEA
} QtFormat;

#endif							/* QTOPIC_QTOPIC_H */
