/*
 * debug_point.h
 *		Named places at which a test can stop a session.
 *
 * Compiled in with QTOPIC_DEBUG_POINTS only.  With
 * SET qtopic.debug_point = 'name:key' a session that reaches the place takes
 * and releases the shared advisory lock `key`, and so waits for whoever holds
 * it exclusively.
 */
#ifndef QTOPIC_DEBUG_POINT_H
#define QTOPIC_DEBUG_POINT_H

#ifdef QTOPIC_DEBUG_POINTS
extern void qt_debug_point(const char *name);
#else
#define qt_debug_point(name)	((void) 0)
#endif

#endif							/* QTOPIC_DEBUG_POINT_H */
