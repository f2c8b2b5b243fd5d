/*
 * topic_config.c
 *		Topic configuration: Kafka's keys, defaults and checks.
 *
 * Owns the one table of configuration keys.  Names, defaults and bounds are
 * those of Kafka 4, plus a few keys of qtopic's own.  Values go through text
 * whatever their JSON type is, so 604800000 and "604800000" are the same, and
 * are stored in one spelling.
 *
 * Touches no catalog and no shared memory.  Everything is allocated in the
 * caller's context.  Values are scalars: nothing here recurses, and texts
 * longer than VALUE_TEXT_MAX are refused before they are looked at.
 */
#include "postgres.h"

#include <limits.h>
#include <math.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/varlena.h"

#include "topic_config.h"

/* No valid value comes near this length (in bytes). */
#define VALUE_TEXT_MAX		256

/* How much of a user's text an error message repeats (in bytes). */
#define MESSAGE_TEXT_MAX	64

/* A key at a greater edit distance is not worth suggesting, as in core. */
#define SUGGESTION_DISTANCE_MAX	4
#define SUGGESTION_TEXT_MAX		255

/* The value of an option that Kafka has and qtopic does not have yet. */
#define OPTION_UNSUPPORTED	(-1)

/* Kafka's default level of lz4, by which it means the fast compressor. */
#define KAFKA_LZ4_FAST	9

typedef enum KeyKind
{
	KEY_INT,					/* integer, int field */
	KEY_LONG,					/* integer, int64 field */
	KEY_RATIO,					/* number, double field */
	KEY_BOOL,					/* bool field */
	KEY_ENUM,					/* one of the options, int or enum field */
	KEY_LIST					/* comma-separated options, a bit each, int
								 * field */
} KeyKind;

typedef struct KeyOption
{
	const char *name;			/* Kafka's spelling; NULL ends an array */
	int			value;
	const char *stored_as;		/* for a synonym: the option it stands for */
} KeyOption;

typedef struct ConfigKey
{
	const char *name;
	KeyKind		kind;
	Size		field;			/* where the value goes in ParsedConfig */
	int64		boot;			/* default, but for ratios; need not be within
								 * the bounds */
	int64		min;			/* integers and ratios */
	int64		max;
	const KeyOption *options;
	bool		fixed;			/* cannot change once the topic exists */
	double		boot_ratio;
} ConfigKey;

/* The public struct, and the keys that do not map onto one field of it. */
typedef struct ParsedConfig
{
	QtTopicConfig config;
	int			cleanup_policies;
	int			lz4_level;
	int			timestamp_type;
	int			zstd_level;
} ParsedConfig;

/* One checked value. */
typedef struct KeyValue
{
	int64		number;			/* all kinds but KEY_RATIO */
	double		ratio;
	const char *text;			/* spelling to store, KEY_ENUM and KEY_LIST */
} KeyValue;

/* Keys that Kafka has, or had, and qtopic refuses. */
typedef struct RefusedKey
{
	const char *name;
	const char *reason;
	const char *remedy;			/* or NULL */
	bool		not_yet;		/* it would have a meaning */
} RefusedKey;

#define CLEANUP_COMPACT		0x01
#define CLEANUP_DELETE		0x02

#define TIMESTAMP_CREATE		0
#define TIMESTAMP_LOG_APPEND	1

/* Fields of KEY_ENUM keys are written as int. */
StaticAssertDecl(sizeof(QtCodec) == sizeof(int), "QtCodec is not an int");
StaticAssertDecl(sizeof(QtFormat) == sizeof(int), "QtFormat is not an int");
StaticAssertDecl(sizeof(QtPartitioner) == sizeof(int),
				 "QtPartitioner is not an int");

static const KeyOption cleanup_options[] = {
	{"compact", CLEANUP_COMPACT},
	{"delete", CLEANUP_DELETE},
	{NULL}
};

