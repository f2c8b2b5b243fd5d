/*
 * client.c
 *		A client without overhead: what it measures is the server.
 *
 * usage: client produce SIDE TARGET EVENTS BATCH COUNT FIRST [IN_FLIGHT]
 *		  client read plain|qtopic TARGET PAGE COUNT
 *		  client time same|fresh TIMES SQL...
 *
 * produce sends COUNT records in transactions of BATCH records, each in one
 * statement, in binary.  SIDE is one of
 *		copy, insert				COPY into a table; INSERT of unnested arrays
 *		qtopic						produce_batch, TARGET is a topic
 *		copy-values, qtopic-values	the same without times and keys, both of a topic
 *		pgq							pgq.insert_event of each value, TARGET is a queue
 * It waits for each transaction; or, in libpq's pipeline mode, for the first of
 * IN_FLIGHT.  copy-values is sent while it is made, in pieces as libpq sends them.
 * Record number n, from FIRST on, is event n of the file EVENTS (see events.py)
 * with "event_id": n in its value; when the events are used up they come again,
 * a week later each time.  read fetches COUNT records in pages, in binary.
 * time runs the statements in turn, TIMES times, on one connection or each on
 * a new one, which has run nothing before.
 *
 * The server is that of PGHOST etc.  Prints the seconds it took; time prints a
 * line for each statement.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "util.h"

#define BYTEAOID			17
#define INT8OID				20
#define BYTEAARRAYOID		1001
#define TIMESTAMPTZOID		1184
#define TIMESTAMPTZARRAYOID 1185

#define COPY_PIECE			8192

#define WEEK				INT64_C(604800000000)
#define REPEATS_MAX			300

typedef struct Event
{
	int64_t		time;			/* as PostgreSQL sends it */
	int			key_len;
	int			value_len;
	const char *key;
	const char *value;			/* a JSON object, not empty */
} Event;

typedef struct Buffer
{
	char	   *data;
	size_t		len;
	size_t		capacity;
} Buffer;

static Event *events;
static int	event_count;

/* ---- bytes ---- */

static char *
extend(Buffer *buffer, size_t len)
{
	char	   *to;

	while (buffer->len + len > buffer->capacity)
	{
		buffer->capacity = buffer->capacity ? buffer->capacity * 2 : 65536;
		buffer->data = realloc(buffer->data, buffer->capacity);
		if (buffer->data == NULL)
			fail("out of memory");
	}
	to = buffer->data + buffer->len;
	buffer->len += len;
	return to;
}

static void
put_int16(Buffer *buffer, int value)
{
	uint16_t	n = htons((uint16_t) value);

	memcpy(extend(buffer, sizeof(n)), &n, sizeof(n));
}

static void
put_int32(Buffer *buffer, int32_t value)
{
	uint32_t	n = htonl((uint32_t) value);

	memcpy(extend(buffer, sizeof(n)), &n, sizeof(n));
}

static void
put_int64(Buffer *buffer, int64_t value)
{
	put_int32(buffer, (int32_t) (value >> 32));
	put_int32(buffer, (int32_t) value);
}

/* ---- events ---- */

/* The file holds for each event: time, length and bytes of key and of value. */
static void
load_events(const char *path)
{
	FILE	   *file = fopen(path, "rb");
	char	   *data;
	char	   *end;
	long		size;
	int			capacity = 0;

	if (file == NULL || fseek(file, 0, SEEK_END) != 0)
		fail("cannot read %s", path);
	size = ftell(file);
	rewind(file);
	data = malloc(size + 1);
	if (data == NULL || fread(data, 1, size, file) != (size_t) size)
		fail("cannot read %s", path);
	fclose(file);

	end = data + size;
	while (data < end)
	{
		Event	   *event;

		if (event_count == capacity)
		{
			capacity = capacity ? capacity * 2 : 1024;
			events = realloc(events, capacity * sizeof(Event));
			if (events == NULL)
				fail("out of memory");
		}
		event = &events[event_count++];
		event->time = get_int64(data);
		event->key_len = get_int32(data + 8);
		event->key = data + 12;
		data += 12 + event->key_len;
		event->value_len = get_int32(data);
		event->value = data + 4;
		data += 4 + event->value_len;
	}
	if (event_count == 0)
		fail("no events in %s", path);
}

static void
put_time(Buffer *buffer, int64_t number)
{
	put_int32(buffer, 8);
	put_int64(buffer, events[number % event_count].time + number / event_count % REPEATS_MAX * WEEK);
}

static void
put_key(Buffer *buffer, int64_t number)
{
	const Event *event = &events[number % event_count];

	put_int32(buffer, event->key_len);
	memcpy(extend(buffer, event->key_len), event->key, event->key_len);
}

