"""Defects that are planted to see that the verification finds them.

A verification that cannot fail proves nothing.  Each defect is a statement
that damages what was read, indexed or loaded of one partition, and the column of
demo.verify() that must then count something there.
"""

# name: (column, statement)
STATEMENTS = {
    'lost': ('missing', """
        DELETE FROM demo.stream_read WHERE {here} AND arrival = 10"""),
    'doubled': ('doubled', """
        INSERT INTO demo.stream_read
        SELECT topic, _partition, 1000000000, 1000000000, event_id, digest
          FROM demo.stream_read WHERE {here} AND arrival = 10"""),
    'rolled-back': ('uncommitted', """
        INSERT INTO demo.stream_read
        SELECT topic, partition, 1000000000, 1000000000, event_id,
               demo.digest(key, record_time, value)
          FROM demo.source
         WHERE NOT commits AND (topic, partition) = ('{topic}', {partition}) LIMIT 1"""),
    'swapped': ('disordered', """
        UPDATE demo.stream_read SET arrival = 21 - arrival WHERE {here} AND arrival IN (10, 11)"""),
    'altered': ('altered', """
        UPDATE demo.stream_read SET digest = md5(digest) WHERE {here} AND arrival = 10"""),
    'misplaced': ('misplaced', """
        UPDATE demo.stream_read SET _partition = {partition}
         WHERE {elsewhere} AND arrival = 20"""),
    'unloaded': ('unloaded', """
        DELETE FROM warehouse.fact_event
         WHERE {here} AND _offset = (SELECT max(_offset) FROM warehouse.fact_event WHERE {here})"""),
    'loaded-twice': ('misloaded', """
        INSERT INTO warehouse.fact_event
        SELECT topic, _partition, 1000000000, event_id, event_time, date_key, visitor_key,
               page_key, bytes FROM warehouse.fact_event WHERE {here} LIMIT 1"""),
    'misloaded': ('misloaded', """
        UPDATE warehouse.fact_event AS f SET visitor_key = other.visitor_key
          FROM (SELECT min(visitor_key) AS visitor_key FROM warehouse.dim_visitor
                 WHERE visitor_key NOT IN (SELECT visitor_key FROM warehouse.fact_event
                                            WHERE {here} ORDER BY _offset LIMIT 1)) AS other
         WHERE {here} AND _offset = (SELECT min(_offset) FROM warehouse.fact_event WHERE {here})"""),
}

# The same of the search index, whose topics are fewer.
INDEX_STATEMENTS = {
    'unindexed': ('unindexed', """
        DELETE FROM search.document
         WHERE {here} AND _offset = (SELECT max(_offset) FROM search.document WHERE {here})"""),
    'indexed-twice': ('misindexed', """
        INSERT INTO search.document (topic, _partition, _offset, event_id, visitor, words, indexer)
        SELECT topic, _partition, 1000000000, event_id, visitor, words, indexer
          FROM search.document WHERE {here} LIMIT 1"""),
    'indexed-rolled-back': ('misindexed', """
        INSERT INTO search.document (topic, _partition, _offset, event_id, visitor, words, indexer)
        SELECT topic, partition, 1000000000, event_id, key, search.words(value), ''
          FROM demo.source
         WHERE NOT commits AND (topic, partition) = ('{topic}', {partition}) LIMIT 1"""),
    'misindexed': ('misindexed', """
        UPDATE search.document SET words = 'other words'
         WHERE {here} AND _offset = (SELECT min(_offset) FROM search.document WHERE {here})"""),
    'index-swapped': ('misordered', """
        UPDATE search.document SET arrival = low + high - arrival
          FROM (SELECT min(arrival) AS low, max(arrival) AS high
                  FROM search.document WHERE {here}) AS ends
         WHERE arrival IN (low, high)"""),
    'kept': ('kept', """
        INSERT INTO demo.in_hand
        SELECT topic, _partition, _offset, _offset, indexer
          FROM search.document WHERE {here} LIMIT 1"""),
    'behind': ('behind', """
        SELECT reset_offsets('search_index', '{topic}', partition => {partition}, shift_by => -1)"""),
}


class Defect:
    def __init__(self, name, topic, partition, partitions):
        self.name = name
        self.topic = topic
        self.partition = partition
        self.column, statement = {**STATEMENTS, **INDEX_STATEMENTS}[name]
        place = "topic = '%s' AND _partition = %d"
        self.statement = statement.format(
            topic=topic, partition=partition, here=place % (topic, partition),
            elsewhere=place % (topic, (partition + 1) % partitions))

    def plant(self, psql):
        """Fails if there was nothing to damage."""
        is_call = self.statement.split()[0] == 'SELECT'
        damaged = psql.rows(self.statement + ('' if is_call else ' RETURNING 1'))
        return len(damaged) > 0

    def is_found(self, rows):
        return any(row[self.column] for row in rows
                   if row['topic'] == self.topic and row['partition'] == self.partition)


def all_defects(places, indexed_places, partitions):
    """Each defect at a place of its own; those of the search index beside the others."""
    return [Defect(name, topic, partition, partitions)
            for statements, where in ((STATEMENTS, places), (INDEX_STATEMENTS, indexed_places))
            for name, (topic, partition) in zip(statements, where)]