static const KeyOption codec_options[] = {
	{"producer", QT_CODEC_LZ4},
	{"uncompressed", QT_CODEC_NONE},
	{"none", QT_CODEC_NONE, "uncompressed"},
	{"lz4", QT_CODEC_LZ4},
	{"zstd", QT_CODEC_ZSTD},
	{"gzip", OPTION_UNSUPPORTED},
	{"snappy", OPTION_UNSUPPORTED},
	{NULL}
};

static const KeyOption format_options[] = {
	{"text", QT_FORMAT_TEXT},
	{"jsonb", QT_FORMAT_JSONB},
	{"bytea", QT_FORMAT_BYTEA},
	{NULL}
};

static const KeyOption partitioner_options[] = {
	{"murmur2", QT_PARTITIONER_MURMUR2},
	{"crc32", QT_PARTITIONER_CRC32},
	{NULL}
};

static const KeyOption timestamp_options[] = {
	{"CreateTime", TIMESTAMP_CREATE},
	{"LogAppendTime", TIMESTAMP_LOG_APPEND},
	{NULL}
};

#define FIELD(member)	offsetof(ParsedConfig, member)
#define CONFIG(member)	offsetof(ParsedConfig, config.member)

#define DAY_MS			INT64CONST(86400000)
#define MIB				(1024 * 1024)

/* All keys, in alphabetical order. */
static const ConfigKey config_keys[] = {
	{"cleanup.policy", KEY_LIST, FIELD(cleanup_policies),
	CLEANUP_DELETE, 0, 0, cleanup_options},
	{"compression.lz4.level", KEY_INT, FIELD(lz4_level),
	QT_CODEC_LEVEL_DEFAULT, 1, 17},
	{"compression.type", KEY_ENUM, CONFIG(codec),
	QT_CODEC_LZ4, 0, 0, codec_options},
	{"compression.zstd.level", KEY_INT, FIELD(zstd_level),
	3, -131072, 22},
	{"delete.retention.ms", KEY_LONG, CONFIG(delete_retention_ms),
	DAY_MS, 0, PG_INT64_MAX},
	{"file.delete.delay.ms", KEY_LONG, CONFIG(file_delete_delay_ms),
	60000, 0, PG_INT64_MAX},
	{"key.format", KEY_ENUM, CONFIG(key_format),
	QT_FORMAT_TEXT, 0, 0, format_options, true},
	{"max.compaction.lag.ms", KEY_LONG, CONFIG(max_compaction_lag_ms),
	PG_INT64_MAX, 1, PG_INT64_MAX},
	{"max.message.bytes", KEY_INT, CONFIG(max_message_bytes),
	MIB + 12, 0, QT_BATCH_BYTES_MAX},
	{"message.timestamp.after.max.ms", KEY_LONG, CONFIG(timestamp_after_max_ms),
	3600000, 0, PG_INT64_MAX},
	{"message.timestamp.before.max.ms", KEY_LONG, CONFIG(timestamp_before_max_ms),
	PG_INT64_MAX, 0, PG_INT64_MAX},
	{"message.timestamp.type", KEY_ENUM, FIELD(timestamp_type),
	TIMESTAMP_CREATE, 0, 0, timestamp_options},
	{"min.cleanable.dirty.ratio", KEY_RATIO, CONFIG(min_cleanable_dirty_ratio),
	0, 0, 1, NULL, false, 0.5},
	{"min.compaction.lag.ms", KEY_LONG, CONFIG(min_compaction_lag_ms),
	0, 0, PG_INT64_MAX},
	{"notify", KEY_BOOL, CONFIG(notify),
	true},
	{"partitioner", KEY_ENUM, CONFIG(partitioner),
	QT_PARTITIONER_MURMUR2, 0, 0, partitioner_options},
	{"retention.bytes", KEY_LONG, CONFIG(retention_bytes),
	-1, PG_INT64_MIN, PG_INT64_MAX},
	{"retention.ms", KEY_LONG, CONFIG(retention_ms),
	7 * DAY_MS, -1, PG_INT64_MAX},
	{"segment.bytes", KEY_INT, CONFIG(segment_bytes),
	1024 * MIB, MIB, INT_MAX},
	{"segment.jitter.ms", KEY_LONG, CONFIG(segment_jitter_ms),
	0, 0, PG_INT64_MAX},
	{"segment.ms", KEY_LONG, CONFIG(segment_ms),
	7 * DAY_MS, 1, PG_INT64_MAX},
	{"value.format", KEY_ENUM, CONFIG(value_format),
	QT_FORMAT_TEXT, 0, 0, format_options, true},
};

