/*
 * record_headers.c
 *		Headers of a record: jsonb to Kafka's encoding and back.
 *
 * Kafka's headers are a list of names and bytes; names may repeat, bytes may
 * be anything or NULL.  An object of text shows most of them as people want
 * to read them, and the array of objects has room for the rest.
 *
 * Everything is allocated in the current context and left there.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "common/base64.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "record_headers.h"
#include "varint.h"

static int	encode_object(JsonbIterator *it, StringInfo dst);
static int	encode_array(JsonbIterator *it, StringInfo dst);
static void encode_element(const JsonbValue *element, StringInfo dst);
static void append_value(StringInfo dst, const JsonbValue *value);
static void append_base64(StringInfo dst, const JsonbValue *value);
static void append_text(StringInfo dst, const char *text, int len);
static void append_bytes(StringInfo dst, const char *bytes, int len);
static void reject_headers(const char *detail) pg_attribute_noreturn();
static Jsonb *decode_object(const QtRecord *record,
							const QtBatchSource *source);
static Jsonb *decode_array(const QtRecord *record,
						   const QtBatchSource *source);
static const char *next_header(const char *pos, const QtRecord *record,
							   const QtBatchSource *source,
							   QtHeader *header, JsonbValue *name);
static void name_from_utf8(const QtHeader *header, const QtRecord *record,
						   const QtBatchSource *source, JsonbValue *name);
static bool value_from_utf8(const QtHeader *header, JsonbValue *value);
static void value_from_bytes(const QtHeader *header, JsonbValue *value);
static void set_string(JsonbValue *value, const char *string, int len);

int
qt_headers_encode(Jsonb *headers, StringInfo dst)
{
	JsonbIterator *it = JsonbIteratorInit(&headers->root);
	JsonbValue	root;

	switch (JsonbIteratorNext(&it, &root, true))
	{
		case WJB_BEGIN_OBJECT:
			return encode_object(it, dst);
		case WJB_BEGIN_ARRAY:
			if (!root.val.array.rawScalar)
				return encode_array(it, dst);
			/* FALLTHROUGH */
		default:
			reject_headers("The headers are neither an object nor an array.");
	}
}

static int
encode_object(JsonbIterator *it, StringInfo dst)
{
	JsonbValue	name;
	JsonbValue	value;
	int			count = 0;

	while (JsonbIteratorNext(&it, &name, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&it, &value, true);
		append_text(dst, name.val.string.val, name.val.string.len);
		append_value(dst, &value);
		count++;
	}
	return count;
}

static int
encode_array(JsonbIterator *it, StringInfo dst)
{
	JsonbValue	element;
	int			count = 0;

	while (JsonbIteratorNext(&it, &element, true) == WJB_ELEM)
	{
		encode_element(&element, dst);
		count++;
	}
	return count;
}

/* {"key": name, "value": text or null} or {"key": name, "value_base64": text} */
static void
encode_element(const JsonbValue *element, StringInfo dst)
{
	JsonbContainer *container;
	JsonbValue	name;
	JsonbValue	value;

	if (element->type != jbvBinary ||
		!JsonContainerIsObject(element->val.binary.data))
		reject_headers("An element of the array is not an object.");
	container = element->val.binary.data;

	if (getKeyJsonValueFromContainer(container, "key", 3, &name) == NULL ||
		name.type != jbvString)
		reject_headers("An element of the array has no \"key\", or one that is not a string.");
	if (JsonContainerSize(container) != 2)
		reject_headers("An element of the array has other members than \"key\" and one of \"value\" and \"value_base64\".");

	append_text(dst, name.val.string.val, name.val.string.len);
	if (getKeyJsonValueFromContainer(container, "value", 5, &value) != NULL)
		append_value(dst, &value);
	else if (getKeyJsonValueFromContainer(container, "value_base64", 12,
										  &value) != NULL)
		append_base64(dst, &value);
	else
		reject_headers("An element of the array has neither \"value\" nor \"value_base64\".");
}

static void
append_value(StringInfo dst, const JsonbValue *value)
{
	const char *literal;

	switch (value->type)
	{
		case jbvNull:
			append_bytes(dst, NULL, -1);
			break;
		case jbvString:
			append_text(dst, value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			literal = DatumGetCString(DirectFunctionCall1(numeric_out,
														  NumericGetDatum(value->val.numeric)));
			append_bytes(dst, literal, strlen(literal));
			break;
		case jbvBool:
			literal = value->val.boolean ? "true" : "false";
			append_bytes(dst, literal, strlen(literal));
			break;
		default:
			reject_headers("A value is an object or an array.");
	}
}

static void
append_base64(StringInfo dst, const JsonbValue *value)
{
	char	   *bytes;
	int			bytes_max;
	int			len;

	if (value->type != jbvString)
		reject_headers("A \"value_base64\" is not a string.");

	bytes_max = pg_b64_dec_len(value->val.string.len);
	bytes = palloc(bytes_max + 1);
	len = pg_b64_decode(value->val.string.val, value->val.string.len,
						bytes, bytes_max);
	if (len < 0)
		reject_headers("A \"value_base64\" is not valid base64.");
	append_bytes(dst, bytes, len);
	pfree(bytes);
}

/* Text in the server's encoding. */
static void
append_text(StringInfo dst, const char *text, int len)
{
	char	   *utf8 = pg_server_to_any(text, len, PG_UTF8);

	append_bytes(dst, utf8, utf8 == text ? len : strlen(utf8));
}

/* The length, -1 being NULL, then the bytes. */
static void
append_bytes(StringInfo dst, const char *bytes, int len)
{
	char	   *pos;

	enlargeStringInfo(dst, QT_VARINT_MAX + Max(len, 0));
	pos = qt_varint_write(dst->data + dst->len, len);
	dst->len = pos - dst->data;
	if (len > 0)
		appendBinaryStringInfo(dst, bytes, len);
}

static void
reject_headers(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid record headers"),
			 errdetail("%s", detail),
			 errhint("Headers are an object such as {\"name\": \"text\"}, or an array of objects such as {\"key\": \"name\", \"value\": \"text\"} and {\"key\": \"name\", \"value_base64\": \"dGV4dA==\"}.")));
}

