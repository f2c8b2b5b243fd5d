/*
 * api_member.c
 *		SQL functions: members of consumer groups.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "api_rows.h"
#include "membership.h"
#include "offset_commit.h"
#include "poll.h"
#include "qtopic.h"

PG_FUNCTION_INFO_V1(qtopic_join_group);
PG_FUNCTION_INFO_V1(qtopic_heartbeat);
PG_FUNCTION_INFO_V1(qtopic_leave_group);
PG_FUNCTION_INFO_V1(qtopic_poll_records);
PG_FUNCTION_INFO_V1(qtopic_poll_records_bytea);
PG_FUNCTION_INFO_V1(qtopic_poll_records_jsonb);
PG_FUNCTION_INFO_V1(qtopic_commit_offset);
PG_FUNCTION_INFO_V1(qtopic_commit_offsets);
PG_FUNCTION_INFO_V1(qtopic_member_last_seen);
PG_FUNCTION_INFO_V1(qtopic_expire_members);

/* Partitions of one commit_offsets(). */
#define OFFSETS_MAX		QT_PARTITIONS_MAX

static void begin_call(FunctionCallInfo fcinfo, const char *function);
static const char *id_argument(FunctionCallInfo fcinfo, int arg, const char *name);
static int	epoch_argument(FunctionCallInfo fcinfo);
static QtTopic **topics_argument(FunctionCallInfo fcinfo, int *count);
static QtTopic *readable_topic(const char *name);
static Datum member_row(FunctionCallInfo fcinfo, const QtMember *member, bool with_id);
static Jsonb *assignment(const QtMember *member);
static int	compare_owned(const void *a, const void *b);
static Datum poll_as(FunctionCallInfo fcinfo, QtFormat key_format, QtFormat value_format);
static int	read_positions(Jsonb *positions, QtOffsetToCommit **offsets);
static void read_offset(QtTopic *topic, const JsonbValue *partition, const JsonbValue *value,
						QtOffsetToCommit *offset);
static int64 offset_from_json(const JsonbValue *value);
static void check_offset(const QtOffsetToCommit *offset);
static void report_positions(const char *detail);

/*
 * join_group(consumer_group text, topics text[], instance_id text,
 *			  assignor text, session_timeout interval, INOUT member_id text)
 */
Datum
qtopic_join_group(PG_FUNCTION_ARGS)
{
	QtJoinRequest request = {0};
	QtMember	member;
	const char *assignor;
	int64		session_ms;
	int			found;

	begin_call(fcinfo, "join_group()");
	request.group = qt_argument_text(fcinfo, 0, "consumer_group");
	qt_group_check_name(request.group);
	request.topics = topics_argument(fcinfo, &request.topic_count);
	if (!PG_ARGISNULL(2))
		request.instance_id = id_argument(fcinfo, 2, "instance_id");
	assignor = qt_argument_text(fcinfo, 3, "assignor");
	found = qt_assignor_from_name(assignor);
	if (found < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unrecognized assignor \"%s\"", assignor),
				 errdetail("It is \"uniform\" or \"range\".")));
	request.assignor = found;
	session_ms = qt_argument_ms(fcinfo, 4, "session_timeout");
	if (session_ms < QT_SESSION_MS_MIN || session_ms > QT_SESSION_MS_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("session_timeout is out of range"),
				 errdetail("It is %lld ms; from %d ms to %d ms are allowed.",
						   (long long) session_ms, QT_SESSION_MS_MIN, QT_SESSION_MS_MAX)));
	request.session_ms = (int) session_ms;
	if (!PG_ARGISNULL(5))
		request.member_id = id_argument(fcinfo, 5, "member_id");

	qt_member_join(&request, &member);
	return member_row(fcinfo, &member, true);
}

/* heartbeat(consumer_group text, member_id text, INOUT member_epoch int) */
Datum
qtopic_heartbeat(PG_FUNCTION_ARGS)
{
	QtMember	member;

	begin_call(fcinfo, "heartbeat()");
	qt_member_present(&member, qt_argument_text(fcinfo, 0, "consumer_group"),
					  id_argument(fcinfo, 1, "member_id"), epoch_argument(fcinfo));
	return member_row(fcinfo, &member, false);
}

