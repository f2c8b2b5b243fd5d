/*
 * codec.c
 *		Compression codecs of a record batch: none, lz4 (frame), zstd.
 *
 * The libraries' contexts are kept for the life of the backend, since making
 * one costs more than compressing a batch.  An error may leave a context in
 * the middle of a frame; so each use begins by resetting it, and nothing is
 * palloc'd between a call that the library counts as the start of a frame and
 * the point where it no longer matters.  Contexts live in malloc'd memory of
 * the libraries; those that a large batch has inflated are given back.
 *
 * Decompression trusts no size of the input: the output buffer grows only
 * after the room it had was filled.
 */
#include "postgres.h"

#include <lz4frame.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "port/pg_bswap.h"

#include "codec.h"

/*
 * Room that decompression starts with.  With a whole block of the default
 * size free, liblz4 decodes straight into the output.
 */
#define ROOM_MIN				(64 * 1024)

/* A zstd context larger than this is not kept. */
#define ZSTD_KEPT_CONTEXT_MAX	(8 * 1024 * 1024)

/*
 * An lz4 frame as we write it: header, then for each block its size and its
 * bytes, then an end mark.
 */
#define LZ4_BLOCK_AT			11
#define LZ4_END_MARK			4

/* No match may end in so many last bytes of a block. */
#define LZ4_MARGIN				12

#define LZ4_MATCH_MIN			4

#ifdef WORDS_BIGENDIAN
#define lz4_uint32(value)		pg_bswap32(value)
#else
#define lz4_uint32(value)		(value)
#endif

static LZ4F_cctx *lz4_cctx = NULL;
static LZ4F_dctx *lz4_dctx = NULL;
static ZSTD_CCtx *zstd_cctx = NULL;
static ZSTD_DCtx *zstd_dctx = NULL;

static LZ4F_preferences_t lz4_preferences(int level);
static Size lz4_compress(int level, const char *src, Size src_len,
						 char *dst, Size dst_capacity);
static Size lz4_cut(char *frame, Size len, const char *src, Size kept);
static Size lz4_length(const uint8 **pos, int nibble);
static Size zstd_compress(int level, const char *src, Size src_len,
						  char *dst, Size dst_capacity);
static void check_lz4(LZ4F_errorCode_t code);
static const char *lz4_decompress(const char *src, Size src_len,
								  StringInfo dst, Size max_len);
static const char *zstd_decompress(const char *src, Size src_len,
								   StringInfo dst, Size max_len);
static const char *zstd_decompress_frame(const char *src, Size src_len,
										 StringInfo dst, Size limit);
static Size make_room(StringInfo dst, Size wanted, Size limit);

const char *
qt_codec_name(int codec)
{
	static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"};

	return codec >= 0 && codec < (int) lengthof(names) ? names[codec] : NULL;
}

Size
qt_codec_bound(QtCodec codec, Size src_len)
{
	LZ4F_preferences_t preferences;

	switch (codec)
	{
		case QT_CODEC_LZ4:
			preferences = lz4_preferences(QT_CODEC_LEVEL_DEFAULT);
			return LZ4F_compressFrameBound(src_len, &preferences);
		case QT_CODEC_ZSTD:
			return ZSTD_compressBound(src_len);
		default:
			return src_len;
	}
}

Size
qt_codec_compress(QtCodec codec, int level, const char *src, Size src_len,
				  char *dst, Size dst_capacity)
{
	Assert(dst_capacity >= qt_codec_bound(codec, src_len));

	switch (codec)
	{
		case QT_CODEC_NONE:
			memcpy(dst, src, src_len);
			return src_len;
		case QT_CODEC_LZ4:
			return lz4_compress(level, src, src_len, dst, dst_capacity);
		case QT_CODEC_ZSTD:
			return zstd_compress(level, src, src_len, dst, dst_capacity);
		default:
			elog(ERROR, "cannot compress with codec %d", (int) codec);
	}
}

Size
qt_codec_cut(QtCodec codec, char *dst, Size dst_len, const char *src, Size kept)
{
	return codec == QT_CODEC_LZ4 ? lz4_cut(dst, dst_len, src, kept) : 0;
}

const char *
qt_codec_decompress(int codec, const char *src, Size src_len,
					StringInfo dst, Size max_len)
{
	switch (codec)
	{
		case QT_CODEC_NONE:
			if (src_len > max_len)
				return "The records are larger than a record batch may be.";
			appendBinaryStringInfo(dst, src, src_len);
			return NULL;
		case QT_CODEC_LZ4:
			return lz4_decompress(src, src_len, dst, max_len);
		case QT_CODEC_ZSTD:
			return zstd_decompress(src, src_len, dst, max_len);
		default:
			return "The compression codec is not one that qtopic can read.";
	}
}

