-- Record batches: what Kafka's own client wrote, what we write, and bytes that
-- are neither.

SET timezone = 'UTC';
SET datestyle = 'ISO';
SET bytea_output = 'escape';
\set SHOW_CONTEXT never

-- Batches made by kafka-clients 4.0.0, byte for byte.

CREATE TEMP TABLE kafka (name text, batch bytea);
INSERT INTO kafka VALUES
	('one', '\x00000000000000000000003affffffff02e99b8dd80000000000000000018bcfe568000000018bcfe56800ffffffffff'
	'ffffffffffffffffff0000000110000000026b027600'),
	('mixed', '\x000000012a05f200000000beffffffff02e04e12390000000000050000018bcfe5687b0000018bcfe9fc5bffffffffff'
	'ffffffffffffffffff000000061c000000066b65790a76616c75650018000202010c6e6f206b6579003200cf0f040024'
	'656d707479206b65792c206561726c696572002200c0cf240612746f6d6273746f6e65010028000408026b0004026e01'
	'0a7472616365066162635e00060a10d0bad0bbd18ed18720d0b7d0bdd0b0d187d0b5d0bdd0b8d0b50802610231026102'
	'320672617704ff000000'),
	('many_none', '\x0000000000000007000002b7ffffffff02ecc926d800000000000b0000018bcfe568000000018bcfe572beffffffffff'
	'ffffffffffffffffff0000000c780000000c757365722d304a7b2270616765223a222f70726f64756374732f30222c22'
	'7265666572726572223a222f227d020c736f75726365067765626400f403020c757365722d314a7b2270616765223a22'
	'2f70726f64756374732f31222c227265666572726572223a222f227d006400e807040c757365722d324a7b2270616765'
	'223a222f70726f64756374732f32222c227265666572726572223a222f227d006400dc0b060c757365722d304a7b2270'
	'616765223a222f70726f64756374732f33222c227265666572726572223a222f227d007a00d00f080c757365722d314a'
	'7b2270616765223a222f70726f64756374732f34222c227265666572726572223a222f227d020c736f75726365067765'
	'626400c4130a0c757365722d324a7b2270616765223a222f70726f64756374732f35222c227265666572726572223a22'
	'2f227d006400b8170c0c757365722d304a7b2270616765223a222f70726f64756374732f36222c227265666572726572'
	'223a222f227d006400ac1b0e0c757365722d314a7b2270616765223a222f70726f64756374732f37222c227265666572'
	'726572223a222f227d007a00a01f100c757365722d324a7b2270616765223a222f70726f64756374732f38222c227265'
	'666572726572223a222f227d020c736f757263650677656264009423120c757365722d304a7b2270616765223a222f70'
	'726f64756374732f39222c227265666572726572223a222f227d0066008827140c757365722d314c7b2270616765223a'
	'222f70726f64756374732f3130222c227265666572726572223a222f227d006600fc2a160c757365722d324c7b227061'
	'6765223a222f70726f64756374732f3131222c227265666572726572223a222f227d00'),
	('many_lz4', '\x00000000000000070000013cffffffff02af203fbd00030000000b0000018bcfe568000000018bcfe572beffffffffff'
	'ffffffffffffffffff0000000c04224d18604082fc000000f01c780000000c757365722d304a7b2270616765223a222f'
	'70726f64756374732f30222c2272656665727265721900f204227d020c736f75726365067765626400f403023e001f31'
	'3e00011d313e0062006400e8070433001f323300011f3233000132dc0b0633000fa400021e333300527a00d00f083300'
	'0f9900021d3433000ad70032c4130a3e000fa400021d353e0062006400b8170c33000fa400021f3633000132ac1b0e33'
	'000fa400021e373300527a00a01f1033000f9900021d3833000ad700329423123e000fa400021d393e00620066008827'
	'1433002f314c1f02001e31200262006600fc2a1634001f323400020a160250222f227d0000000000'),
	('many_zstd', '\x0000000000000007000000fdffffffff0276e0850900040000000b0000018bcfe568000000018bcfe572beffffffffff'
	'ffffffffffffffffff0000000c28b52ffd00580406001408780000000c757365722d304a7b2270616765223a222f7072'
	'6f64756374732f30222c227265666572726572223a222f227d020c736f75726365067765626400f403023131006400e8'
	'07043232dc0b0630337a00d00f083134c4130a3235b8170c3036ac1b0e3137a01f10323894231230396600882714314c'
	'31006600fc2a164c312220c033920e191289e996cbac46783761837a8c0a6c364719e668412f36f4510673b4d0fbb0d1'
	'96613ecab0d7137ab1a10f5366316816404f08307206010000'),
	('gaps', '\x00000000000000640000004effffffff02894e61ac0000000000c80000018bcfe568000000018bcfe5692cffffffffff'
	'ffffffffffffffffff000000031000000002610231001000080802620232001400d80490030263023300'),
	('log_append_time', '\x00000000000000030000004300000004028c8b2a7600080000000100000174876e80000000018bcfe58f0fffffffffff'
	'ffffffffffffffffff00000002100000000261023100100002020262023200'),
	('transactional', '\x000000000000002a00000064000000060269f3a2b1001300000001ffffffffffffffff7fffffffffffffff0000000218'
	'711a010003000000110000000204224d1860408224000000f4021a000000010e6e6f2074696d65003000ff0100e00102'
	'011277696c642074696d650000000000'),
	('empty', '\x0000000000000014000000310000000602164c01a4000000000009ffffffffffffffff0000018bcfe568000000000218'
	'711a0100030000000500000000'),
	('control', '\x0000000000000009000000420000000602e4fbf8140030000000000000018bcfe568000000018bcfe568000000000218'
	'711a010003ffffffff000000012000000008000000010c00000000000100'),
	('gzip', '\x00000000000000000000004effffffff02d83f31140001000000000000018bcfe568000000018bcfe56800ffffffffff'
	'ffffffffffffffffff000000011f8b08000000000000ff1360606060ca662a630000a37fcfa609000000'),
	('snappy', '\x000000000000000000000050ffffffff0208ee48690002000000000000018bcfe568000000018bcfe56800ffffffffff'
	'ffffffffffffffffff0000000182534e415050590000000001000000010000000b092010000000026b027600'),
	('magic_1', '\x0000000000000000000000447a3adb0801000000018bcfe56800000000016b0000002d61206d657373616765206f6620'
	'74686520666f726d6174206265666f7265207265636f72642062617463686573');