#define REASON_FILES	"Segments are PostgreSQL tables with PostgreSQL's own indexes."
#define REASON_FLUSH	"PostgreSQL's write-ahead log takes its place."
#define REASON_REMOTE	"qtopic has no remote storage."
#define REASON_REMOVED	"Kafka itself removed this key in version 4.0."
#define REASON_REPLICAS	"PostgreSQL's own replication takes its place."
#define REMEDY_FLUSH	"Set \"synchronous_commit\" instead."
#define REMEDY_REPLICAS	"Set \"synchronous_standby_names\" and \"synchronous_commit\" instead."

static const RefusedKey refused_keys[] = {
	{"compression.gzip.level", "The codec \"gzip\" is not supported yet.",
	"Use \"compression.lz4.level\" or \"compression.zstd.level\".", true},
	{"flush.messages", REASON_FLUSH, REMEDY_FLUSH},
	{"flush.ms", REASON_FLUSH, REMEDY_FLUSH},
	{"follower.replication.throttled.replicas", REASON_REPLICAS},
	{"index.interval.bytes", REASON_FILES},
	{"leader.replication.throttled.replicas", REASON_REPLICAS},
	{"local.retention.bytes", REASON_REMOTE, "Use \"retention.bytes\"."},
	{"local.retention.ms", REASON_REMOTE, "Use \"retention.ms\"."},
	{"message.downconversion.enable", REASON_REMOVED},
	{"message.format.version", REASON_REMOVED},
	{"message.timestamp.difference.max.ms", REASON_REMOVED,
	"Use \"message.timestamp.before.max.ms\" and \"message.timestamp.after.max.ms\"."},
	{"min.insync.replicas", REASON_REPLICAS, REMEDY_REPLICAS},
	{"preallocate", REASON_FILES},
	{"remote.copy.lag.bytes", REASON_REMOTE},
	{"remote.copy.lag.ms", REASON_REMOTE},
	{"remote.log.copy.disable", REASON_REMOTE},
	{"remote.log.delete.on.disable", REASON_REMOTE},
	{"remote.storage.enable", REASON_REMOTE},
	{"segment.index.bytes", REASON_FILES},
	{"unclean.leader.election.enable", REASON_REPLICAS},
};

static void parse_config(Jsonb *stored, ParsedConfig *parsed);
static void check_changes(const ParsedConfig *before, const ParsedConfig *after);
static void check_compaction_lags(const QtTopicConfig *config);
static Jsonb *merge_objects(Jsonb *current, Jsonb *changes);
static void push_kept_pairs(JsonbParseState **state, Jsonb *current, Jsonb *changes);
static void push_changed_pairs(JsonbParseState **state, Jsonb *changes);
static void make_canonical(const ConfigKey *key, JsonbValue *value);
static bool parse_value(const ConfigKey *key, JsonbValue *json, KeyValue *value);
static bool parse_integer(const ConfigKey *key, const char *text, KeyValue *value);
static bool parse_ratio(const ConfigKey *key, const char *text, KeyValue *value);
static bool parse_bool_text(const char *text, KeyValue *value);
static bool parse_option(const ConfigKey *key, const char *text, KeyValue *value);
static bool parse_list(const ConfigKey *key, char *text, KeyValue *value);
static char *scalar_text(JsonbValue *json);
static char *trim(char *text);
static void store_value(const ConfigKey *key, const KeyValue *value, ParsedConfig *parsed);
static int	int_field(const ConfigKey *key, const ParsedConfig *parsed);
static const KeyOption *option_of_value(const KeyOption *options, int value);
static const ConfigKey *find_key(const char *name, int len);
static const char *nearest_key(const char *name, int len);
static void refuse_key(const char *name, int len);
static void refuse_value(const ConfigKey *key, JsonbValue *json);
static char *describe_values(const ConfigKey *key);
static char *clip_text(const char *text, int len);

