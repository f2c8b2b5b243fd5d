/*
 * guc.h
 *		Configuration parameters of the server.
 */
#ifndef QTOPIC_GUC_H
#define QTOPIC_GUC_H

typedef enum QtProduceMode
{
	QT_PRODUCE_IMMEDIATE,
	QT_PRODUCE_DEFERRED
} QtProduceMode;

extern bool qt_guc_check_crcs;
extern int	qt_guc_deferred_buffer_size;	/* kB */
extern bool qt_guc_durable_read;
extern int	qt_guc_max_group_partitions;
extern int	qt_guc_max_members;
extern int	qt_guc_max_partitions;
extern int	qt_guc_max_wait;	/* ms */
extern int	qt_guc_notify_interval; /* ms */
extern int	qt_guc_offsets_retention;	/* minutes */
extern int	qt_guc_produce_mode;
extern bool qt_guc_workers;
#ifdef QTOPIC_DEBUG_POINTS
extern char *qt_guc_debug_point;
#endif

extern void qt_guc_define(void);

#endif							/* QTOPIC_GUC_H */