SELECT name, h.* FROM kafka, qtopic_internal.record_batch_header(batch) h
WHERE name <> 'magic_1' ORDER BY name;

SELECT r.* FROM kafka, qtopic_internal.record_batch_decode(batch) r WHERE name = 'one';
SELECT r.* FROM kafka, qtopic_internal.record_batch_decode(batch) r WHERE name = 'mixed';
SELECT r.* FROM kafka, qtopic_internal.record_batch_decode(batch) r WHERE name = 'many_none';
SELECT r.* FROM kafka, qtopic_internal.record_batch_decode(batch) r WHERE name = 'gaps';
SELECT r.* FROM kafka, qtopic_internal.record_batch_decode(batch) r WHERE name = 'log_append_time';
SELECT r.* FROM kafka, qtopic_internal.record_batch_decode(batch) r WHERE name = 'transactional';
SELECT r.* FROM kafka, qtopic_internal.record_batch_decode(batch) r WHERE name = 'empty';

-- Compressed batches hold the same records.

SELECT r.* FROM kafka, qtopic_internal.record_batch_decode(batch) r WHERE name = 'many_lz4'
EXCEPT
SELECT r.* FROM kafka, qtopic_internal.record_batch_decode(batch) r WHERE name = 'many_none';
SELECT name, count(*) FROM kafka, qtopic_internal.record_batch_decode(batch)
WHERE name LIKE 'many%' GROUP BY name ORDER BY name;
SELECT count(*) AS differences FROM (
	SELECT r.* FROM kafka, qtopic_internal.record_batch_decode(batch) r WHERE name = 'many_zstd'
	EXCEPT
	SELECT r.* FROM kafka, qtopic_internal.record_batch_decode(batch) r WHERE name = 'many_none') d;

