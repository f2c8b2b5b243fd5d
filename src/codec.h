/*
 * codec.h
 *		Compression codecs of a record batch: none, lz4 (frame), zstd.
 *
 * Pure: bytes in, bytes out.  The numbers are Kafka's, bits 0-2 of a batch's
 * attributes.  gzip and snappy have numbers but no code.
 */
#ifndef QTOPIC_CODEC_H
#define QTOPIC_CODEC_H

#include "lib/stringinfo.h"

typedef enum QtCodec
{
	QT_CODEC_NONE = 0,
	QT_CODEC_GZIP = 1,
	QT_CODEC_SNAPPY = 2,
	QT_CODEC_LZ4 = 3,
	QT_CODEC_ZSTD = 4
} QtCodec;

/* Level 0 is the library's default. */
#define QT_CODEC_LEVEL_DEFAULT	0

extern const char *qt_codec_name(int codec);

/* Largest number of bytes that compressing src_len bytes can yield. */
extern Size qt_codec_bound(QtCodec codec, Size src_len);

/*
 * Compress src into dst, which has room for qt_codec_bound() bytes; returns
 * the bytes written.  Contexts are kept for the life of the backend.  Throws
 * XX000 if the library fails.
 */
extern Size qt_codec_compress(QtCodec codec, int level,
							  const char *src, Size src_len,
							  char *dst, Size dst_capacity);

/*
 * Cut what qt_codec_compress() made of src in place, so that it decompresses to
 * the first `kept` bytes of src; returns its new size, or 0 if that cannot be
 * done without compressing again.
 */
extern Size qt_codec_cut(QtCodec codec, char *dst, Size dst_len,
						 const char *src, Size kept);

/*
 * Append the decompressed bytes of src to dst.  src is not trusted: never
 * writes more than max_len bytes, and grows dst only as output appears.
 * Returns NULL, or a constant English sentence saying what is wrong with src
 * (for an error detail; the caller knows which record batch it is).
 */
extern const char *qt_codec_decompress(int codec, const char *src, Size src_len,
									   StringInfo dst, Size max_len);

#endif							/* QTOPIC_CODEC_H */