Jsonb *
qt_topic_config_merge(Jsonb *current, Jsonb *changes)
{
	ParsedConfig before;
	ParsedConfig after;
	Jsonb	   *merged;

	if (changes == NULL)
		changes = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	if (!JB_ROOT_IS_OBJECT(changes))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topic configuration is not a JSON object"),
				 errhint("Write it like this: {\"retention.ms\": 86400000}.")));

	/* also makes sure that it is an object */
	if (current != NULL)
		parse_config(current, &before);

	merged = merge_objects(current, changes);
	parse_config(merged, &after);
	check_compaction_lags(&after.config);
	if (current != NULL)
		check_changes(&before, &after);

	return merged;
}

void
qt_topic_config_parse(Jsonb *stored, QtTopicConfig *config)
{
	ParsedConfig parsed;

	parse_config(stored, &parsed);
	*config = parsed.config;
}

/*
 * Fill in every key from the stored object or its default, then what depends
 * on more than one key.
 */
static void
parse_config(Jsonb *stored, ParsedConfig *parsed)
{
	QtTopicConfig *config = &parsed->config;

	if (!JB_ROOT_IS_OBJECT(stored))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored topic configuration is not a JSON object")));

	memset(parsed, 0, sizeof(ParsedConfig));
	for (int i = 0; i < lengthof(config_keys); i++)
	{
		const ConfigKey *key = &config_keys[i];
		KeyValue	value = {key->boot, key->boot_ratio};
		JsonbValue	json;

		if (getKeyJsonValueFromContainer(&stored->root, key->name,
										 strlen(key->name), &json) != NULL &&
			(!parse_value(key, &json, &value) ||
			 (key->kind == KEY_ENUM && value.number == OPTION_UNSUPPORTED)))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("stored value of configuration key \"%s\" is invalid",
							key->name),
					 errdetail_internal("%s", describe_values(key))));
		store_value(key, &value, parsed);
	}

	config->cleanup_compact = (parsed->cleanup_policies & CLEANUP_COMPACT) != 0;
	config->cleanup_delete = (parsed->cleanup_policies & CLEANUP_DELETE) != 0;
	config->log_append_time = (parsed->timestamp_type == TIMESTAMP_LOG_APPEND);
	if (config->codec == QT_CODEC_LZ4)
		config->codec_level = parsed->lz4_level == KAFKA_LZ4_FAST ?
			QT_CODEC_LEVEL_DEFAULT : parsed->lz4_level;
	else if (config->codec == QT_CODEC_ZSTD)
		config->codec_level = parsed->zstd_level;

	/* Kafka takes any negative size for "no limit"; our callers know one. */
	if (config->retention_bytes < 0)
		config->retention_bytes = -1;
}

/* Refuse to change what the records already written depend on. */
static void
check_changes(const ParsedConfig *before, const ParsedConfig *after)
{
	for (int i = 0; i < lengthof(config_keys); i++)
	{
		const ConfigKey *key = &config_keys[i];

		if (key->fixed && int_field(key, before) != int_field(key, after))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("configuration key \"%s\" cannot be changed",
							key->name),
					 errdetail("The topic was created with \"%s\".",
							   option_of_value(key->options, int_field(key, before))->name),
					 errhint("Create another topic, and copy the records to it.")));
	}
}

/* Kafka's only check of one key against another. */
static void
check_compaction_lags(const QtTopicConfig *config)
{
	if (config->min_compaction_lag_ms > config->max_compaction_lag_ms)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("configuration key \"%s\" exceeds \"%s\"",
						"min.compaction.lag.ms", "max.compaction.lag.ms"),
				 errdetail("The values are %lld and %lld.",
						   (long long) config->min_compaction_lag_ms,
						   (long long) config->max_compaction_lag_ms)));
}