-- What qtopic has no code for.

SELECT qtopic_internal.record_batch_decode(batch) FROM kafka WHERE name = 'control';
SELECT qtopic_internal.record_batch_decode(batch) FROM kafka WHERE name = 'gzip';
SELECT qtopic_internal.record_batch_decode(batch) FROM kafka WHERE name = 'snappy';
SELECT qtopic_internal.record_batch_decode(batch) FROM kafka WHERE name = 'magic_1';

-- Encoding the same records yields the same bytes.  (The header of a batch
-- that a client has not sent yet has leader epoch -1.)

SELECT name, encoded = batch AS same_bytes
FROM kafka, LATERAL (
	SELECT qtopic_internal.record_batch_encode('none',
		array_agg(_timestamp ORDER BY _offset), array_agg(key ORDER BY _offset),
		array_agg(value ORDER BY _offset), array_agg(headers ORDER BY _offset),
		min(_offset), -1) AS encoded
	FROM qtopic_internal.record_batch_decode(batch)) e
WHERE name IN ('one', 'mixed', 'many_none') ORDER BY name;

-- Ours with each codec: smaller, and the same records.

CREATE TEMP TABLE ours AS
SELECT codec, qtopic_internal.record_batch_encode(codec,
	array_agg('2024-02-29 12:00Z'::timestamptz + i * interval '1 ms' ORDER BY i),
	array_agg(convert_to('user-' || i % 7, 'UTF8') ORDER BY i),
	array_agg(convert_to('{"event":"page_view","page":"/products/' || i || '"}', 'UTF8') ORDER BY i),
	array_agg(CASE WHEN i % 10 = 0 THEN jsonb_build_object('source', 'web', 'n', i) END ORDER BY i),
	1000, 3) AS batch
FROM generate_series(0, 199) i, unnest('{none,lz4,zstd}'::text[]) codec
GROUP BY codec;

SELECT o.codec, h.codec AS header_codec, record_count, leader_epoch, base_timestamp, max_timestamp,
	length(batch) < (SELECT length(batch) FROM ours WHERE codec = 'none') / 3 AS much_smaller
FROM ours o, qtopic_internal.record_batch_header(batch) h ORDER BY 1;
SELECT codec, count(*), min(_offset), max(_offset), count(headers), md5(string_agg(r::text, '' ORDER BY _offset))
FROM ours, qtopic_internal.record_batch_decode(batch) r GROUP BY codec ORDER BY codec;

-- Short batches, and those that compression does not shrink, are not compressed.

SELECT h.codec, h.batch_length FROM qtopic_internal.record_batch_header(
	qtopic_internal.record_batch_encode('lz4', '{epoch}', '{k}', ARRAY[convert_to(repeat('a', 900), 'UTF8')])) h;
SELECT h.codec, h.batch_length < 200 AS compressed FROM qtopic_internal.record_batch_header(
	qtopic_internal.record_batch_encode('lz4', '{epoch}', '{k}', ARRAY[convert_to(repeat('a', 1100), 'UTF8')])) h;
SELECT wanted, h.codec, h.batch_length
FROM (SELECT decode(string_agg(md5(i::text), ''), 'hex') AS random FROM generate_series(1, 200) i) r,
	unnest('{lz4,zstd}'::text[]) wanted,
	qtopic_internal.record_batch_header(
		qtopic_internal.record_batch_encode(wanted, '{epoch}', '{k}', ARRAY[random])) h;

-- Times are truncated to milliseconds, towards the past.

SELECT _timestamp FROM qtopic_internal.record_batch_decode(
	qtopic_internal.record_batch_encode('none',
		'{2000-01-01 00:00:00.0019999, 1999-12-31 23:59:59.9999, 1969-12-31 23:59:59.9995, 0044-03-15 BC, 294276-12-31 23:59:59.999}',
		array_fill(NULL::bytea, '{5}'), array_fill(NULL::bytea, '{5}')));

-- Frames that Kafka's client does not write, but may find.  The header stays
-- that of many_none, except for length and codec, so the CRC is not right.