/* leave_group(consumer_group text, member_id text, member_epoch int) */
Datum
qtopic_leave_group(PG_FUNCTION_ARGS)
{
	begin_call(fcinfo, "leave_group()");
	qt_member_leave(qt_argument_text(fcinfo, 0, "consumer_group"),
					id_argument(fcinfo, 1, "member_id"), epoch_argument(fcinfo));
	PG_RETURN_VOID();
}

/*
 * poll_records(consumer_group text, member_id text, member_epoch int,
 *				max_records int, max_wait interval, max_bytes int)
 */
Datum
qtopic_poll_records(PG_FUNCTION_ARGS)
{
	return poll_as(fcinfo, QT_FORMAT_TEXT, QT_FORMAT_TEXT);
}

Datum
qtopic_poll_records_bytea(PG_FUNCTION_ARGS)
{
	return poll_as(fcinfo, QT_FORMAT_BYTEA, QT_FORMAT_BYTEA);
}

Datum
qtopic_poll_records_jsonb(PG_FUNCTION_ARGS)
{
	return poll_as(fcinfo, QT_FORMAT_TEXT, QT_FORMAT_JSONB);
}

/*
 * commit_offsets(consumer_group text, member_id text, member_epoch int,
 *				  topic text, partition int, next_offset bigint, metadata text)
 */
Datum
qtopic_commit_offset(PG_FUNCTION_ARGS)
{
	QtOffsetToCommit offset = {0};

	begin_call(fcinfo, "commit_offsets()");
	offset.topic = readable_topic(qt_argument_text(fcinfo, 3, "topic"));
	qt_argument_not_null(fcinfo, 4, "partition");
	offset.partition = PG_GETARG_INT32(4);
	qt_argument_not_null(fcinfo, 5, "next_offset");
	offset.next_offset = PG_GETARG_INT64(5);
	if (!PG_ARGISNULL(6))
		offset.metadata = text_to_cstring(PG_GETARG_TEXT_PP(6));
	check_offset(&offset);
	qt_commit_offsets(qt_argument_text(fcinfo, 0, "consumer_group"),
					  id_argument(fcinfo, 1, "member_id"), epoch_argument(fcinfo),
					  &offset, 1);
	PG_RETURN_VOID();
}

/*
 * commit_offsets(consumer_group text, member_id text, member_epoch int,
 *				  positions jsonb)
 */
Datum
qtopic_commit_offsets(PG_FUNCTION_ARGS)
{
	QtOffsetToCommit *offsets;
	int			count;

	begin_call(fcinfo, "commit_offsets()");
	qt_argument_not_null(fcinfo, 3, "positions");
	count = read_positions(PG_GETARG_JSONB_P(3), &offsets);
	qt_commit_offsets(qt_argument_text(fcinfo, 0, "consumer_group"),
					  id_argument(fcinfo, 1, "member_id"), epoch_argument(fcinfo),
					  offsets, count);
	PG_RETURN_VOID();
}

/* qtopic_internal.member_last_seen(member_no int) */
Datum
qtopic_member_last_seen(PG_FUNCTION_ARGS)
{
	TimestampTz last_seen;

	qt_shmem_require();
	last_seen = qt_member_last_seen(PG_GETARG_INT32(0));
	if (last_seen == 0)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(last_seen);
}

/* qtopic_internal.expire_members(at timestamptz) */
Datum
qtopic_expire_members(PG_FUNCTION_ARGS)
{
	begin_call(fcinfo, "expire_members()");
	PG_RETURN_INT32(qt_members_expire(PG_GETARG_TIMESTAMPTZ(0)));
}

/* ---- arguments */

static void
begin_call(FunctionCallInfo fcinfo, const char *function)
{
	PreventCommandIfReadOnly(function);
	PreventCommandDuringRecovery(function);
	PreventCommandIfParallelMode(function);
	qt_shmem_require();
}

static const char *
id_argument(FunctionCallInfo fcinfo, int arg, const char *name)
{
	const char *id = qt_argument_text(fcinfo, arg, name);

	if (id[0] == '\0' || strlen(id) > QT_MEMBER_ID_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must have from 1 to %d bytes", name, QT_MEMBER_ID_MAX),
				 errdetail("It has %zu.", strlen(id))));
	return id;
}

