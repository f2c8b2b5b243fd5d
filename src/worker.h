/*
 * worker.h
 *		The process that works for one database.
 */
#ifndef QTOPIC_WORKER_H
#define QTOPIC_WORKER_H

extern PGDLLEXPORT void qtopic_worker_main(Datum arg);

#endif							/* QTOPIC_WORKER_H */