CREATE FUNCTION pg_temp.with_records(batch bytea, codec int, records bytea) RETURNS bytea
LANGUAGE sql AS $$
	SELECT substr(batch, 1, 8) || int4send(49 + length(records)) || substr(batch, 13, 9) ||
		int2send(codec::int2) || substr(batch, 24, 38) || records
$$;

CREATE TEMP TABLE frames (name text, codec int, records bytea);
INSERT INTO frames VALUES
	('lz4_all_options', 3, '\x04224d187c4086020000000000004dfc000000f01c780000000c757365722d304a7b2270616765223a222f70726f6475'
	'6374732f30222c2272656665727265721900f204227d020c736f75726365067765626400f403023e001f313e00011d31'
	'3e0062006400e8070433001f323300011f3233000132dc0b0633000fa400021e333300527a00d00f0833000f9900021d'
	'3433000ad70032c4130a3e000fa400021d353e0062006400b8170c33000fa400021f3633000132ac1b0e33000fa40002'
	'1e373300527a00a01f1033000f9900021d3833000ad700329423123e000fa400021d393e006200660088271433002f31'
	'4c1f02001e31200262006600fc2a1634001f323400020a160250222f227d0000b70b0e000000007c418748'),
	('lz4_plain', 3, '\x04224d18604082fc000000f01c780000000c757365722d304a7b2270616765223a222f70726f64756374732f30222c22'
	'72656665727265721900f204227d020c736f75726365067765626400f403023e001f313e00011d313e0062006400e807'
	'0433001f323300011f3233000132dc0b0633000fa400021e333300527a00d00f0833000f9900021d3433000ad70032c4'
	'130a3e000fa400021d353e0062006400b8170c33000fa400021f3633000132ac1b0e33000fa400021e373300527a00a0'
	'1f1033000f9900021d3833000ad700329423123e000fa400021d393e006200660088271433002f314c1f02001e312002'
	'62006600fc2a1634001f323400020a160250222f227d0000000000'),
	('lz4_size', 3, '\x04224d186840860200000000000033fc000000f01c780000000c757365722d304a7b2270616765223a222f70726f6475'
	'6374732f30222c2272656665727265721900f204227d020c736f75726365067765626400f403023e001f313e00011d31'
	'3e0062006400e8070433001f323300011f3233000132dc0b0633000fa400021e333300527a00d00f0833000f9900021d'
	'3433000ad70032c4130a3e000fa400021d353e0062006400b8170c33000fa400021f3633000132ac1b0e33000fa40002'
	'1e373300527a00a01f1033000f9900021d3833000ad700329423123e000fa400021d393e006200660088271433002f31'
	'4c1f02001e31200262006600fc2a1634001f323400020a160250222f227d0000000000'),
	('lz4_two_frames', 3, '\x04224d1860408292000000f01c780000000c757365722d304a7b2270616765223a222f70726f64756374732f30222c22'
	'72656665727265721900f204227d020c736f75726365067765626400f403023e001f313e00011d313e0062006400e807'
	'0433001f323300011f3233000132dc0b0633000fa400021e333300527a00d00f0833000f9900021d3433000ad70032c4'
	'130a3e0004a40050223a222f700000000004224d18604082a2000000f01f726f64756374732f35222c22726566657272'
	'6572223a222f227d006400b8170c0c757365722d304a7b22706167651a00147033001f3633000132ac1b0e33001f3133'
	'00011e373300527a00a01f1033001f323300011d383300f202020c736f757263650677656264009423123e000fa40002'
	'1d393e006200660088271433002f314cd700002f313034000132fc2a1634001f323400021931340050222f227d000000'
	'0000'),
	('zstd_plain', 4, '\x28b52ffd608601f50500d407780000000c757365722d304a7b2270616765223a222f70726f64756374732f30222c2272'
	'65666572726572227d020c736f75726365067765626400f403023131006400e807043232dc0b0630337a00d00f083134'
	'c4130a3235b8170c3036ac1b0e3137a01f10323894231230396600882714314c31006600fc2a164c312320b0a3241d19'
	'1299e996cbac467837e1837a8c0ad8344759ccd1422f36e8a30c7369a15761a32dc37c94c59e27f46283be4299c5a059'
	'04bd0382616c593d'),
	('zstd_stream_window27', 4, '\x28b52ffd0488ac0600d408780000000c757365722d304a7b2270616765223a222f70726f64756374732f30222c227265'
	'666572726572223a222f227d020c736f75726365067765626400f403020c757365722d3131006400e807040c75736572'
	'2d3232dc0b0630337a00d00f083134c4130a3235b8170c3036ac1b0e3137a01f10323894231230396600882714314c31'
	'006600fc2a164c312000194422902eca6435427817240c06051e0354006c407380328039400ba0176003e8039401cc01'
	'5a00bd808dd6c800e6039401ec014f00bd001b405f56d10f334b023a4401010000474186a1'),
	('zstd_two_frames', 4, '\x28b52ffd602c00f503008405780000000c757365722d304a7b2270616765223a222f70726f64756374732f30222c2272'
	'65666572726572227d020c736f75726365067765626400f403023131006400e807043232dc0b0630337a00d00f083134'
	'c4130a321000800b18466b6400f301ca00f68027805e800da00f50661506c12c40ef2060185b530f28b52ffd605a0045'
	'0400f405726f64756374732f35222c227265666572726572223a222f227d006400b8170c0c757365722d304a7b227061'
	'67657036ac1b0e31377a00a01f103238020c736f757263650677656264009423123966008827144c31306600fc2a1632'
	'4c31311100577918240c8376581e82c440f6c0134f265c301fa00c600f7802e805d8007a563d73af530f');

