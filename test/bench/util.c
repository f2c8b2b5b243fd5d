/*
 * util.c
 *		What the clients of the benchmark share.
 */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpq-fe.h>

#include "util.h"

void
fail(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fputs("client: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

double
now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec + at.tv_nsec / 1e9;
}

int32_t
get_int32(const char *data)
{
	uint32_t	n;

	memcpy(&n, data, sizeof(n));
	return (int32_t) ntohl(n);
}

int64_t
get_int64(const char *data)
{
	return (int64_t) ((uint64_t) (uint32_t) get_int32(data) << 32 | (uint32_t) get_int32(data + 4));
}

PGconn *
connect_server(void)
{
	PGconn	   *conn = PQconnectdb("");

	if (PQstatus(conn) != CONNECTION_OK)
		fail("%s", PQerrorMessage(conn));
	return conn;
}

PGresult *
expect(PGconn *conn, PGresult *result, ExecStatusType status)
{
	if (PQresultStatus(result) != status)
		fail("%s", PQerrorMessage(conn));
	return result;
}

void
prepare(PGconn *conn, const char *name, int param_count, const Oid *types, const char *format,...)
{
	char		sql[1000];
	va_list		args;

	va_start(args, format);
	vsnprintf(sql, sizeof(sql), format, args);
	va_end(args);
	PQclear(expect(conn, PQprepare(conn, name, sql, param_count, types), PGRES_COMMAND_OK));
}