/* The stored object (NULL: none) with the checked changes over it. */
static Jsonb *
merge_objects(Jsonb *current, Jsonb *changes)
{
	JsonbParseState *state = NULL;
	JsonbValue *merged;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (current != NULL)
		push_kept_pairs(&state, current, changes);
	push_changed_pairs(&state, changes);
	merged = pushJsonbValue(&state, WJB_END_OBJECT, NULL);

	return JsonbValueToJsonb(merged);
}

/*
 * Copy the pairs that the changes do not mention, keys of a later version
 * included.
 */
static void
push_kept_pairs(JsonbParseState **state, Jsonb *current, Jsonb *changes)
{
	JsonbIterator *iterator = JsonbIteratorInit(&current->root);
	JsonbIteratorToken token;
	JsonbValue	name;
	JsonbValue	value;
	JsonbValue	ignored;

	while ((token = JsonbIteratorNext(&iterator, &name, true)) != WJB_DONE)
	{
		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&iterator, &value, true);
		if (getKeyJsonValueFromContainer(&changes->root, name.val.string.val,
										 name.val.string.len, &ignored) != NULL)
			continue;
		pushJsonbValue(state, WJB_KEY, &name);
		pushJsonbValue(state, WJB_VALUE, &value);
	}
}

/* Check each change, and add it in its canonical spelling; null adds nothing. */
static void
push_changed_pairs(JsonbParseState **state, Jsonb *changes)
{
	JsonbIterator *iterator = JsonbIteratorInit(&changes->root);
	JsonbIteratorToken token;
	JsonbValue	name;
	JsonbValue	value;

	while ((token = JsonbIteratorNext(&iterator, &name, true)) != WJB_DONE)
	{
		const ConfigKey *key;

		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&iterator, &value, true);
		key = find_key(name.val.string.val, name.val.string.len);
		if (key == NULL)
			refuse_key(name.val.string.val, name.val.string.len);
		if (value.type == jbvNull)
			continue;
		make_canonical(key, &value);
		pushJsonbValue(state, WJB_KEY, &name);
		pushJsonbValue(state, WJB_VALUE, &value);
	}
}

/* Replace a user's value by the one to store, or refuse it. */
static void
make_canonical(const ConfigKey *key, JsonbValue *json)
{
	KeyValue	value;

	if (!parse_value(key, json, &value))
		refuse_value(key, json);

	switch (key->kind)
	{
		case KEY_INT:
		case KEY_LONG:
			json->type = jbvNumeric;
			json->val.numeric = int64_to_numeric(value.number);
			break;
		case KEY_RATIO:
			json->type = jbvNumeric;
			json->val.numeric =
				DatumGetNumeric(DirectFunctionCall1(float8_numeric,
													Float8GetDatum(value.ratio)));
			break;
		case KEY_BOOL:
			json->type = jbvBool;
			json->val.boolean = (value.number != 0);
			break;
		case KEY_ENUM:
			if (value.number == OPTION_UNSUPPORTED)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("value \"%s\" of configuration key \"%s\" is not supported yet",
								value.text, key->name),
						 errhint("Use \"lz4\" or \"zstd\".")));
			/* FALLTHROUGH */
		case KEY_LIST:
			json->type = jbvString;
			json->val.string.val = unconstify(char *, value.text);
			json->val.string.len = strlen(value.text);
			break;
	}
}

/* Check a value, whoever gave it.  False if it is not one of this key's. */
static bool
parse_value(const ConfigKey *key, JsonbValue *json, KeyValue *value)
{
	char	   *text = scalar_text(json);

	if (text == NULL || strlen(text) > VALUE_TEXT_MAX)
		return false;
	text = trim(text);

	switch (key->kind)
	{
		case KEY_INT:
		case KEY_LONG:
			return json->type != jbvBool && parse_integer(key, text, value);
		case KEY_RATIO:
			return json->type != jbvBool && parse_ratio(key, text, value);
		case KEY_BOOL:
			return parse_bool_text(text, value);
		case KEY_ENUM:
			return json->type == jbvString && parse_option(key, text, value);
		case KEY_LIST:
			return json->type == jbvString && parse_list(key, text, value);
	}
	return false;				/* keep compiler quiet */
}