static int
epoch_argument(FunctionCallInfo fcinfo)
{
	qt_argument_not_null(fcinfo, 2, "member_epoch");
	return PG_GETARG_INT32(2);
}

/* Each topic once, in the order of identifiers. */
static QtTopic **
topics_argument(FunctionCallInfo fcinfo, int *count)
{
	Datum	   *names;
	bool	   *nulls;
	int			name_count;
	QtTopic   **topics;

	qt_argument_not_null(fcinfo, 1, "topics");
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT,
					  &names, &nulls, &name_count);
	if (name_count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topics must not be empty")));

	topics = palloc(sizeof(QtTopic *) * name_count);
	*count = 0;
	for (int i = 0; i < name_count; i++)
	{
		QtTopic    *topic;
		int			at = *count;

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("topics must not contain null")));
		topic = readable_topic(TextDatumGetCString(names[i]));
		while (at > 0 && topics[at - 1]->id > topic->id)
			at--;
		if (at > 0 && topics[at - 1] == topic)
			continue;
		memmove(&topics[at + 1], &topics[at], sizeof(QtTopic *) * (*count - at));
		topics[at] = topic;
		(*count)++;
	}
	return topics;
}

static QtTopic *
readable_topic(const char *name)
{
	QtTopic    *topic = qt_topic_lookup(name, false);

	qt_topic_check_right(topic, ACL_SELECT);
	return topic;
}

/* ---- results */

