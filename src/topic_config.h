/*
 * topic_config.h
 *		Topic configuration: Kafka's keys, defaults and checks.
 *
 * A topic stores only what was set explicitly, as a jsonb object of canonical
 * values; the struct below has every key with defaults filled in.
 */
#ifndef QTOPIC_TOPIC_CONFIG_H
#define QTOPIC_TOPIC_CONFIG_H

#include "utils/jsonb.h"

#include "codec.h"
#include "partitioner.h"
#include "qtopic.h"

typedef struct QtTopicConfig
{
	bool		cleanup_delete;		/* cleanup.policy has "delete" */
	bool		cleanup_compact;	/* cleanup.policy has "compact" */
	QtCodec		codec;				/* compression.type; "producer" is lz4 */
	int			codec_level;		/* compression.<codec>.level */
	int64		delete_retention_ms;
	int64		file_delete_delay_ms;
	QtFormat	key_format;			/* key.format */
	int			max_message_bytes;
	int64		max_compaction_lag_ms;
	bool		log_append_time;	/* message.timestamp.type */
	int64		timestamp_after_max_ms;
	int64		timestamp_before_max_ms;
	double		min_cleanable_dirty_ratio;
	int64		min_compaction_lag_ms;
	bool		notify;
	QtPartitioner partitioner;
	int64		retention_bytes;
	int64		retention_ms;
	int			segment_bytes;
	int64		segment_jitter_ms;
	int64		segment_ms;
	QtFormat	value_format;		/* value.format */
} QtTopicConfig;

/*
 * Check a configuration as a user gave it and merge it over `current` (NULL:
 * a new topic).  A JSON null resets a key.  Returns the canonical jsonb to
 * store, palloc'd.  Throws 22023 with detail and hint: not an object,
 * unrecognized key (the hint names the nearest one), bad type, value out of
 * range, codec that is not there, a format that changes (current not NULL).
 */
extern Jsonb *qt_topic_config_merge(Jsonb *current, Jsonb *changes);

/*
 * Fill the struct from a stored configuration.  Keys of a later version are
 * ignored; a value that does not parse is XX001.
 */
extern void qt_topic_config_parse(Jsonb *stored, QtTopicConfig *config);

#endif							/* QTOPIC_TOPIC_CONFIG_H */