SELECT f.name, count(*), (array_agg(r.* ORDER BY _offset)) = (
	SELECT array_agg(r.* ORDER BY _offset) FROM qtopic_internal.record_batch_decode(batch) r) AS same_records
FROM frames f, kafka k, qtopic_internal.record_batch_decode(pg_temp.with_records(batch, codec, records), false) r
WHERE k.name = 'many_none' GROUP BY f.name, batch ORDER BY f.name;

-- Damaged frames: cut off, with something behind them, with a wrong content
-- size, of another format, and bombs of 320 and 272 MB (the second with a block
-- of 4 MB, which alone is valid, but has no records).

CREATE FUNCTION pg_temp.try_records(codec int, records bytea) RETURNS bigint
LANGUAGE sql AS $$
	SELECT count(*) FROM kafka, qtopic_internal.record_batch_decode(pg_temp.with_records(batch, codec, records), false)
	WHERE name = 'many_none'
$$;

SELECT pg_temp.try_records(3, '');
SELECT pg_temp.try_records(4, '');
SELECT pg_temp.try_records(3, substr(records, 1, length(records) - 1)) FROM frames WHERE name = 'lz4_plain';
SELECT pg_temp.try_records(3, substr(records, 1, 100)) FROM frames WHERE name = 'lz4_plain';
SELECT pg_temp.try_records(4, substr(records, 1, length(records) - 1)) FROM frames WHERE name = 'zstd_plain';
SELECT pg_temp.try_records(3, records || '\x00') FROM frames WHERE name = 'lz4_plain';
SELECT pg_temp.try_records(3, records || 'garbage') FROM frames WHERE name = 'lz4_plain';
SELECT pg_temp.try_records(4, records || '\x00') FROM frames WHERE name = 'zstd_plain';
SELECT pg_temp.try_records(4, records || 'garbage') FROM frames WHERE name = 'zstd_plain';
SELECT pg_temp.try_records(3, overlay(records PLACING '\xffffffffffffff7f' FROM 7)) FROM frames WHERE name = 'lz4_size';
SELECT pg_temp.try_records(4, records) FROM frames WHERE name = 'lz4_plain';
SELECT pg_temp.try_records(5, records) FROM frames WHERE name = 'lz4_plain';
SELECT pg_temp.try_records(4, '\x28b52ffd0038' || decode(repeat('02001000', 2559) || '03001000', 'hex'));
CREATE FUNCTION pg_temp.lz4_zeros(blocks int) RETURNS bytea
LANGUAGE sql AS $$
	SELECT decode('04224d18607073' ||
		repeat('4b400000' || '1f000100' || repeat('ff', 16448) || '27' || '500000000000', blocks) ||
		'00000000', 'hex')
