/*
 * util.h
 *		What the clients of the benchmark share.
 */
#ifndef BENCH_UTIL_H
#define BENCH_UTIL_H

#include <stdint.h>

#include <libpq-fe.h>

/* Print a message and exit. */
extern void fail(const char *format,...) __attribute__((format(printf, 1, 2), noreturn));

/* Seconds of the monotonic clock, which is the same for all processes. */
extern double now(void);

/* In network order. */
extern int32_t get_int32(const char *data);
extern int64_t get_int64(const char *data);

extern PGconn *connect_server(void);

/* Returns the result, or fails if its status is another one. */
extern PGresult *expect(PGconn *conn, PGresult *result, ExecStatusType status);
extern void prepare(PGconn *conn, const char *name, int param_count, const Oid *types,
					const char *format,...) __attribute__((format(printf, 5, 6)));

#endif