/* [member_id,] member_epoch, assignment */
static Datum
member_row(FunctionCallInfo fcinfo, const QtMember *member, bool with_id)
{
	Datum		values[3];
	bool		nulls[3] = {false};
	int			count = 0;
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (with_id)
		values[count++] = CStringGetTextDatum(member->row.member_id);
	values[count++] = Int32GetDatum(member->group.group_epoch);
	values[count] = JsonbPGetDatum(assignment(member));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/* {"topic": [partition, ...], ...} */
static Jsonb *
assignment(const QtMember *member)
{
	JsonbParseState *state = NULL;
	QtTopic    *topic = NULL;

	qsort(member->owned, member->owned_count, sizeof(QtOwnedPartition), compare_owned);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < member->owned_count; i++)
	{
		JsonbValue	value;

		if (member->owned[i].topic != topic)
		{
			if (topic != NULL)
				pushJsonbValue(&state, WJB_END_ARRAY, NULL);
			topic = member->owned[i].topic;
			value.type = jbvString;
			value.val.string.val = topic->name;
			value.val.string.len = strlen(topic->name);
			pushJsonbValue(&state, WJB_KEY, &value);
			pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
		}
		value.type = jbvNumeric;
		value.val.numeric = int64_to_numeric(member->owned[i].partition);
		pushJsonbValue(&state, WJB_ELEM, &value);
	}
	if (topic != NULL)
		pushJsonbValue(&state, WJB_END_ARRAY, NULL);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static int
compare_owned(const void *a, const void *b)
{
	const QtOwnedPartition *left = a;
	const QtOwnedPartition *right = b;
	int			order = strcmp(left->topic->name, right->topic->name);

	return order != 0 ? order : left->partition - right->partition;
}

static Datum
poll_as(FunctionCallInfo fcinfo, QtFormat key_format, QtFormat value_format)
{
	QtPollRequest request;
	QtRows		rows;

	begin_call(fcinfo, "poll_records()");
	request.group = qt_argument_text(fcinfo, 0, "consumer_group");
	request.member_id = id_argument(fcinfo, 1, "member_id");
	request.epoch = epoch_argument(fcinfo);
	request.max_records = qt_argument_positive(fcinfo, 3, "max_records");
	request.max_wait_ms = qt_argument_ms(fcinfo, 4, "max_wait");
	request.max_bytes = qt_argument_positive(fcinfo, 5, "max_bytes");

	qt_rows_begin(&rows, fcinfo, key_format, value_format, request.max_records);
	rows.with_topic = true;
	(void) qt_poll(&request, qt_rows_add, &rows);
	qt_rows_end(&rows);
	return (Datum) 0;
}

/* ---- {"topic": {"partition": next_offset | {"next_offset": n, "metadata": text}}} */

static int
read_positions(Jsonb *positions, QtOffsetToCommit **offsets)
{
	JsonbIterator *it = JsonbIteratorInit(&positions->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	QtTopic    *topic = NULL;
	int			depth = 0;
	int			count = 0;
	int			room = 16;

	if (!JB_ROOT_IS_OBJECT(positions))
		report_positions("It is not an object.");
	*offsets = palloc(sizeof(QtOffsetToCommit) * room);
	while ((token = JsonbIteratorNext(&it, &value, depth == 2)) != WJB_DONE)
	{
		JsonbValue	partition;

		if (token == WJB_BEGIN_OBJECT)
			depth++;
		else if (token == WJB_END_OBJECT)
			depth--;
		else if (token == WJB_KEY && depth == 1)
			topic = readable_topic(pnstrdup(value.val.string.val, value.val.string.len));
		else if (token == WJB_KEY)
		{
			partition = value;
			(void) JsonbIteratorNext(&it, &value, true);
			if (count == OFFSETS_MAX)
				report_positions("It has too many partitions.");
			if (count == room)
				*offsets = repalloc(*offsets, sizeof(QtOffsetToCommit) * (room *= 2));
			read_offset(topic, &partition, &value, &(*offsets)[count++]);
		}
		else
			report_positions("The value of a topic is not an object of partitions.");
	}
	return count;
}

static void
read_offset(QtTopic *topic, const JsonbValue *partition, const JsonbValue *value,
			QtOffsetToCommit *offset)
{
	char	   *number = pnstrdup(partition->val.string.val, partition->val.string.len);
	char	   *end;
	long		n;

	memset(offset, 0, sizeof(*offset));
	offset->topic = topic;
	errno = 0;
	n = strtol(number, &end, 10);
	if (errno != 0 || number[0] < '0' || number[0] > '9' || *end != '\0' || n > PG_INT32_MAX)
		report_positions("The name of a partition is not its number.");
	offset->partition = (int) n;

	if (value->type == jbvNumeric)
		offset->next_offset = offset_from_json(value);
	else if (value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data))
	{
		JsonbValue *found = getKeyJsonValueFromContainer(value->val.binary.data,
														 "next_offset", 11, NULL);
		JsonbValue *metadata = getKeyJsonValueFromContainer(value->val.binary.data,
															"metadata", 8, NULL);

		if (found == NULL || found->type != jbvNumeric)
			report_positions("A partition has no number next_offset.");
		offset->next_offset = offset_from_json(found);
		if (metadata != NULL && metadata->type == jbvString)
			offset->metadata = pnstrdup(metadata->val.string.val, metadata->val.string.len);
		else if (metadata != NULL && metadata->type != jbvNull)
			report_positions("The metadata of a partition is not a string.");
	}
	else
		report_positions("The value of a partition is neither a number nor an object.");
	check_offset(offset);
}

/* 22003 out of the range of bigint */
static int64
offset_from_json(const JsonbValue *value)
{
	Datum		number = NumericGetDatum(value->val.numeric);
	int64		offset = DatumGetInt64(DirectFunctionCall1(numeric_int8, number));

	if (!DatumGetBool(DirectFunctionCall2(numeric_eq, number,
										  NumericGetDatum(int64_to_numeric(offset)))))
		report_positions("An offset is not an integer.");
	return offset;
}

static void
check_offset(const QtOffsetToCommit *offset)
{
	qt_topic_check_partition(offset->topic, offset->partition);
	if (offset->next_offset < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("next_offset must not be negative"),
				 errdetail("It is %lld.", (long long) offset->next_offset)));
	if (offset->metadata != NULL && strlen(offset->metadata) > QT_METADATA_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("metadata of a position is too large"),
				 errdetail("It has %zu bytes, at most %d are allowed.",
						   strlen(offset->metadata), QT_METADATA_MAX)));
}

static void
report_positions(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid positions"),
			 errdetail("%s", detail),
			 errhint("For example {\"orders\": {\"0\": 17, \"1\": {\"next_offset\": 4, \"metadata\": \"worker 2\"}}}.")));
}
