#!/usr/bin/env python3
"""Measure qtopic beside Kafka and PgQ.  Started by test/bin/bench-peers.

All sides run in turn, several short rounds; the ratio is the median of those of
the rounds.  Before each run PostgreSQL makes a checkpoint and the system writes
what it has cached, so that nobody pays for what another side has left to write.
In the end each log must have as many records as were acknowledged.
"""
import argparse
import glob
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from groups import PAGE, RATE, PgqQueues, consumer, drain
from measure import (HERE, PLAIN_TABLE, ROUNDS, Results, SingleRecords, client, create_topic, fill_wal, full, produce,
                     rounds, run, shown, sql, storage_size, with_cpu, write_events)

PARTITIONS = int(os.environ.get('PARTITIONS') or 1)
KAFKA = os.environ['KAFKA_DIR']
SERVER = os.environ['KAFKA_SERVER']
IN_FLIGHT = 5       # batches that a producer sends before it waits, as Kafka's does
FLUSH = 'flush.messages=1'


# ---- Kafka ----

class KafkaClients:
    """Clients.java, which does as it is told."""

    def __init__(self):
        self.process = subprocess.Popen([os.path.join(KAFKA, 'clients')], text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def do(self, *words):
        """The fields of the answer."""
        self.process.stdin.write(' '.join(map(str, words)) + '\n')
        for line in self.process.stdout:
            if line.startswith('= '):
                return line[2:].split()
        sys.exit('bench: the clients of Kafka failed in ' + words[0])

    def create_topic(self, name, partitions, *settings):
        self.do('create', name, partitions, *settings)

    def perf(self, topic, payloads, count, producers=1):
        """What kafka-producer-perf-test tells: records a second, and how many."""
        return map(float, self.do('perf', producers, *self.perf_args(topic, payloads, count // producers)))

    def perf_afresh(self, topic, payloads, count):
        """The same with a JVM of its own, as Kafka's script starts it."""
        out = run(os.path.join(KAFKA, 'kafka-producer-perf-test'), *self.perf_args(topic, payloads, count))
        sent, rate = re.search(r'([0-9]+) records sent, ([0-9.]+) records/sec .* 99\.9th', out).groups()
        return float(rate), float(sent)

    def perf_args(self, topic, payloads, count):
        return ('--topic', topic, '--num-records', count, '--throughput', '-1', '--payload-file', payloads,
                '--producer-props', 'bootstrap.servers=' + SERVER, 'acks=all', 'compression.type=lz4',
                'batch.size=65536', 'linger.ms=20')

    def records(self, topic):
        return int(self.do('end', topic)[0])

    def log_size(self, topic):
        return sum(os.path.getsize(path) for path in glob.glob(
            os.path.join(KAFKA, 'data', topic + '-[0-9]*', '*.log')))


def broker_seconds():
    with open('/proc/%s/stat' % os.environ['KAFKA_BROKER']) as file:
        fields = file.read().rpartition(') ')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def with_broker_cpu(action):
    """What the action returns, and the processor time of the broker."""
    before = broker_seconds()
    figure = action()
    return figure, broker_seconds() - before


# ---- results ----

class PeerResults(Results):
    def heading(self):
        self.print_line('', ('qtopic', 'Kafka', 'Kafka flush', 'PgQ'), ('ratio', 'target', '', ''))

    def print_line(self, name, figures, rest):
        print('%-34s %13s %13s %13s %13s' % (name, *figures), '%6s  %-7s %-6s  %s' % rest, flush=True)

    def compare(self, name, unit, ours, kafka, flush=None, pgq=None, target=None):
        """Lists with the figure of each round; the ratio is that of the first two."""
        ratios = [our / their for our, their in zip(ours, kafka)]
        ratio = statistics.median(ratios)
        verdict = self.judge(ratio, target)
        figures = [statistics.median(side) if side else None for side in (ours, kafka, flush, pgq)]
        self.print_line(name, ['-' if figure is None else shown(figure, unit) for figure in figures],
                        ('%.2f' % ratio, target or '', verdict, '(%.2f to %.2f)' % (min(ratios), max(ratios))))
        self.write(name=name, unit=unit, figures=figures, ratio=round(ratio, 4), target=target, verdict=verdict,
                   rounds=[ours, kafka, flush, pgq])


def check(whose, log, records, acknowledged):
    if records != acknowledged:
        sys.exit('bench: %s has %d records in %s, but %d were acknowledged' % (whose, records, log, acknowledged))


def alone(action):
    """The action, with nothing left to write by the sides before it."""
    def after_sync():
        os.sync()
        return action()
    return after_sync


class Peers(PgqQueues):
    def __init__(self, events, results):
        self.results = results
        self.kafka = KafkaClients()
        self.with_pgq = self.pgq_is_there('bench-peers')
        self.lines = open(events, encoding='utf-8').read().splitlines()
        # kafka-producer-perf-test sends events at random, so all do
        random.Random(42).shuffle(self.lines)
        self.events = os.path.join(HERE, 'events.bin')
        write_events(self.events, self.lines)
        self.payloads = os.path.join(HERE, 'payloads.ndjson')
        with open(self.payloads, 'w', encoding='utf-8') as out:
            for number, line in enumerate(self.lines):
                value = {'event_id': number, **json.loads(line)['value']}
                out.write(json.dumps(value, ensure_ascii=False, separators=(',', ':')) + '\n')

    def create_topics(self, name, partitions=PARTITIONS):
        create_topic(name, partitions)
        self.kafka.create_topic(name, partitions)
        self.kafka.create_topic(name + '_flush', partitions, FLUSH)
        if self.with_pgq:
            self.create_queue(name, name, PAGE, '1 day')

    def drop_topics(self, name):
        sql("SELECT drop_topic('%s')" % name)
        if self.with_pgq:
            sql("SELECT pgq.drop_queue('%s', true)" % name)
        self.kafka.do('delete', name)
        self.kafka.do('delete', name + '_flush')

    def check_logs(self, name, acknowledged):
        """acknowledged: records of each side"""
        check('qtopic', name, int(sql('SELECT count(*) FROM qtopic.%s' % name)), acknowledged['qtopic'])
        for topic in (name, name + '_flush'):
            check('Kafka', topic, self.kafka.records(topic), acknowledged[topic])
        if self.with_pgq:
            table = sql("SELECT queue_data_pfx FROM pgq.queue WHERE queue_name = '%s'" % name)
            check('PgQ', name, int(sql('SELECT count(*) FROM ' + table)), acknowledged['pgq'])

    # ---- producing ----

    def single(self):
        """A record, and wait until it is acknowledged."""
        self.create_topics('single')
        records = SingleRecords(self.lines)
        records.write_scripts('qtopic', "SELECT produce('single', :k::bytea, :v::bytea);")
        # the cheapest transaction that has something to flush
        records.write_scripts('commit', "SELECT pg_logical_emit_message(true, :k, :v);")
        records.write_scripts('pgq', "SELECT pgq.insert_event('single', 'event', :v, :k, NULL, NULL, NULL);")
        path = os.path.join(HERE, 'single.tsv')
        with open(path, 'w', encoding='utf-8') as out:
            out.writelines('%s\t%s\n' % event for event in records.events)
        acknowledged = dict.fromkeys(('qtopic', 'single', 'single_flush', 'pgq', 'commit'), 0)

        def postgres(side, clients, settings=''):
            def action():
                (rate, done), cpu = with_cpu(lambda: records.send(side, clients, settings=settings))
                acknowledged[side] += done
                return rate, 1e6 * cpu / done
            return action

        def kafka(topic, clients, producers='own', seconds=1):
            def action():
                (rate, done), cpu = with_broker_cpu(
                    lambda: map(float, self.kafka.do('single', topic, path, clients, producers, seconds)))
                acknowledged[topic] += int(done)
                return rate, 1e6 * cpu / done
            return action

        for producers, clients in (('own', 1), ('own', 16), ('shared', 16)):
            kafka('single', clients, producers, full(5, 3))()       # does not count
        for clients in (1, 4, 16):
            sides = {'qtopic': postgres('qtopic', clients), 'kafka': kafka('single', clients),
                     'flush': kafka('single_flush', clients)}
            if clients > 1:
                sides['shared'] = kafka('single', clients, 'shared')
                sides['shared flush'] = kafka('single_flush', clients, 'shared')
            sides['commit'] = postgres('commit', clients)
            # as Kafka with its defaults: acknowledged before it is on disk
            sides['async'] = postgres('qtopic', clients, '-c synchronous_commit=off')
            if self.with_pgq:
                sides['pgq'] = postgres('pgq', clients)
            done = self.run_sides(sides, 2 * ROUNDS)
            for suffix, ours, theirs, target in (('', 'qtopic', ('kafka', 'flush', 'pgq'), '>= 1.5'),
                                                 (', shared', 'qtopic', ('shared', 'shared flush'), '>= 1.5'),
                                                 (', only commit', 'commit', ('kafka', 'flush'), None),
                                                 (', not flushed', 'async', ('kafka',), None),
                                                 (', not flushed, shared', 'async', ('shared',), None)):
                if theirs[0] in done:
                    self.report('single clients=%d%s' % (clients, suffix),
                                [done.get(side, ()) for side in (ours, *theirs)], target)
            self.check_logs('single', acknowledged)
        self.drop_topics('single')

    def report(self, name, sides, target=None):
        """Two lines: of the sides' rates, and of their servers' processor time."""
        for number, (figure, unit) in enumerate((('', '/s'), (' CPU', 'us/rec'))):
            self.results.compare(name + figure, unit, *[[each[number] for each in side] for side in sides],
                                 target=None if number else target)

    def run_sides(self, sides, count=ROUNDS):
        """The figures of the rounds of each side."""
        done = rounds(*map(alone, sides.values()), count=count)
        return dict(zip(sides, map(list, zip(*done))))

    # ---- many records ----

    def batch(self):
        """As many records as go in: values without keys, from one producer and from two."""
        count = full(1000000, 400000)
        self.create_topics('batch')
        acknowledged = dict.fromkeys(('qtopic', 'batch', 'batch_flush', 'pgq'), 0)

        def postgres(side, key, producers, batch, count=count, in_flight=1):
            def one(number):
                return count / producers / produce(side, 'batch', self.events, batch, count // producers,
                                                   acknowledged[key] + number * count // producers, in_flight)

            def action():
                with ThreadPoolExecutor(producers) as threads:
                    rates, cpu = with_cpu(lambda: list(threads.map(one, range(producers))))
                acknowledged[key] += count
                return sum(rates), 1e6 * cpu / count
            return action

        def kafka(topic, *producers, perf=self.kafka.perf):
            def action():
                (rate, done), cpu = with_broker_cpu(lambda: perf(topic, self.payloads, count, *producers))
                acknowledged[topic] += int(done)
                return rate, 1e6 * cpu / done
            return action

        for _ in range(full(8, 4)):
            kafka('batch')()        # does not count; the JVMs compile more and more
        sides = {}
        for producers in (1, 2):
            sides['arrays', producers] = postgres('qtopic-values', 'qtopic', producers, 1000, in_flight=IN_FLIGHT)
            sides['copy', producers] = postgres('copy-values', 'qtopic', producers, 10000)
            sides['kafka', producers] = kafka('batch', producers)
            sides['flush', producers] = kafka('batch_flush', producers)
        for action in sides.values():
            action()        # does not count
        if self.with_pgq:
            sides['pgq', 1] = postgres('pgq', 'pgq', 1, 1000, count // 20)
        sides['afresh'] = kafka('batch', perf=self.kafka.perf_afresh)
        done = self.run_sides(sides)
        for producers in (1, 2):
            for name, side in (('produce_batch', 'arrays'), ('COPY', 'copy')):
                self.report('batch %s producers=%d' % (name, producers), [
                    done.get((one, producers), ()) for one in (side, 'kafka', 'flush', 'pgq')], '>= 2.0')
        for name, side in (('produce_batch', 'arrays'), ('COPY', 'copy')):
            self.report('batch %s, JVM afresh' % name, [done[side, 1], done['afresh']], '>= 2.0')
        self.check_logs('batch', acknowledged)
        self.results.compare('batch size', 'B/rec', [storage_size('batch') / acknowledged['qtopic']], *[
            [self.kafka.log_size(topic) / acknowledged[topic]] for topic in ('batch', 'batch_flush')])
        self.drop_topics('batch')

    # ---- latency ----

    def latency(self):
        """From a producer to a waiting consumer, at a steady rate."""
        seconds = full(6, 3)
        event = json.dumps(json.loads(self.lines[0])['value'], separators=(',', ':'))
        self.create_topics('latency')
        sql("SELECT create_group('latency_group', 'latency')")
        if self.with_pgq:
            sql("SELECT pgq.set_queue_config('latency', 'ticker_max_count', '1')",
                "SELECT pgq.set_queue_config('latency', 'ticker_max_lag', '0')")
        acknowledged = dict.fromkeys(('qtopic', 'latency', 'latency_flush', 'pgq'), 0)

        def postgres(side, reader):
            def action():
                out = consumer('latency', side, 'latency', reader, RATE, seconds, event)
                acknowledged[side] += RATE * (seconds + 1)
                sent, _, produced, due = [list(map(float, line.split())) for line in out.splitlines()]
                return due + sent + produced
            return action

        def kafka(topic):
            def action():
                *figures, count = map(float, self.kafka.do('latency', topic, RATE, seconds, event))
                acknowledged[topic] += int(count)
                return figures
            return action

        sides = {'qtopic': postgres('qtopic', 'latency_group'), 'kafka': kafka('latency'),
                 'flush': kafka('latency_flush')}
        for action in (*sides.values(), *[sides['kafka']] * full(2, 1)):
            action()        # does not count
        if self.with_pgq:
            sides['pgq'] = postgres('pgq', 'latency')
        done = self.run_sides(sides, 2 * ROUNDS)
        for number, (name, target) in enumerate((
                ('p50', None), ('p99', '<= 1.0'), ('p99.9', None),
                ('p50 since sent', None), ('p99 since sent', None), ('p99.9 since sent', None),
                ('p50 of producing', None), ('p99 of producing', None), ('p99.9 of producing', None))):
            self.results.compare('latency ' + name, 'ms', *[
                [each[number] for each in done.get(side, ())] for side in ('qtopic', 'kafka', 'flush', 'pgq')],
                target=target)
        self.check_logs('latency', acknowledged)
        sql("SELECT delete_group('latency_group')")
        self.drop_topics('latency')

    # ---- consuming ----

    def consume(self):
        """A topic from its beginning to its end, into the client."""
        count = full(1000000, 200000)
        sql(PLAIN_TABLE % 'plain_consume')
        create_topic('consume')
        produce('qtopic-values', 'consume', self.events, 1000, count, 0)
        sql("SELECT create_group('consume_group', 'consume')")
        self.kafka.create_topic('consume', 1)
        self.kafka.perf('consume', self.payloads, count)
        of_pgq = count // PAGE // (ROUNDS + 1) * PAGE
        if self.with_pgq:
            produce('copy', 'plain_consume', self.events, 1000, count, 0)
            self.fill_queue('consume', of_pgq * (ROUNDS + 1), PAGE, '1 day')
        sql('VACUUM ANALYZE')

        def group():
            sql("SELECT * FROM reset_offsets('consume_group', 'consume', 'earliest')")
            seconds, cpu = with_cpu(lambda: drain('qtopic-bytea', 'consume', 'consume_group', PAGE, count // PAGE))
            left = int(sql("SELECT sum(lag) FROM qtopic_group_lag WHERE consumer_group = 'consume_group'"))
            check('qtopic', 'consume_group', count - left, count)
            return count / seconds, 1e6 * cpu / count

        def pages():
            seconds, cpu = with_cpu(lambda: float(client('read', 'qtopic', 'consume', 5000, count)))
            return count / seconds, 1e6 * cpu / count

        def java():
            (seconds, _), cpu = with_broker_cpu(lambda: map(float, self.kafka.do('consume', 'consume', count)))
            return count / seconds, 1e6 * cpu / count

        def lines_of(who, *command):
            start = time.monotonic()
            lines = int(run('sh', '-c', '"$@" | wc -l', 'sh', *command))
            seconds = time.monotonic() - start
            check(who, 'consume', lines, count)
            return seconds

        def kcat():
            # if its queue fills up, it pauses for a good while; at the end it would
            # wait for more, if it did not know the count
            seconds, cpu = with_broker_cpu(lambda: lines_of(
                'kcat', 'kcat', '-C', '-q', '-b', SERVER, '-t', 'consume', '-o', 'beginning', '-e', '-c', count,
                '-X', 'queued.min.messages=10000000', '-X', 'queued.max.messages.kbytes=2097151'))
            return count / seconds, 1e6 * cpu / count

        def copy():
            seconds, cpu = with_cpu(lambda: lines_of(
                'COPY', 'psql', '-Xqc', 'COPY (SELECT value FROM qtopic.consume) TO STDOUT'))
            return count / seconds, 1e6 * cpu / count

        def pgq():
            seconds, cpu = with_cpu(lambda: drain('pgq', 'consume', 'consume', PAGE, of_pgq // PAGE))
            return of_pgq / seconds, 1e6 * cpu / of_pgq

        sides = {'group': group, 'java': java, 'pages': pages, 'kcat': kcat, 'copy': copy}
        if self.with_pgq:
            sides['pgq'] = pgq
        for action in sides.values():
            action()        # does not count
        done = self.run_sides(sides)
        for name, ours, kafka, queue in (('consume, 500 a commit; Java', 'group', 'java', 'pgq'),
                                         ('fetch_records; Java', 'pages', 'java', None),
                                         ('COPY TO STDOUT; kcat', 'copy', 'kcat', None)):
            self.report(name, [done.get(one, ()) for one in (ours, kafka, None, queue)])
        sql("SELECT delete_group('consume_group')", "SELECT drop_topic('consume')", 'DROP TABLE plain_consume')
        if self.with_pgq:
            sql("SELECT pgq.drop_queue('consume', true)")
        self.kafka.do('delete', 'consume')


def main():
    parts = ('single', 'batch', 'latency', 'consume')
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--json', metavar='FILE', help='write a line for each result there')
    parser.add_argument('--events', metavar='FILE', required=True)
    parser.add_argument('parts', nargs='*', metavar='PART', help=', '.join(parts))
    args = parser.parse_args()

    start = time.monotonic()
    fill_wal()
    results = PeerResults(args.json)
    peers = Peers(args.events, results)
    for part in args.parts or parts:
        getattr(peers, part)()
    results.print_end(start)


if __name__ == '__main__':
    main()
