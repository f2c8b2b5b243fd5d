/*
 * partitioner.h
 *		Which partition a key belongs to, as Kafka's clients compute it.
 *
 * murmur2 is the Java client's default, crc32 librdkafka's.  Pure.
 */
#ifndef QTOPIC_PARTITIONER_H
#define QTOPIC_PARTITIONER_H

typedef enum QtPartitioner
{
	QT_PARTITIONER_MURMUR2,
	QT_PARTITIONER_CRC32
} QtPartitioner;

extern uint32 qt_murmur2(const char *data, Size len);

/* CRC-32 as in zlib (not the CRC-32C of a record batch). */
extern uint32 qt_crc32(const char *data, Size len);

/* Partition of a key that is not NULL; partitions > 0. */
extern int	qt_partition_for_key(QtPartitioner partitioner,
								 const char *key, Size key_len,
								 int partitions);

#endif							/* QTOPIC_PARTITIONER_H */