$$;
SELECT pg_temp.try_records(3, pg_temp.lz4_zeros(1));
SELECT pg_temp.try_records(3, pg_temp.lz4_zeros(65));

-- Records that do not fit their batch; each replaces the one of 'one', whose
-- bytes are: length 8, attributes, time, offset, key of 1, value of 1, headers.

CREATE FUNCTION pg_temp.try_record(records text) RETURNS bytea
LANGUAGE sql AS $$
	SELECT value FROM kafka, qtopic_internal.record_batch_decode(
		pg_temp.with_records(batch, 0, decode(replace(records, ' ', ''), 'hex')), false)
	WHERE name = 'one'
$$;

SELECT pg_temp.try_record('10 00 00 00 02 6b 02 76 00');
SELECT pg_temp.try_record('90 80 80 80 00 00 00 00 02 6b 02 76 00') AS long_varint;
SELECT pg_temp.try_record('10 00 00 00 02 6b 02 76');
SELECT pg_temp.try_record('0e 00 00 00 02 6b 02 76');
SELECT pg_temp.try_record('10 00 00 00 02 6b 02 76 00 00');
SELECT pg_temp.try_record('12 00 00 00 02 6b 02 76 00 00');
SELECT pg_temp.try_record('11 00 00 00 02 6b 02 76 00');
SELECT pg_temp.try_record('ff ff ff ff ff ff 00 00 00');
SELECT pg_temp.try_record('90 80 80 80 20 00 00 00 02 6b 02 76 00') AS varint_of_34_bits;
SELECT pg_temp.try_record('00 00 00 00 02 6b 02 76 00');
SELECT pg_temp.try_record('10 00 ff ff ff ff ff ff ff');
SELECT pg_temp.try_record('10 00 00 02 02 6b 02 76 00');
SELECT pg_temp.try_record('10 00 00 01 02 6b 02 76 00');
SELECT pg_temp.try_record('10 00 00 00 03 6b 02 76 00');
SELECT pg_temp.try_record('10 00 00 00 0a 6b 02 76 00');
SELECT pg_temp.try_record('10 00 00 00 02 6b 06 76 00');
SELECT pg_temp.try_record('10 00 00 00 02 6b 02 76 01');
SELECT pg_temp.try_record('10 00 00 00 02 6b 02 76 02');
SELECT pg_temp.try_record('18 00 00 00 02 6b 02 76 02 02 68 0a 76');
SELECT pg_temp.try_record('18 00 00 00 02 6b 02 76 02 02 68 02 76');
SELECT pg_temp.try_record('16 00 00 00 02 6b 02 76 02 01 68 01') AS negative_name_length;
SELECT pg_temp.try_record('14 00 00 00 02 6b 02 76 02 01 01') AS negative_name_length;

-- Headers of a batch that do not agree with each other.

CREATE FUNCTION pg_temp.try_header(at int, bytes bytea, truncate_to int DEFAULT NULL) RETURNS SETOF text
LANGUAGE sql AS $$
	SELECT r::text FROM kafka, qtopic_internal.record_batch_decode(
		substr(overlay(batch PLACING bytes FROM at + 1), 1, coalesce(truncate_to, length(batch)))) r
	WHERE name = 'one'
$$;

SELECT pg_temp.try_header(0, '\x00000000000000ff') AS another_base_offset;
SELECT pg_temp.try_header(12, '\x12345678') AS another_leader_epoch;
SELECT pg_temp.try_header(0, '\x80');
SELECT pg_temp.try_header(0, '\x7ffffffffffffffe') AS last_possible_offset;
SELECT pg_temp.try_header(0, '\x7fffffffffffffff');
SELECT pg_temp.try_header(8, '\x0000003b');
SELECT pg_temp.try_header(8, '\xffffffff');
SELECT pg_temp.try_header(16, '\x03');
SELECT pg_temp.try_header(17, '\x00000000');
SELECT pg_temp.try_header(21, '\x0007');
SELECT pg_temp.try_header(21, '\x0008');
SELECT pg_temp.try_header(23, '\xffffffff');
SELECT pg_temp.try_header(57, '\xffffffff');
SELECT pg_temp.try_header(57, '\x00000002');
SELECT pg_temp.try_header(23, '\x000000ff') AS checksum_covers_it;
SELECT pg_temp.try_header(0, '', 60);
SELECT pg_temp.try_header(0, '', 0);
SELECT qtopic_internal.record_batch_header('\x00');