static void
put_value(Buffer *buffer, int64_t number)
{
	const Event *event = &events[number % event_count];
	char		id[40];
	int			id_len = snprintf(id, sizeof(id), "{\"event_id\":%" PRId64 ",", number);

	put_int32(buffer, id_len + event->value_len - 1);
	memcpy(extend(buffer, id_len), id, id_len);
	memcpy(extend(buffer, event->value_len - 1), event->value + 1, event->value_len - 1);
}

static void
put_array(Buffer *buffer, int type, void (*put) (Buffer *, int64_t), int64_t first, int count)
{
	buffer->len = 0;
	put_int32(buffer, 1);		/* dimensions */
	put_int32(buffer, 0);		/* no nulls */
	put_int32(buffer, type);
	put_int32(buffer, count);
	put_int32(buffer, 1);
	for (int i = 0; i < count; i++)
		put(buffer, first + i);
}

/* ---- produce ---- */

/* What a side sends; %s is the target. */
typedef struct Side
{
	const char *name;
	bool		copy;
	bool		values_only;
	const char *sql;
} Side;

static const Side sides[] = {
	{"copy", true, false, "COPY %s (ts, key, value) FROM STDIN (FORMAT binary)"},
	{"copy-values", true, true, "COPY qtopic.%s (value) FROM STDIN (FORMAT binary)"},
	{"insert", false, false, "INSERT INTO %s (ts, key, value) SELECT * FROM unnest($1, $2, $3)"},
	{"qtopic", false, false, "SELECT * FROM produce_batch_bytea('%s', $2, $3, record_times => $1)"},
	{"qtopic-values", false, true, "SELECT * FROM produce_batch_bytea('%s', NULL, $1)"},
	{"pgq", false, true,
	"SELECT count(pgq.insert_event('%s', 'event', convert_from(v, 'UTF8'))) FROM unnest($1) v"},
	{NULL}
};

static void
put_copy_data(PGconn *conn, Buffer *buffer)
{
	if (PQputCopyData(conn, buffer->data, (int) buffer->len) != 1)
		fail("%s", PQerrorMessage(conn));
	buffer->len = 0;
}

static void
copy_batch(PGconn *conn, const Side *side, const char *target, int64_t first, int count)
{
	static Buffer buffer;
	char		sql[1000];

	snprintf(sql, sizeof(sql), side->sql, target);
	PQclear(expect(conn, PQexec(conn, sql), PGRES_COPY_IN));
	memcpy(extend(&buffer, 11), "PGCOPY\n\377\r\n\0", 11);
	put_int32(&buffer, 0);
	put_int32(&buffer, 0);
	for (int i = 0; i < count; i++)
	{
		put_int16(&buffer, side->values_only ? 1 : 3);
		if (!side->values_only)
		{
			put_time(&buffer, first + i);
			put_key(&buffer, first + i);
		}
		put_value(&buffer, first + i);
		if (side->values_only && buffer.len > COPY_PIECE)
			put_copy_data(conn, &buffer);
	}
	put_int16(&buffer, -1);
	put_copy_data(conn, &buffer);
	if (PQputCopyEnd(conn, NULL) != 1)
		fail("%s", PQerrorMessage(conn));
	PQclear(expect(conn, PQgetResult(conn), PGRES_COMMAND_OK));
	PQclear(PQgetResult(conn));
}

static void
send_arrays(PGconn *conn, const Side *side, int64_t first, int count)
{
	static Buffer arrays[3];
	const char *values[3];
	int			lengths[3];
	const int	formats[3] = {1, 1, 1};
	int			used = 0;

	if (!side->values_only)
	{
		put_array(&arrays[used++], TIMESTAMPTZOID, put_time, first, count);
		put_array(&arrays[used++], BYTEAOID, put_key, first, count);
	}
	put_array(&arrays[used++], BYTEAOID, put_value, first, count);
	for (int i = 0; i < used; i++)
	{
		values[i] = arrays[i].data;
		lengths[i] = (int) arrays[i].len;
	}
	if (PQsendQueryPrepared(conn, "", used, values, lengths, formats, 1) != 1)
		fail("%s", PQerrorMessage(conn));
}

/* The result of what was sent first; of a pipeline also the end of its transaction. */
static void
receive_result(PGconn *conn)
{
	PGresult   *result = PQgetResult(conn);

	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		expect(conn, result, PGRES_TUPLES_OK);
	PQclear(result);
	PQclear(PQgetResult(conn));
	if (PQpipelineStatus(conn) != PQ_PIPELINE_OFF)
		PQclear(expect(conn, PQgetResult(conn), PGRES_PIPELINE_SYNC));
}

