/*
 * consume_portal.h
 *		Cursors that read in a consumer group.
 */
#ifndef QTOPIC_CONSUME_PORTAL_H
#define QTOPIC_CONSUME_PORTAL_H

/*
 * Called when records are about to be read in a group by the active portal.
 * 55000 if it could keep its rows when they are given back: it is older than
 * the current savepoint.
 */
extern void qt_consume_check_portal(void);

#endif							/* QTOPIC_CONSUME_PORTAL_H */