-- More records than the bytes can hold: found before and after decompression.

SELECT count(*) FROM kafka, qtopic_internal.record_batch_decode(
	overlay(overlay(batch PLACING '\x7fffffff' FROM 24) PLACING '\x00000065' FROM 58), false)
WHERE name = 'many_none';
SELECT count(*) FROM kafka, qtopic_internal.record_batch_decode(
	overlay(overlay(batch PLACING '\x7fffffff' FROM 24) PLACING '\x02000000' FROM 58), false)
WHERE name = 'many_lz4';
SELECT count(*) FROM kafka, qtopic_internal.record_batch_decode(
	overlay(overlay(batch PLACING '\x7fffffff' FROM 24) PLACING '\x7fffffff' FROM 58), false)
WHERE name = 'many_lz4';
-- fewer: the rest is left over
SELECT count(*) FROM kafka, qtopic_internal.record_batch_decode(
	overlay(batch PLACING '\x0000000b' FROM 58), false)
WHERE name = 'many_lz4';

-- Headers of records.

CREATE FUNCTION pg_temp.round_trip(headers jsonb) RETURNS jsonb
LANGUAGE sql AS $$
	SELECT d.headers FROM qtopic_internal.record_batch_decode(qtopic_internal.record_batch_encode(
		'none', '{epoch}', '{k}', '{v}', ARRAY[headers])) d
$$;

SELECT pg_temp.round_trip(NULL) IS NULL AS none, pg_temp.round_trip('{}') IS NULL AS empty_object,
	pg_temp.round_trip('[]') IS NULL AS empty_array;
SELECT pg_temp.round_trip('{"source": "web", "empty": "", "": "no name", "missing": null, "name": "значение"}');
SELECT pg_temp.round_trip('{"integer": 42, "fraction": 1.50, "true": true, "false": false}');
SELECT pg_temp.round_trip('[{"key": "a", "value": "1"}, {"key": "b", "value": null}, {"key": "c", "value": 3}]');
SELECT pg_temp.round_trip('[{"key": "a", "value": "1"}, {"key": "b", "value": null}, {"key": "a", "value": 3}]');
SELECT pg_temp.round_trip('[{"key": "text", "value_base64": "dGV4dA=="}]');
SELECT pg_temp.round_trip('[{"key": "bytes", "value_base64": "/wA="}, {"key": "zero", "value_base64": "AA=="}, {"key": "empty", "value_base64": ""}]');
SELECT pg_temp.round_trip('null');
SELECT pg_temp.round_trip('"text"');
SELECT pg_temp.round_trip('{"a": {"nested": 1}}');
SELECT pg_temp.round_trip('{"a": []}');
SELECT pg_temp.round_trip('["a"]');
SELECT pg_temp.round_trip('[["key", "value"]]');
SELECT pg_temp.round_trip('[{"value": "1"}]');
SELECT pg_temp.round_trip('[{"key": 1, "value": "1"}]');
SELECT pg_temp.round_trip('[{"key": "a"}]');
SELECT pg_temp.round_trip('[{"key": "a", "val": "1"}]');
SELECT pg_temp.round_trip('[{"key": "a", "value": "1", "value_base64": "MQ=="}]');
SELECT pg_temp.round_trip('[{"key": "a", "value": {}}]');
SELECT pg_temp.round_trip('[{"key": "a", "value_base64": 1}]');
SELECT pg_temp.round_trip('[{"key": "a", "value_base64": "dGV4dA"}]');
SELECT pg_temp.round_trip('[{"key": "a", "value_base64": "$$$$"}]');

-- A name that is no text cannot be shown; the value could.

SELECT d.headers FROM kafka, qtopic_internal.record_batch_decode(pg_temp.with_records(batch, 0,
	'\x18000000026b02760202ff0276'), false) d WHERE name = 'one';