static Size
lz4_compress(int level, const char *src, Size src_len,
			 char *dst, Size dst_capacity)
{
	LZ4F_preferences_t preferences = lz4_preferences(level);
	Size		used;
	Size		result;

	if (lz4_cctx == NULL)
		check_lz4(LZ4F_createCompressionContext(&lz4_cctx, LZ4F_VERSION));

	/* Begin also resets a context that an error left in a frame. */
	used = LZ4F_compressBegin(lz4_cctx, dst, dst_capacity, &preferences);
	check_lz4(used);
	result = LZ4F_compressUpdate(lz4_cctx, dst + used, dst_capacity - used,
								 src, src_len, NULL);
	check_lz4(result);
	used += result;
	result = LZ4F_compressEnd(lz4_cctx, dst + used, dst_capacity - used, NULL);
	check_lz4(result);
	return used + result;
}

/*
 * The block is a series of sequences: some literal bytes, then a match to
 * repeat.  Keep those that end well before the cut; what is left of the kept
 * bytes becomes literals.  Frames of several blocks are not cut.
 */
static Size
lz4_cut(char *frame, Size len, const char *src, Size kept)
{
	uint8	   *block = (uint8 *) frame + LZ4_BLOCK_AT;
	uint8	   *end = (uint8 *) frame + len - LZ4_END_MARK;
	const uint8 *pos = block;
	uint8	   *to;
	Size		done = 0;		/* bytes that the sequences before pos yield */
	Size		tail;
	uint32		block_len;

	memcpy(&block_len, block - sizeof(block_len), sizeof(block_len));
	if (lz4_uint32(block_len) != end - block)
		return 0;

	for (;;)
	{
		const uint8 *next = pos;
		int			token = *next++;
		Size		yield = lz4_length(&next, token >> 4);

		next += yield;
		if (done + yield + LZ4_MARGIN > kept)
			break;
		next += sizeof(uint16); /* where the match is */
		yield += lz4_length(&next, token & 0x0f) + LZ4_MATCH_MIN;
		if (done + yield + LZ4_MARGIN > kept)
			break;
		done += yield;
		pos = next;
	}

	to = block + (pos - block);
	tail = kept - done;
	if (to + tail + tail / 255 + 2 > end)
		return 0;
	*to++ = Min(tail, 15) << 4;
	if (tail >= 15)
	{
		Size		rest = tail - 15;

		for (; rest >= 255; rest -= 255)
			*to++ = 255;
		*to++ = rest;
	}
	memcpy(to, src + done, tail);
	to += tail;

	block_len = lz4_uint32((uint32) (to - block));
	memcpy(block - sizeof(block_len), &block_len, sizeof(block_len));
	memset(to, 0, LZ4_END_MARK);
	return to + LZ4_END_MARK - (uint8 *) frame;
}

/* A length of which the token has the beginning. */
static Size
lz4_length(const uint8 **pos, int nibble)
{
	Size		length = nibble;

	if (nibble == 15)
	{
		do
			length += **pos;
		while (*(*pos)++ == 255);
	}
	return length;
}

static Size
zstd_compress(int level, const char *src, Size src_len,
			  char *dst, Size dst_capacity)
{
	size_t		result;

	if (zstd_cctx == NULL)
	{
		zstd_cctx = ZSTD_createCCtx();
		if (zstd_cctx == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("could not create a zstd compression context")));
	}

	/* One call that begins a frame of its own, whatever was before. */
	result = ZSTD_compressCCtx(zstd_cctx, dst, dst_capacity, src, src_len,
							   level);
	if (ZSTD_sizeof_CCtx(zstd_cctx) > ZSTD_KEPT_CONTEXT_MAX)
	{
		ZSTD_freeCCtx(zstd_cctx);
		zstd_cctx = NULL;
	}
	if (ZSTD_isError(result))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compress with zstd: %s",
						ZSTD_getErrorName(result))));
	return result;
}

/* How Kafka's Java client writes LZ4 frames. */
static LZ4F_preferences_t
lz4_preferences(int level)
{
	LZ4F_preferences_t preferences;

	memset(&preferences, 0, sizeof(preferences));
	preferences.frameInfo.blockSizeID = LZ4F_max64KB;
	preferences.frameInfo.blockMode = LZ4F_blockIndependent;
	preferences.frameInfo.contentChecksumFlag = LZ4F_noContentChecksum;
	preferences.frameInfo.blockChecksumFlag = LZ4F_noBlockChecksum;
	preferences.compressionLevel = level;
	preferences.autoFlush = 1;
	return preferences;
}

/* liblz4 returns sizes and errors through the same value. */
static void
check_lz4(LZ4F_errorCode_t code)
{
	if (LZ4F_isError(code))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compress with lz4: %s",
						LZ4F_getErrorName(code))));
}