Jsonb *
qt_headers_decode(const QtRecord *record, const QtBatchSource *source)
{
	Jsonb	   *result;

	if (record->header_count == 0)
		return NULL;
	result = decode_object(record, source);
	return result != NULL ? result : decode_array(record, source);
}

/* NULL if an object would lose something. */
static Jsonb *
decode_object(const QtRecord *record, const QtBatchSource *source)
{
	JsonbParseState *state = NULL;
	const char *pos = record->headers;
	JsonbValue *object;
	int			i;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (i = 0; i < record->header_count; i++)
	{
		QtHeader	header;
		JsonbValue	name;
		JsonbValue	value;

		pos = next_header(pos, record, source, &header, &name);
		if (!value_from_utf8(&header, &value))
			return NULL;
		(void) pushJsonbValue(&state, WJB_KEY, &name);
		(void) pushJsonbValue(&state, WJB_VALUE, &value);
	}

	/* the end is where repeated names become one */
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	if (object->val.object.nPairs != record->header_count)
		return NULL;
	return JsonbValueToJsonb(object);
}

static Jsonb *
decode_array(const QtRecord *record, const QtBatchSource *source)
{
	JsonbParseState *state = NULL;
	const char *pos = record->headers;
	JsonbValue	key_member;
	JsonbValue	text_member;
	JsonbValue	bytes_member;
	int			i;

	set_string(&key_member, "key", 3);
	set_string(&text_member, "value", 5);
	set_string(&bytes_member, "value_base64", 12);

	(void) pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	for (i = 0; i < record->header_count; i++)
	{
		QtHeader	header;
		JsonbValue	name;
		JsonbValue	value;
		bool		is_text;

		pos = next_header(pos, record, source, &header, &name);
		is_text = value_from_utf8(&header, &value);
		if (!is_text)
			value_from_bytes(&header, &value);

		(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
		(void) pushJsonbValue(&state, WJB_KEY, &key_member);
		(void) pushJsonbValue(&state, WJB_VALUE, &name);
		(void) pushJsonbValue(&state, WJB_KEY,
							  is_text ? &text_member : &bytes_member);
		(void) pushJsonbValue(&state, WJB_VALUE, &value);
		(void) pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
}

/* Parse the header at pos, with its name as jsonb; returns where it ends. */
static const char *
next_header(const char *pos, const QtRecord *record,
			const QtBatchSource *source, QtHeader *header, JsonbValue *name)
{
	pos = qt_header_parse(pos, record->headers + record->headers_len, header);
	if (pos == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 qt_batch_errmsg_corrupt(source),
				 errdetail("The record at offset %lld has headers that do not fit into it.",
						   (long long) record->offset)));
	name_from_utf8(header, record, source, name);
	return pos;
}

static void
name_from_utf8(const QtHeader *header, const QtRecord *record,
			   const QtBatchSource *source, JsonbValue *name)
{
	char	   *converted;

	if (pg_encoding_verifymbstr(PG_UTF8, header->name,
								header->name_len) != header->name_len)
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("record header has a name that is not valid UTF-8 text"),
				 source != NULL && source->topic != NULL ?
				 errdetail("The record is in topic \"%s\", partition %d, offset %lld.",
						   source->topic, source->partition,
						   (long long) record->offset) :
				 errdetail("The record has offset %lld.",
						   (long long) record->offset)));

	converted = pg_any_to_server(header->name, header->name_len, PG_UTF8);
	set_string(name, converted,
			   converted == header->name ? header->name_len : strlen(converted));
}

/*
 * The value as text; false if it is not UTF-8, has a zero byte, or has
 * characters that the server's encoding has not.
 */
static bool
value_from_utf8(const QtHeader *header, JsonbValue *value)
{
	int			encoding = GetDatabaseEncoding();
	int			len = header->value_len;
	unsigned char *converted;
	Oid			conversion;

	if (len < 0)
	{
		value->type = jbvNull;
		return true;
	}
	if (pg_encoding_verifymbstr(PG_UTF8, header->value, len) != len)
		return false;
	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII || len == 0)
	{
		set_string(value, header->value, len);
		return true;
	}

	conversion = FindDefaultConversionProc(PG_UTF8, encoding);
	if (!OidIsValid(conversion))
		return false;
	converted = MemoryContextAllocHuge(CurrentMemoryContext,
									   (Size) len * MAX_CONVERSION_GROWTH + 1);
	if (pg_do_encoding_conversion_buf(conversion, PG_UTF8, encoding,
									  (unsigned char *) header->value, len,
									  converted, len * MAX_CONVERSION_GROWTH + 1,
									  true) != len)
		return false;
	set_string(value, (char *) converted, strlen((char *) converted));
	return true;
}

/* The value as base64. */
static void
value_from_bytes(const QtHeader *header, JsonbValue *value)
{
	int			text_max = pg_b64_enc_len(header->value_len);
	char	   *text = palloc(text_max);
	int			len = pg_b64_encode(header->value, header->value_len,
									text, text_max);

	if (len < 0)
		elog(ERROR, "could not encode a record header as base64");
	set_string(value, text, len);
}

static void
set_string(JsonbValue *value, const char *string, int len)
{
	value->type = jbvString;
	value->val.string.val = unconstify(char *, string);
	value->val.string.len = len;
}