-- Arguments of record_batch_encode().

SELECT qtopic_internal.record_batch_encode(NULL, '{epoch}', '{k}', '{v}');
SELECT qtopic_internal.record_batch_encode('none', NULL, '{k}', '{v}');
SELECT qtopic_internal.record_batch_encode('none', '{epoch}', NULL, '{v}');
SELECT qtopic_internal.record_batch_encode('none', '{epoch}', '{k}', NULL);
SELECT qtopic_internal.record_batch_encode('none', '{NULL}', '{k}', '{v}');
SELECT qtopic_internal.record_batch_encode('none', '{epoch}', '{k}', '{v}', NULL, NULL);
SELECT qtopic_internal.record_batch_encode('none', '{}', '{}', '{}');
SELECT qtopic_internal.record_batch_encode('none', '{epoch}', '{k,l}', '{v,w}');
SELECT qtopic_internal.record_batch_encode('none', '{epoch,epoch}', '{k}', '{v,w}');
SELECT qtopic_internal.record_batch_encode('none', '{epoch}', '{k}', '{v}', '{"{}",NULL}');
SELECT qtopic_internal.record_batch_encode('none', '{epoch}', '{{k}}', '{v}');
SELECT qtopic_internal.record_batch_encode('none', '{infinity}', '{k}', '{v}');
SELECT qtopic_internal.record_batch_encode('none', '{epoch}', '{k}', '{v}', NULL, -1);
SELECT qtopic_internal.record_batch_encode('none', '{epoch}', '{k}', '{v}', NULL, 9223372036854775807);
SELECT qtopic_internal.record_batch_encode('gzip', '{epoch}', '{k}', '{v}');

-- Every batch truncated at every place and with every byte changed in two
-- ways.  With the CRC checked each is found, except in the base offset (0-7)
-- and the leader epoch (12-15), which it does not cover.  Without, anything
-- may come out, but no other error.

CREATE FUNCTION pg_temp.outcome(batch bytea, check_crc boolean) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM r::text FROM qtopic_internal.record_batch_decode(batch, check_crc) r;
	RETURN 'decoded';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END
$$;

CREATE FUNCTION pg_temp.mutate(batch bytea, way text, at int) RETURNS bytea
LANGUAGE sql AS $$
	SELECT CASE way
		WHEN 'nothing' THEN batch
		WHEN 'truncate' THEN substr(batch, 1, at)
		WHEN 'invert' THEN set_byte(batch, at, get_byte(batch, at) # 255)
		WHEN 'one bit' THEN set_byte(batch, at, get_byte(batch, at) # (1 << at % 8))
	END
$$;

CREATE TEMP TABLE fuzz AS
SELECT name, way, at BETWEEN 0 AND 7 OR at BETWEEN 12 AND 15 AS outside_crc,
	pg_temp.outcome(pg_temp.mutate(batch, way, at), true) AS checked,
	pg_temp.outcome(pg_temp.mutate(batch, way, at), false) AS unchecked
FROM kafka, unnest('{nothing,truncate,invert,one bit}'::text[]) way, generate_series(0, length(batch) - 1) at
WHERE name IN ('one', 'mixed', 'many_lz4', 'many_zstd', 'gaps', 'log_append_time', 'empty');

-- 'nothing' shows that the loop would notice.
SELECT way, way <> 'truncate' AND outside_crc AS outside_crc, checked, count(*) FROM fuzz
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT way, array_agg(DISTINCT unchecked ORDER BY unchecked) AS unexpected FROM fuzz
WHERE unchecked NOT IN ('decoded', 'XX001', '0A000', '22021') GROUP BY way;
SELECT count(*) > 100 AS some_damage_decodes FROM fuzz WHERE unchecked = 'decoded' AND way = 'invert';

-- Nothing here is for everybody.

SELECT proname FROM pg_proc WHERE pronamespace = 'qtopic_internal'::regnamespace
AND proname IN ('record_batch_decode', 'record_batch_encode', 'record_batch_header', 'murmur2', 'crc32', 'partition_for_key')
AND has_function_privilege('public', oid, 'EXECUTE');
