#!/usr/bin/env python3
"""Measure qtopic against tables of plain PostgreSQL.  Started by test/bin/bench.

The machine may be busy with other things, so only ratios count: both sides run
in turn, several short rounds, and the ratio is the median of those of the
rounds.  A checkpoint before each run gives both the same start: WAL segments
to recycle, no dirty pages.
"""
import argparse
import json
import os
import statistics
import sys
import time

from groups import GroupParts
from measure import (HERE, PLAIN_TABLE, ROUNDS, Results, SingleRecords, client, cpu_times, create_topic, fill_wal, full,
                     heading, produce, rates, restart, rounds, run, seconds_of, sql, storage_size, with_cpu,
                     write_events)


class Bench(GroupParts):
    def __init__(self, events, results):
        self.results = results
        self.lines = open(events, encoding='utf-8').read().splitlines()
        self.events = os.path.join(HERE, 'events.bin')
        self.small_events = os.path.join(HERE, 'small_events.bin')
        write_events(self.events, self.lines)
        write_events(self.small_events, [json.dumps({
            'ts': '2015-01-01T00:00:00Z', 'key': 'k%d' % number, 'value': {'n': number}})
            for number in range(1000)])

    # ---- producing ----

    def batches(self, name, plain_side, batch, count, targets):
        table, topic = 'plain_' + name, name
        sql(PLAIN_TABLE % table)
        create_topic(topic)
        first = {'copy': 0, 'insert': 0, 'qtopic': 0}

        def side(side, target):
            def action():
                before = sql('SELECT pg_current_wal_insert_lsn()')
                seconds, cpu = with_cpu(lambda: produce(side, target, self.events, batch, count, first[side]))
                wal = int(sql("SELECT pg_current_wal_insert_lsn() - '%s'::pg_lsn" % before))
                first[side] += count
                return seconds, cpu, wal
            return action

        for warm_up in (side('qtopic', topic), side(plain_side, table)):
            warm_up()
        done = rounds(side('qtopic', topic), side(plain_side, table), count=2 * ROUNDS)
        self.results.add(name + ' records', '/s', rates(count, done), targets[0])
        self.results.add(name + ' CPU', 'us/rec', cpu_times(count, done))
        self.results.add(name + ' WAL', 'B/rec', [(o[2] / count, t[2] / count) for o, t in done], targets[1])
        self.results.add(name + ' size', 'B/rec', [(
            storage_size(topic) / first['qtopic'],
            int(sql("SELECT pg_total_relation_size('%s')" % table)) / first[plain_side])], targets[2])
        sql("SELECT drop_topic('%s')" % topic, 'DROP TABLE ' + table)

    def batch1000(self):
        """produce_batch of 1,000 records, and a binary COPY of the same ones."""
        self.batches('batch1000', 'copy', 1000, full(200000, 100000), ('>= 2.0', '<= 0.35', '<= 0.4'))

    def batch100(self):
        """produce_batch of 100 records, and an INSERT of the same arrays."""
        self.batches('batch100', 'insert', 100, full(60000, 20000), ('>= 1.5', None, None))

    def single(self):
        """A record a transaction, to one partition."""
        sql(PLAIN_TABLE % 'plain_single')
        create_topic('single')
        records = SingleRecords(self.lines)
        records.write_scripts('qtopic', "SELECT produce('single', :k::bytea, :v::bytea);")
        records.write_scripts('plain', 'INSERT INTO plain_single (ts, key, value) VALUES (now(), :k::bytea, :v::bytea);')

        for clients in (1, 4, 16):
            def side(side):
                def action():
                    (tps, done), cpu = with_cpu(lambda: records.send(side, clients))
                    return tps, cpu / done
                return action
            # throughput depends on what else the disk does: many short rounds
            done = rounds(side('qtopic'), side('plain'), count=3 * ROUNDS)
            self.results.add('single clients=%d' % clients, '/s', [(o[0], t[0]) for o, t in done], '>= 0.9')
            self.results.add('single clients=%d CPU' % clients, 'us/rec', cpu_times(1, done))
        sql("SELECT drop_topic('single')", 'DROP TABLE plain_single')

    def deferred(self):
        """All records of a table in one transaction, appended at its end."""
        count = full(100000, 50000)
        sql(PLAIN_TABLE % 'source', PLAIN_TABLE % 'plain_deferred')
        create_topic('deferred')
        produce('copy', 'source', self.events, 1000, count, 0)
        sql('VACUUM ANALYZE source')
        ours = """BEGIN; SET LOCAL qtopic.produce_mode = deferred;
                  SELECT count(produce('deferred', key, value)) FROM source; COMMIT"""
        theirs = 'BEGIN; INSERT INTO plain_deferred (ts, key, value) SELECT now(), key, value FROM source; COMMIT'
        done = rounds(lambda: with_cpu(lambda: seconds_of(ours)[0]),
                      lambda: with_cpu(lambda: seconds_of(theirs)[0]))
        self.results.add('deferred', '/s', rates(count, done), '>= 1.0')
        self.results.add('deferred CPU', 'us/rec', cpu_times(count, done))
        sql("SELECT drop_topic('deferred')", 'DROP TABLE source, plain_deferred')

    # ---- reading ----

    def read(self):
        """A whole partition into a table, and to a client."""
        count = full(1000000, 300000)
        sql(PLAIN_TABLE % 'plain_read',
            'CREATE TABLE target (id bigint, ts timestamptz, key bytea, value bytea)')
        create_topic('read', **{'key.format': 'bytea', 'value.format': 'bytea'})
        produce('copy', 'plain_read', self.events, 1000, count, 0)
        produce('qtopic', 'read', self.events, 1000, count, 0)
        sql('VACUUM ANALYZE plain_read')

        def load(query):
            def action():
                figures = with_cpu(lambda: seconds_of('INSERT INTO target ' + query)[0])
                if int(sql('SELECT count(*) FROM target')) != count:
                    sys.exit('bench: not all records were read')
                sql('TRUNCATE target', 'CHECKPOINT')
                return figures
            return action

        def report(name, done, side, target=None):
            done = [(figures[side], figures[-1]) for figures in done]
            self.results.add(name, '/s', rates(count, done), target)
            self.results.add(name + ' CPU', 'us/rec', cpu_times(count, done))

        pages = """SELECT _offset, _timestamp, key, value FROM generate_series(0, %d, %d) o,
                          fetch_records_bytea('read', 0, o, %d)"""
        sizes = (1000, 10000, 100000)
        done = rounds(
            *[load(pages % (count - 1, size, size)) for size in sizes],
            load('SELECT _offset, _timestamp, key, value FROM qtopic.read'),
            load('SELECT id, ts, key, value FROM plain_read'))
        for side, size in enumerate(sizes):
            report('read insert page=%d' % size, done, side, '>= 0.8' if size == 10000 else None)
        report('read insert relation', done, -2)

        done = rounds(lambda: with_cpu(lambda: float(client('read', 'qtopic', 'read', 5000, count))),
                      lambda: with_cpu(lambda: float(client('read', 'plain', 'plain_read', 5000, count))))
        report('read client page=5000', done, 0, '>= 1.0')
        sql("SELECT drop_topic('read')", 'DROP TABLE plain_read, target')

    # ---- the relation ----

    def relation(self):
        """A topic as a relation, beside a table of the same rows."""
        count = full(500000, 150000)
        sql(PLAIN_TABLE % 'plain_rel')
        create_topic('rel', **{'value.format': 'jsonb'})
        produce('copy', 'plain_rel', self.events, 1000, count, 0)
        sql("""INSERT INTO qtopic.rel (key, value)
               SELECT convert_from(key, 'UTF8'), convert_from(value, 'UTF8')::jsonb FROM plain_rel""",
            'VACUUM ANALYZE plain_rel', 'ANALYZE qtopic.rel',
            'CREATE TABLE copy_source AS SELECT key, value FROM plain_rel',
            PLAIN_TABLE % 'plain_into')
        create_topic('rel_into', **{'key.format': 'bytea', 'value.format': 'bytea'})

        def query(statement, setting='SET max_parallel_workers_per_gather = 0'):
            return lambda: with_cpu(lambda: seconds_of(setting + '; ' + statement)[0])

        def report(name, ours, theirs, target=None):
            done = rounds(ours, theirs)
            self.results.add(name, '/s', rates(count, done), target)

        report('relation INSERT SELECT',
               query('INSERT INTO qtopic.rel_into (key, value) SELECT key, value FROM copy_source'),
               query('INSERT INTO plain_into (ts, key, value) SELECT now(), key, value FROM copy_source'),
               '>= 2.0')
        for form in ('text', 'binary'):
            path = os.path.join(HERE, 'rel.' + form)
            sql("COPY copy_source TO '%s' (FORMAT %s)" % (path, form))
            report('relation COPY ' + form,
                   query("COPY qtopic.rel_into (key, value) FROM '%s' (FORMAT %s)" % (path, form)),
                   query("COPY plain_into (key, value) FROM '%s' (FORMAT %s)" % (path, form)),
                   '>= 1.5')
        def repeated(statement):
            """On one connection: a new one takes longer than this to get ready."""
            statement = 'SET max_parallel_workers_per_gather = 0; ' + statement
            return lambda: with_cpu(lambda: statistics.median(
                float(line) for line in client('time', 'same', 5, statement).split()))

        report('relation count(*)', repeated('SELECT count(*) FROM qtopic.rel'),
               repeated('SELECT count(*) FROM plain_rel'), '>= 5.0')
        ours = "SELECT sum((value->>'bytes')::int) FROM qtopic.rel"
        theirs = "SELECT sum((convert_from(value, 'UTF8')::jsonb->>'bytes')::int) FROM plain_rel"
        report('relation sum of jsonb', query(ours), query(theirs), '>= 0.8')
        parallel = 'SET max_parallel_workers_per_gather = 2'
        report('relation sum, 2 workers', query(ours, parallel), query(theirs, parallel))
        sql("SELECT drop_topic(t) FROM unnest('{rel,rel_into}'::text[]) t",
            'DROP TABLE plain_rel, copy_source, plain_into')

    # ---- seeking ----

    def seek(self):
        """500 records from the middle of a long partition and of a short one, first of full
        batches and then of batches of one record."""
        short = 10000
        long = {'seek': full(10000000, 2000000), 'seek_single': full(200000, 100000)}
        for name in long:
            for suffix, count in (('_short', short), ('_long', long[name])):
                create_topic(name + suffix)
                if name == 'seek':
                    produce('qtopic', name + suffix, self.small_events, 10000, count, 0)
                else:
                    sql("""SET synchronous_commit = off""",
                        """DO $$ BEGIN
                               FOR i IN 1..%d LOOP
                                   PERFORM produce('%s', 'k'::text, 'value of record ' || i);
                                   IF i %% 1000 = 0 THEN COMMIT; END IF;
                               END LOOP;
                           END $$""" % (count, name + suffix))
        create_topic('seek_other')
        produce('qtopic', 'seek_other', self.small_events, 1000, 1000, 0)
        sql('CHECKPOINT')

        fetch = {name: tuple("SELECT * FROM fetch_records('%s', 0, %d)" % (name + suffix, count // 2)
                             for suffix, count in (('_long', long[name]), ('_short', short)))
                 for name in long}

        def median_ms(how, times, statements):
            lines = client('time', how, times, *statements).splitlines()
            return tuple(1000 * statistics.median(map(float, line.split())) for line in lines)

        first_calls = {name: [] for name in long}
        first_buffers = {name: [] for name in long}
        for number in range(3 * ROUNDS):
            restart()
            # caches of the whole server, not of these partitions
            client('time', 'fresh', 3, "SELECT * FROM fetch_records('seek_other', 0, 500)")
            for name in long:
                first = [None, None]
                for side in ((0, 1) if number // 3 % 2 == number % 3 else (1, 0)):
                    if number % 3 == 2:
                        first[side] = buffers(fetch[name][side])
                    else:
                        first[side] = 1000 * seconds_of(fetch[name][side])[0]
                (first_buffers if number % 3 == 2 else first_calls)[name].append(tuple(first))

        heading(('', 'long', 'short', 'ratio', 'target'))
        for name in long:
            label = 'seek' if name == 'seek' else 'seek batch=1'
            times = full(300, 100)
            self.results.add(label, 'ms', [median_ms('same', times, fetch[name])
                                           for _ in range(ROUNDS)], '<= 1.2')
            self.results.add(label + ' new backend', 'ms', [median_ms('fresh', times // 5, fetch[name])
                                                          for _ in range(ROUNDS)], '<= 1.2')
            self.results.add(label + ' buffers', 'pages', [tuple(map(buffers, fetch[name]))], '<= 1.2')
            self.results.add(label + ' restarted', 'ms', first_calls[name], '<= 1.2')
            self.results.add(label + ' restarted buffers', 'pages', first_buffers[name], '<= 1.2')
        for name in long:
            sql(*["SELECT drop_topic('%s')" % (name + suffix) for suffix in ('_short', '_long')])
        sql("SELECT drop_topic('seek_other')")


def buffers(statement):
    """Pages that a statement touches in a new backend."""
    plan = json.loads(run('psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-c',
                          'EXPLAIN (ANALYZE, BUFFERS, FORMAT json) ' + statement))[0]['Plan']
    return plan['Shared Hit Blocks'] + plan['Shared Read Blocks']


PARTS = ('batch1000', 'batch100', 'single', 'deferred', 'read', 'relation', 'seek',
         'latency', 'consume', 'xmin', 'idle')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--json', metavar='FILE', help='write a line for each result there')
    parser.add_argument('--events', metavar='FILE', required=True)
    parser.add_argument('parts', nargs='*', metavar='PART', help=', '.join(PARTS))
    args = parser.parse_args()
    for part in args.parts:
        if part not in PARTS:
            parser.error('no such part: %s; there are %s' % (part, ', '.join(PARTS)))

    start = time.monotonic()
    fill_wal()
    results = Results(args.json)
    bench = Bench(args.events, results)
    for part in args.parts or PARTS:
        getattr(bench, part)()
    results.print_end(start)


if __name__ == '__main__':
    main()