static void
produce_arrays(PGconn *conn, const Side *side, int batch, int64_t count, int64_t first, int in_flight)
{
	int			waiting = 0;

	if (in_flight > 1 && PQenterPipelineMode(conn) != 1)
		fail("%s", PQerrorMessage(conn));
	for (int64_t number = first; number < first + count; number += batch)
	{
		if (waiting == in_flight)
		{
			receive_result(conn);
			waiting--;
		}
		send_arrays(conn, side, number, batch);
		if (in_flight > 1 && PQpipelineSync(conn) != 1)
			fail("%s", PQerrorMessage(conn));
		waiting++;
	}
	for (; waiting > 0; waiting--)
		receive_result(conn);
}

static void
produce(const char *name, const char *target, int batch, int64_t count, int64_t first,
		int in_flight)
{
	static const Oid types[3] = {TIMESTAMPTZARRAYOID, BYTEAARRAYOID, BYTEAARRAYOID};
	const Side *side = sides;
	PGconn	   *conn = connect_server();
	double		start;

	while (side->name != NULL && strcmp(side->name, name) != 0)
		side++;
	if (side->name == NULL)
		fail("no such side: %s", name);
	if (!side->copy)
		prepare(conn, "", side->values_only ? 1 : 3, side->values_only ? types + 1 : types, side->sql, target);

	start = now();
	if (side->copy)
		for (int64_t number = first; number < first + count; number += batch)
			copy_batch(conn, side, target, number, batch);
	else
		produce_arrays(conn, side, batch, count, first, in_flight);
	printf("%.6f\n", now() - start);
	PQfinish(conn);
}

/* ---- read ---- */

/* The first column of either side is the number of the record. */
static void
read_pages(const char *side, const char *target, int page, int64_t count)
{
	static const Oid types[1] = {INT8OID};
	static const int formats[1] = {1};
	static const int lengths[1] = {8};
	bool		qtopic = strcmp(side, "qtopic") == 0;
	PGconn	   *conn = connect_server();
	int64_t		position = 0;
	int64_t		done = 0;
	int64_t		bytes = 0;
	double		start;

	if (qtopic)
		prepare(conn, "", 1, types,
				"SELECT _offset, _timestamp, key, value FROM fetch_records_bytea('%s', 0, $1, %d)",
				target, page);
	else
		prepare(conn, "", 1, types,
				"SELECT id, ts, key, value FROM %s WHERE id > $1 ORDER BY id LIMIT %d",
				target, page);

	start = now();
	while (done < count)
	{
		char		number[8];
		const char *values[1] = {number};
		PGresult   *result;
		int			rows;

		for (int i = 0; i < 8; i++)
			number[i] = (char) (position >> (56 - 8 * i));
		result = expect(conn, PQexecPrepared(conn, "", 1, values, lengths, formats, 1),
						PGRES_TUPLES_OK);
		rows = PQntuples(result);
		if (rows == 0)
			fail("%s has only %" PRId64 " records", target, done);
		for (int i = 0; i < rows; i++)
			bytes += PQgetlength(result, i, 3);
		position = get_int64(PQgetvalue(result, rows - 1, 0)) + (qtopic ? 1 : 0);
		done += rows;
		PQclear(result);
	}
	printf("%.6f\n", now() - start);
	if (bytes == 0)
		fail("the values are empty");
	PQfinish(conn);
}

/* ---- time ---- */

static void
time_statements(bool fresh, int times, char **sql, int count)
{
	PGconn	   *conn = fresh ? NULL : connect_server();
	double	   *seconds = calloc((size_t) times * count, sizeof(double));

	for (int i = 0; i < times * count; i++)
	{
		/* in the other order every other time */
		int			statement = i / count % 2 ? count - 1 - i % count : i % count;
		PGresult   *result;
		double		start;

		if (fresh)
			conn = connect_server();
		start = now();
		result = PQexec(conn, sql[statement]);
		seconds[i / count * count + statement] = now() - start;
		if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
			fail("%s", PQerrorMessage(conn));
		PQclear(result);
		if (fresh)
			PQfinish(conn);
	}
	for (int statement = 0; statement < count; statement++)
	{
		for (int i = 0; i < times; i++)
			printf("%s%.6f", i ? " " : "", seconds[i * count + statement]);
		printf("\n");
	}
	free(seconds);
	if (!fresh)
		PQfinish(conn);
}

int
main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "produce") == 0 && (argc == 8 || argc == 9))
	{
		load_events(argv[4]);
		produce(argv[2], argv[3], atoi(argv[5]), atoll(argv[6]), atoll(argv[7]),
				argc == 9 ? atoi(argv[8]) : 1);
	}
	else if (strcmp(verb, "read") == 0 && argc == 6)
		read_pages(argv[2], argv[3], atoi(argv[4]), atoll(argv[5]));
	else if (strcmp(verb, "time") == 0 && argc > 4)
		time_statements(strcmp(argv[2], "fresh") == 0, atoi(argv[3]), argv + 4, argc - 4);
	else
		fail("usage: see the beginning of client.c");
	return 0;
}
