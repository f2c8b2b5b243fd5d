/*
 * topic_view.h
 *		Views that give the values of a jsonb topic columns with types.
 */
#ifndef QTOPIC_TOPIC_VIEW_H
#define QTOPIC_TOPIC_VIEW_H

/* What a value that cannot be cast to its column's type does. */
typedef enum QtCastError
{
	QT_CAST_NULL,				/* the column is NULL */
	QT_CAST_ERROR,				/* the query fails */
	QT_CAST_SKIP				/* the record is left out */
} QtCastError;

/*
 * The CREATE VIEW statement, palloc'd.  view may be qualified; columns is a
 * list as in CREATE TABLE, each read from the member of that name.  functions
 * is the schema of the extension's functions.  42601 or 22023 for columns that
 * are not just names and types, 22023 if the topic's values are not jsonb.
 */
extern char *qt_topic_view_sql(const char *view, const char *topic, const char *columns,
							   QtCastError on_error, const char *functions);

#endif							/* QTOPIC_TOPIC_VIEW_H */
