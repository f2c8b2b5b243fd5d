/*
 * worker_hooks.h
 *		What sessions tell launcher and workers about databases and extensions.
 */
#ifndef QTOPIC_WORKER_HOOKS_H
#define QTOPIC_WORKER_HOOKS_H

/* Called once, from _PG_init, while libraries are preloaded. */
extern void qt_worker_hooks_install(void);

#endif							/* QTOPIC_WORKER_HOOKS_H */
