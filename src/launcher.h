/*
 * launcher.h
 *		The process that starts the workers of the databases.
 */
#ifndef QTOPIC_LAUNCHER_H
#define QTOPIC_LAUNCHER_H

/* Called once, from _PG_init, while libraries are preloaded. */
extern void qt_launcher_register(void);

extern PGDLLEXPORT void qtopic_launcher_main(Datum arg);

#endif							/* QTOPIC_LAUNCHER_H */