/*
 * Decompress LZ4 frames, one after the other, to the end of src.
 *
 * A frame's blocks may be up to 4 MB, which the context then buffers; it is
 * not kept after such a frame.
 */
static const char *
lz4_decompress(const char *src, Size src_len, StringInfo dst, Size max_len)
{
	const char *error = NULL;
	Size		limit = dst->len + max_len;
	Size		done = 0;
	size_t		hint = 0;
	bool		large_blocks = false;

	if (lz4_dctx == NULL)
	{
		if (LZ4F_isError(LZ4F_createDecompressionContext(&lz4_dctx,
														 LZ4F_VERSION)))
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("could not create an lz4 decompression context")));
	}
	LZ4F_resetDecompressionContext(lz4_dctx);

	do
	{
		char		probe;
		Size		room = make_room(dst, ROOM_MIN, limit);
		size_t		written = room > 0 ? room : 1;
		size_t		consumed = src_len - done;

		/* byte 5 of a frame names its block size, 4 meaning 64 kB */
		if (hint == 0 && consumed > 5 && ((uint8) src[done + 5] >> 4) > 4)
			large_blocks = true;

		/* With no room left anything more is too much, even one byte. */
		hint = LZ4F_decompress(lz4_dctx,
							   room > 0 ? dst->data + dst->len : &probe,
							   &written, src + done, &consumed, NULL);
		if (LZ4F_isError(hint))
			error = "The LZ4 frame is damaged.";
		else if (room == 0 && written > 0)
			error = "The records are larger than a record batch may be.";
		else if (written == 0 && consumed == 0 && hint != 0)
			error = "The LZ4 frame is cut off.";
		else
		{
			dst->len += written;
			done += consumed;
		}
	} while (error == NULL && (hint != 0 || done < src_len));

	dst->data[dst->len] = '\0';
	if (large_blocks)
	{
		LZ4F_freeDecompressionContext(lz4_dctx);
		lz4_dctx = NULL;
	}
	return error;
}

/*
 * Decompress zstd frames, one after the other, to the end of src.
 *
 * Each magic number is checked here: the library may have been built with
 * the decoders of formats before 1.0, which nobody should be able to reach.
 */
static const char *
zstd_decompress(const char *src, Size src_len, StringInfo dst, Size max_len)
{
	static const unsigned char magic[] = {0x28, 0xb5, 0x2f, 0xfd};
	const char *error = NULL;
	Size		limit = dst->len + max_len;

	if (zstd_dctx == NULL)
	{
		zstd_dctx = ZSTD_createDCtx();
		if (zstd_dctx == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("could not create a zstd decompression context")));
	}

	do
	{
		size_t		frame_len;

		if (src_len < sizeof(magic) || memcmp(src, magic, sizeof(magic)) != 0)
			return "The records are not a zstd frame.";
		frame_len = ZSTD_findFrameCompressedSize(src, src_len);
		if (ZSTD_isError(frame_len))
			return "The zstd frame is damaged or cut off.";
		error = zstd_decompress_frame(src, frame_len, dst, limit);
		src += frame_len;
		src_len -= frame_len;
	} while (error == NULL && src_len > 0);

	dst->data[dst->len] = '\0';
	return error;
}

/*
 * Decompress one whole frame to the end of dst, in one call: streaming would
 * make the library allocate the frame's window, up to 128 MB, before it has
 * seen a single block.  If dst turns out too small, twice the room is tried.
 */
static const char *
zstd_decompress_frame(const char *src, Size src_len, StringInfo dst, Size limit)
{
	Size		wanted = Max(ROOM_MIN, 8 * src_len);

	for (;;)
	{
		Size		room = make_room(dst, wanted, limit);
		size_t		result;

		result = ZSTD_decompressDCtx(zstd_dctx, dst->data + dst->len, room,
									 src, src_len);
		if (!ZSTD_isError(result))
		{
			dst->len += result;
			return NULL;
		}
		if (ZSTD_getErrorCode(result) != ZSTD_error_dstSize_tooSmall)
			return "The zstd frame is damaged.";
		if (room == limit - dst->len)
			return "The records are larger than a record batch may be.";
		wanted = 2 * room;
	}
}

/*
 * Enlarge dst for `wanted` more bytes, or fewer if that would be past
 * `limit`; returns the bytes that there is room for.
 */
static Size
make_room(StringInfo dst, Size wanted, Size limit)
{
	Size		allowed = limit - dst->len;

	if (dst->maxlen - dst->len - 1 < Min(wanted, allowed))
		enlargeStringInfo(dst, Min(wanted, allowed));
	return Min(allowed, dst->maxlen - dst->len - 1);
}