static bool
parse_integer(const ConfigKey *key, const char *text, KeyValue *value)
{
	char	   *end;

	errno = 0;
	value->number = strtoi64(text, &end, 10);
	return end != text && *end == '\0' && errno == 0 &&
		value->number >= key->min && value->number <= key->max;
}

static bool
parse_ratio(const ConfigKey *key, const char *text, KeyValue *value)
{
	char	   *end;

	/* an underflow is a good enough zero, so errno does not matter */
	value->ratio = strtod(text, &end);
	return end != text && *end == '\0' && !isnan(value->ratio) &&
		value->ratio >= (double) key->min && value->ratio <= (double) key->max;
}

/* Only the two words that Kafka takes, in any case as there. */
static bool
parse_bool_text(const char *text, KeyValue *value)
{
	value->number = (pg_strcasecmp(text, "true") == 0);
	return value->number || pg_strcasecmp(text, "false") == 0;
}

static bool
parse_option(const ConfigKey *key, const char *text, KeyValue *value)
{
	for (const KeyOption *option = key->options; option->name != NULL; option++)
	{
		if (pg_strcasecmp(text, option->name) == 0)
		{
			value->number = option->value;
			value->text = option->stored_as ? option->stored_as : option->name;
			return true;
		}
	}
	return false;
}

/*
 * As Kafka: no option twice, and an empty list is a value (for cleanup.policy:
 * keep everything).  Stored in the order of the options.  Scribbles on text.
 */
static bool
parse_list(const ConfigKey *key, char *text, KeyValue *value)
{
	StringInfoData names;
	int			bits = 0;
	char	   *next = (*text == '\0') ? NULL : text;

	while (next != NULL)
	{
		char	   *item = next;
		KeyValue	one;

		next = strchr(item, ',');
		if (next != NULL)
			*next++ = '\0';
		if (!parse_option(key, trim(item), &one) || (bits & one.number) != 0)
			return false;
		bits |= one.number;
	}

	initStringInfo(&names);
	for (const KeyOption *option = key->options; option->name != NULL; option++)
	{
		if ((bits & option->value) != 0)
			appendStringInfo(&names, "%s%s", names.len > 0 ? "," : "", option->name);
	}
	value->number = bits;
	value->text = names.data;
	return true;
}

/* A copy of a scalar as text; NULL for objects, arrays and null. */
static char *
scalar_text(JsonbValue *json)
{
	switch (json->type)
	{
		case jbvString:
			/* no need to copy what is too long anyway */
			return pnstrdup(json->val.string.val,
							Min(json->val.string.len, VALUE_TEXT_MAX + 1));
		case jbvNumeric:
			/* without the zeros after the point: 1.0 is an integer */
			return numeric_normalize(json->val.numeric);
		case jbvBool:
			return pstrdup(json->val.boolean ? "true" : "false");
		default:
			return NULL;
	}
}

/* Cut off the white space on both ends, in place, as Kafka does. */
static char *
trim(char *text)
{
	char	   *end;

	while (scanner_isspace(*text))
		text++;
	end = text + strlen(text);
	while (end > text && scanner_isspace(end[-1]))
		end--;
	*end = '\0';
	return text;
}

static void
store_value(const ConfigKey *key, const KeyValue *value, ParsedConfig *parsed)
{
	char	   *field = (char *) parsed + key->field;

	switch (key->kind)
	{
		case KEY_INT:
		case KEY_ENUM:
		case KEY_LIST:
			*(int *) field = (int) value->number;
			break;
		case KEY_LONG:
			*(int64 *) field = value->number;
			break;
		case KEY_RATIO:
			*(double *) field = value->ratio;
			break;
		case KEY_BOOL:
			*(bool *) field = (value->number != 0);
			break;
	}
}

static int
int_field(const ConfigKey *key, const ParsedConfig *parsed)
{
	Assert(key->kind == KEY_INT || key->kind == KEY_ENUM || key->kind == KEY_LIST);
	return *(const int *) ((const char *) parsed + key->field);
}

