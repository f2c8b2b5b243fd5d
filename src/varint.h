/*
 * varint.h
 *		Kafka's variable-length integers: zig-zag, seven bits a byte, the
 *		lowest bits first.
 *
 * Pure, and inline because every record has at least six of them.  Writing
 * trusts that there is room, reading trusts nothing.
 */
#ifndef QTOPIC_VARINT_H
#define QTOPIC_VARINT_H

#include "port/pg_bitutils.h"

/* Bytes of the longest encodings. */
#define QT_VARINT_MAX	5
#define QT_VARLONG_MAX	10

static inline uint64
qt_zigzag_encode(int64 value)
{
	return ((uint64) value << 1) ^ (uint64) (value >> 63);
}

static inline int64
qt_zigzag_decode(uint64 value)
{
	return (int64) ((value >> 1) ^ (0 - (value & 1)));
}

/*
 * Bytes of an encoded value, 32 or 64 bits alike: a zig-zag code does not
 * depend on the width.  The multiplication divides by seven, rounding up.
 */
static inline int
qt_varint_size(int64 value)
{
	return (pg_leftmost_one_pos64(qt_zigzag_encode(value) | 1) * 9 + 73) / 64;
}

/* Write a value; returns the position after it. */
static inline char *
qt_varint_write(char *pos, int64 value)
{
	uint64		rest = qt_zigzag_encode(value);

	while (rest >= 0x80)
	{
		*pos++ = (char) (rest | 0x80);
		rest >>= 7;
	}
	*pos++ = (char) rest;
	return pos;
}

/*
 * Read an unsigned code of at most `bits` bits that lies before `end`.
 * Returns the position after it, or NULL if it is cut off or too large.
 * Codes that are longer than needed are accepted, as Kafka accepts them.
 */
static inline const char *
qt_varint_read_raw(const char *pos, const char *end, int bits, uint64 *raw)
{
	uint64		result = 0;
	int			shift;

	for (shift = 0; shift < bits; shift += 7)
	{
		uint8		byte;

		if (unlikely(pos >= end))
			return NULL;
		byte = (uint8) *pos++;
		if (shift + 7 > bits && (byte >> (bits - shift)) != 0)
			return NULL;
		result |= (uint64) (byte & 0x7f) << shift;
		if (likely(byte < 0x80))
		{
			*raw = result;
			return pos;
		}
	}
	return NULL;
}

static inline const char *
qt_varint_read(const char *pos, const char *end, int32 *value)
{
	uint64		raw;

	pos = qt_varint_read_raw(pos, end, 32, &raw);
	if (likely(pos != NULL))
		*value = (int32) qt_zigzag_decode(raw);
	return pos;
}

static inline const char *
qt_varlong_read(const char *pos, const char *end, int64 *value)
{
	uint64		raw;

	pos = qt_varint_read_raw(pos, end, 64, &raw);
	if (likely(pos != NULL))
		*value = qt_zigzag_decode(raw);
	return pos;
}

#endif							/* QTOPIC_VARINT_H */
