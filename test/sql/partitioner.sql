-- Partitioners: every vector that Kafka's clients publish.

SET bytea_output = 'escape';
\set SHOW_CONTEXT never

-- murmur2, from the tests of the Java client and of kafkajs (signed).

SELECT key, qtopic_internal.murmur2(convert_to(key, 'UTF8')), qtopic_internal.murmur2(convert_to(key, 'UTF8')) = expected AS ok
FROM (VALUES
	('21', -973932308),
	('foobar', -790332482),
	('a-little-bit-long-string', -985981536),
	('a-little-bit-longer-string', -1486304829),
	('lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971),
	('abc', 479470107),
	('0', 971027396),
	('1', -1993445489),
	('128', -326012175),
	('100:48069', 1009543857)) v(key, expected);

-- murmur2, from the tests of librdkafka (unsigned).

SELECT key, to_hex(qtopic_internal.murmur2(convert_to(key, 'UTF8'))), to_hex(qtopic_internal.murmur2(convert_to(key, 'UTF8'))) = expected AS ok
FROM (VALUES
	('kafka', 'd067cf64'),
	('giberish123456789', '8f552b0c'),
	('1234', '9fc97b14'),
	('234', 'e7c009ca'),
	('34', '873930da'),
	('4', '5a4b5ca1'),
	('', '106e08d9'),
	('PreAmbleWillBeRemoved,ThePrePartThatIs', '78424f1c')) v(key, expected);

-- librdkafka's keys over 17 partitions; its vectors have the sign cleared.

SELECT key, to_hex(qtopic_internal.murmur2(key) & x'7fffffff'::int) AS murmur2,
	to_hex(qtopic_internal.murmur2(key) & x'7fffffff'::int) = murmur2 AS ok,
	qtopic_internal.partition_for_key('murmur2', key, 17), qtopic_internal.partition_for_key('murmur2', key, 17) = partition AS ok,
	to_hex(qtopic_internal.crc32(key)) AS crc32, to_hex(qtopic_internal.crc32(key)) = crc32 AS ok,
	qtopic_internal.partition_for_key('crc32', key, 17) = qtopic_internal.crc32(key) % 17 AS ok
FROM (VALUES
	('23456'::bytea, '58d780f', 9, 'b1b451d7'),
	('this is another string with more length to it perhaps', '4f7703da', 11, 'b0150df7'),
	('hejsan', '5ec19395', 5, 'd077037e'),
	('', '106e08d9', 11, '0')) v(key, murmur2, partition, crc32);

-- CRC-32's own check value.

SELECT to_hex(qtopic_internal.crc32('123456789'));

-- kafka-python's and kafka-go's keys over 1000 partitions.

SELECT key, qtopic_internal.partition_for_key('murmur2', key, 1000), qtopic_internal.partition_for_key('murmur2', key, 1000) = expected AS ok
FROM (VALUES ('\x'::bytea, 681), ('a', 524), ('ab', 434), ('abc', 107), ('123456789', 566), ('\x0020', 742)) v(key, expected);

-- Keys over various numbers of partitions.

WITH expected(key, partitions) AS (VALUES
	('21',		'{0,0,0,0,4,0,0,12,12,40}'::int[]),
	('foobar',	'{0,0,2,0,6,6,6,14,30,66}'),
	('abc',		'{1,0,3,3,3,7,3,11,27,7}'),
	('kafka',	'{0,1,0,4,4,0,4,4,4,80}'),
	('',		'{1,0,1,3,1,1,9,9,25,81}'),
	('1',		'{1,0,3,3,7,9,3,15,15,59}'),
	('hello',	'{1,0,1,3,5,9,9,13,29,29}'),
	('user-42',	'{0,1,0,4,4,0,4,12,12,60}'),
	('ключ',	'{0,2,0,2,0,4,8,0,16,24}')
), computed AS (
	SELECT key, partitions AS expected, array_agg(qtopic_internal.partition_for_key('murmur2', convert_to(key, 'UTF8'), n) ORDER BY n) AS partitions
	FROM expected, unnest('{2,3,4,6,8,10,12,16,32,100}'::int[]) n GROUP BY key, partitions)
SELECT key, partitions, partitions = expected AS ok FROM computed ORDER BY key COLLATE "C";

-- The sign of a hash never matters.

SELECT partitioner, n, count(*) FILTER (WHERE p < 0 OR p >= n) AS outside, count(DISTINCT p) = n AS all_used
FROM unnest('{murmur2,crc32}'::text[]) partitioner, unnest('{1,3,64}'::int[]) n,
	generate_series(1, 2000) i, qtopic_internal.partition_for_key(partitioner, convert_to(i::text, 'UTF8'), n) p
GROUP BY partitioner, n ORDER BY partitioner, n;

-- Keys of every length from 0 to 12 end in another branch of the tail.

SELECT n, qtopic_internal.murmur2(substr('abcdefghijkl'::bytea, 1, n)) FROM generate_series(0, 12) n;

-- A null key has no partition; wrong arguments.

SELECT qtopic_internal.partition_for_key('murmur2', NULL, 3) IS NULL AS null_key;
SELECT qtopic_internal.partition_for_key('murmur3', 'a', 3);
SELECT qtopic_internal.partition_for_key('murmur2', 'a', 0);
SELECT qtopic_internal.partition_for_key('crc32', 'a', -1);