static const KeyOption *
option_of_value(const KeyOption *options, int value)
{
	while (options->name != NULL && options->value != value)
		options++;
	Assert(options->name != NULL);
	return options;
}

static const ConfigKey *
find_key(const char *name, int len)
{
	for (int i = 0; i < lengthof(config_keys); i++)
	{
		const char *candidate = config_keys[i].name;

		if (strlen(candidate) == len && memcmp(candidate, name, len) == 0)
			return &config_keys[i];
	}
	return NULL;
}

/* The key that was probably meant, or NULL. */
static const char *
nearest_key(const char *name, int len)
{
	const char *nearest = NULL;
	int			nearest_distance = Min(SUGGESTION_DISTANCE_MAX, len / 2) + 1;

	if (len == 0 || len > SUGGESTION_TEXT_MAX)
		return NULL;

	for (int i = 0; i < lengthof(config_keys); i++)
	{
		const char *candidate = config_keys[i].name;
		int			distance;

		distance = varstr_levenshtein_less_equal(name, len,
												 candidate, strlen(candidate),
												 1, 1, 1,
												 nearest_distance, true);
		if (distance < nearest_distance)
		{
			nearest = candidate;
			nearest_distance = distance;
		}
	}
	return nearest;
}

/* Report a key that cannot be set.  Does not return. */
static void
refuse_key(const char *name, int len)
{
	char	   *shown = clip_text(name, len);
	const char *nearest;

	for (int i = 0; i < lengthof(refused_keys); i++)
	{
		const RefusedKey *refused = &refused_keys[i];

		if (strlen(refused->name) == len && memcmp(refused->name, name, len) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 refused->not_yet ?
					 errmsg("configuration key \"%s\" is not supported yet", shown) :
					 errmsg("configuration key \"%s\" has no meaning in qtopic", shown),
					 errdetail("%s", refused->reason),
					 refused->remedy ? errhint("%s", refused->remedy) : 0));
	}

	nearest = nearest_key(name, len);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized configuration key \"%s\"", shown),
			 nearest ? errhint("Perhaps you meant the configuration key \"%s\".",
							   nearest) : 0));
}

/* Report a value that is not one of the key's.  Does not return. */
static void
refuse_value(const ConfigKey *key, JsonbValue *json)
{
	char	   *text = scalar_text(json);

	if (text == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value of configuration key \"%s\" is not a scalar",
						key->name),
				 errdetail_internal("%s", describe_values(key))));

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for configuration key \"%s\": \"%s\"",
					key->name, clip_text(text, strlen(text))),
			 errdetail_internal("%s", describe_values(key))));
}

/* A sentence that says which values a key takes. */
static char *
describe_values(const ConfigKey *key)
{
	StringInfoData names;

	switch (key->kind)
	{
		case KEY_INT:
		case KEY_LONG:
			return psprintf(_("Valid values are integers from %lld to %lld."),
							(long long) key->min, (long long) key->max);
		case KEY_RATIO:
			return psprintf(_("Valid values are numbers from %lld to %lld."),
							(long long) key->min, (long long) key->max);
		case KEY_BOOL:
			return pstrdup(_("Valid values are true and false."));
		case KEY_ENUM:
		case KEY_LIST:
			break;
	}

	initStringInfo(&names);
	for (const KeyOption *option = key->options; option->name != NULL; option++)
	{
		if (option->value != OPTION_UNSUPPORTED)
			appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "",
							 option->name);
	}
	return psprintf(key->kind == KEY_LIST ?
					_("Valid values are comma-separated lists of %s.") :
					_("Valid values are %s."),
					names.data);
}

/* A user's text, short enough for a message. */
static char *
clip_text(const char *text, int len)
{
	if (len <= MESSAGE_TEXT_MAX)
		return pnstrdup(text, len);
	return psprintf("%.*s...", pg_mbcliplen(text, len, MESSAGE_TEXT_MAX), text);
}
