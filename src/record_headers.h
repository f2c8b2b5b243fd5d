/*
 * record_headers.h
 *		Headers of a record: jsonb to Kafka's encoding and back.
 *
 * In: an object {"name": "text" | null, ...} or an array of
 * {"key": name, "value": text | null} or {"key": name, "value_base64": text}.
 * Out: an object when that loses nothing (no name twice, every value valid
 * UTF-8 text or NULL), else the array.  Bytes are UTF-8 whatever the server's
 * encoding.
 */
#ifndef QTOPIC_RECORD_HEADERS_H
#define QTOPIC_RECORD_HEADERS_H

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#include "record_batch.h"

/*
 * Append the encoded headers (without their count) to dst, return the count.
 * Numbers and booleans are taken as their JSON text.  Anything else, and
 * base64 that does not decode, is 22023 with detail and hint.
 */
extern int	qt_headers_encode(Jsonb *headers, StringInfo dst);

/* NULL if the record has no headers.  22021 if a name is not valid UTF-8. */
extern Jsonb *qt_headers_decode(const QtRecord *record,
								const QtBatchSource *source);

#endif							/* QTOPIC_RECORD_HEADERS_H */
