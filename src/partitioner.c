/*
 * partitioner.c
 *		Which partition a key belongs to, as Kafka's clients compute it.
 *
 * The results are part of the contract with every client that has ever
 * produced to a topic, so nothing here may change.
 */
#include "postgres.h"

#include "utils/pg_crc.h"

#include "partitioner.h"

#define MURMUR2_MULTIPLIER	0x5bd1e995
#define MURMUR2_SEED		0x9747b28c

/*
 * MurmurHash2 with the Java client's seed.  Words are little-endian on every
 * machine.
 */
uint32
qt_murmur2(const char *data, Size len)
{
	const unsigned char *byte = (const unsigned char *) data;
	uint32		hash = MURMUR2_SEED ^ (uint32) len;

	for (; len >= 4; len -= 4, byte += 4)
	{
		uint32		word = (uint32) byte[0] | (uint32) byte[1] << 8 |
		(uint32) byte[2] << 16 | (uint32) byte[3] << 24;

		word *= MURMUR2_MULTIPLIER;
		word ^= word >> 24;
		word *= MURMUR2_MULTIPLIER;
		hash *= MURMUR2_MULTIPLIER;
		hash ^= word;
	}

	switch (len)
	{
		case 3:
			hash ^= (uint32) byte[2] << 16;
			/* FALLTHROUGH */
		case 2:
			hash ^= (uint32) byte[1] << 8;
			/* FALLTHROUGH */
		case 1:
			hash ^= (uint32) byte[0];
			hash *= MURMUR2_MULTIPLIER;
	}

	hash ^= hash >> 13;
	hash *= MURMUR2_MULTIPLIER;
	hash ^= hash >> 15;
	return hash;
}

uint32
qt_crc32(const char *data, Size len)
{
	pg_crc32	crc;

	INIT_TRADITIONAL_CRC32(crc);
	COMP_TRADITIONAL_CRC32(crc, data, len);
	FIN_TRADITIONAL_CRC32(crc);
	return crc;
}

/*
 * Java clears the sign of its hash, librdkafka takes the whole CRC as an
 * unsigned number.
 */
int
qt_partition_for_key(QtPartitioner partitioner, const char *key, Size key_len,
					 int partitions)
{
	Assert(partitions > 0);

	if (partitions == 1)
		return 0;
	switch (partitioner)
	{
		case QT_PARTITIONER_MURMUR2:
			return (qt_murmur2(key, key_len) & 0x7fffffff) % partitions;
		case QT_PARTITIONER_CRC32:
			return qt_crc32(key, key_len) % (uint32) partitions;
	}
	elog(ERROR, "unrecognized partitioner %d", (int) partitioner);
}
