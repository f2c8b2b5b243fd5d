#!/usr/bin/env python3
"""What qtopic does, shown and checked: produce, follow, maintain a search index
in a consumer group, load a warehouse.

test/bin/demo runs this on a throw-away server.  Exits with 1 if anything that
was committed was not read, indexed or loaded exactly once and in order.

EVENTS          how many events, default 200000
QTOPIC_EVENTS   file of events, JSON lines (gzipped or not); without one they are made up
DEMO_BREAK      plant a defect before the verification (1, or a name of planted.py)
"""
import itertools
import json
import os
import subprocess
import sys
import threading
import time

from client import HERE, DemoError, Pgbench, Psql, copy_rows, run_file
from indexers import MEMBERS, TOPICS as INDEXED_TOPICS, IndexerGroup
from partitioner import partition_for_key
from planted import all_defects
from readers import NaiveReader, StreamReader

TOPICS = ('asset_request', 'page_view', 'search')
PARTITIONS = 4
PLACES = list(itertools.product(TOPICS, range(PARTITIONS)))
INDEXED_PLACES = [place for place in PLACES if place[0] in INDEXED_TOPICS]
BATCH = 500
STEPS = (1, 1, 2, 3)            # the events of a business transaction
CLIENTS = {'single': 4, 'batch': 2, 'business': 4}
WAYS = {'single': 'one record a transaction',
        'batch': 'produce_batch(), %d records' % BATCH,
        'business': 'business transactions'}
COUNTS = ('committed', 'streamed', 'indexed', 'loaded', 'naive_lost')
LOAD_PAUSE = 3          # seconds between two runs of the batch load
DEFECT_TEXT = {
    'missing': 'committed, but not read',
    'doubled': 'read again',
    'uncommitted': 'read, but rolled back',
    'disordered': 'read out of order',
    'altered': 'read with another key, time or value',
    'misplaced': 'read at another place than they were produced to',
    'unindexed': 'committed, but not in the search index',
    'misindexed': 'twice or wrong in the search index',
    'misordered': 'out of order in the search index',
    'kept': 'in the search index by a process that was killed before its commit',
    'behind': 'that the consumer group has not passed',
    'unloaded': 'committed, but not in the warehouse',
    'misloaded': 'twice or wrong in the warehouse',
}


def say(text=''):
    print(text, flush=True)


def generated_events(count, path):
    """The events to produce, as dicts."""
    command = [sys.executable, os.path.join(HERE, 'generate_events'), str(count)]
    if path:
        command += ['--from', path]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding='utf-8')
    for line in process.stdout:
        event = json.loads(line)
        if event['topic'] not in TOPICS:
            raise DemoError('there is no topic for the event %s' % line.strip())
        yield event
    if process.wait() != 0:
        raise DemoError('generate_events failed')


def is_committed(lane, chunk, step):
    """What the scripts produce_*.sql do, said again."""
    if lane == 'batch':
        return chunk % 16 != 9
    if lane == 'business':
        return chunk % 11 != 6 and not (step == 2 and chunk % 5 == 2)
    return True


def planned_rows(events, chunks):
    """Rows of demo.source.  Counts the chunks of each lane into `chunks`."""
    batches = {topic: [] for topic in TOPICS}
    business = []

    def rows(lane, members):
        for step, (event_id, event) in members:
            yield (lane, chunks[lane], step, event_id, event['topic'], event['key'], event['ts'],
                   json.dumps(event['value'], ensure_ascii=False),
                   partition_for_key(event['key'], PARTITIONS),
                   is_committed(lane, chunks[lane], step))
        chunks[lane] += 1

    # of ten events two go alone, two into business transactions, six into batches
    for item in enumerate(events, 1):
        turn = item[0] % 10
        if turn < 2:
            yield from rows('single', [(1, item)])
        elif turn < 4:
            business.append(item)
            if len(business) == len(STEPS):
                yield from rows('business', zip(STEPS, business))
                business.clear()
        else:
            batch = batches[item[1]['topic']]
            batch.append(item)
            if len(batch) == BATCH:
                yield from rows('batch', [(1, member) for member in batch])
                batch.clear()
    for item in business:
        yield from rows('single', [(1, item)])
    for batch in filter(None, batches.values()):
        yield from rows('batch', [(1, member) for member in batch])


def load_events(count, path):
    """Fill demo.source, return how many chunks each lane has."""
    chunks = dict.fromkeys(CLIENTS, 0)
    copy_rows('demo.source', planned_rows(generated_events(count, path), chunks))
    psql = Psql('loader')
    psql.rows('ALTER TABLE demo.source ADD PRIMARY KEY (lane, chunk, step, event_id)')
    psql.rows('VACUUM ANALYZE demo.source')
    psql.close()
    return chunks


class Loader(threading.Thread):
    """The batch load: now and then, what is there."""

    def __init__(self):
        super().__init__(name='load', daemon=True)
        self.psql = Psql('load')
        self.producers_ended = threading.Event()
        self.runs = 0
        self.seconds = 0
        self.error = None

    def run(self):
        try:
            while not self.producers_ended.wait(LOAD_PAUSE):
                self.load()
            self.load()
        except DemoError as error:
            self.error = error

    def load(self):
        started = time.monotonic()
        for place in PLACES:
            self.psql.rows("CALL warehouse.load_partition('%s', %d)" % place)
        self.seconds += time.monotonic() - started
        self.runs += 1

    def check(self):
        if self.error:
            raise DemoError('load: %s' % self.error)

    def finish(self):
        self.producers_ended.set()
        self.join(120)
        self.check()
        if self.is_alive():
            raise DemoError('the load did not come to the end')
        self.psql.close()


def produce_and_follow(chunks, watch):
    """Producers, readers, consumer group and batch load at once.  Returns the latter three
    and seconds by lane."""
    readers = [StreamReader(topic, partition) for topic, partition in PLACES]
    naive = NaiveReader()
    group = IndexerGroup(int(watch.row(
        "SELECT count(*) FROM demo.source WHERE commits AND topic IN ('%s')" % "', '".join(INDEXED_TOPICS))[0]))
    loader = Loader()
    followers = readers + [naive, group, loader]
    started = time.monotonic()
    for follower in followers:
        follower.start()
    producers = [Pgbench(lane, CLIENTS[lane], chunks[lane]) for lane in CLIENTS]
    seconds = {}
    try:
        shown = started
        while len(seconds) < len(producers):
            time.sleep(0.05)
            now = time.monotonic()
            for producer in producers:
                producer.check()
                if not producer.running():
                    seconds.setdefault(producer.lane, now - started)
            for follower in followers:
                follower.check()
            if now - shown >= 5:
                shown = now
                attempted = int(watch.row('SELECT last_value FROM demo.event_log_id_seq')[0])
                say('%6.0f s   %9s attempted %9s streamed %9s indexed' % (
                    now - started, format(attempted, ','),
                    format(sum(len(reader.read) for reader in readers), ','),
                    format(group.count(), ',')))
    finally:
        for producer in producers:
            producer.stop()
    for reader in readers + [naive]:
        reader.producers_ended.set()
    for reader in readers + [naive]:
        reader.join(60)
        reader.check()
        if reader.is_alive():
            raise DemoError('reader %s did not come to the end' % reader.name)
        reader.psql.close()
    seconds['stream'] = max(reader.finished_at or started for reader in readers) - started
    seconds['index'] = group.finish(watch)
    loader.finish()
    seconds['warehouse'] = loader.seconds
    return readers, naive, group, loader, seconds


def verify(psql):
    """Rows of demo.verify() as dicts, and all defects as sentences."""
    columns = ['topic', 'partition', *COUNTS, *DEFECT_TEXT]
    rows = []
    for values in psql.rows('SELECT %s FROM demo.verify()' % ', '.join(columns)):
        rows.append(dict(zip(columns, values[:1] + [int(value) for value in values[1:]])))
    defects = []
    if [(row['topic'], row['partition']) for row in rows] != PLACES:
        defects.append('records were found in other partitions than they were produced to')
    for row in rows:
        defects += ['%s partition %d: records %s: %d' % (row['topic'], row['partition'], text, row[column])
                    for column, text in DEFECT_TEXT.items() if row[column]]
        expected = [row['committed']] * 3
        if row['topic'] not in INDEXED_TOPICS:
            expected[1] = 0
        if [row['streamed'], row['indexed'], row['loaded']] != expected and not any(row[column] for column in DEFECT_TEXT):
            defects.append('%s partition %d: the counts differ' % (row['topic'], row['partition']))
    defects += [sentence for sentence, in psql.rows('SELECT * FROM demo.verify_all()')]
    return rows, defects


def report_partitions(rows):
    say('                                          out of              search    ware-     naive')
    say('topic       partition committed  streamed  order missing twice index     house    reader lost')
    total = dict.fromkeys([*COUNTS, *DEFECT_TEXT], 0)
    for row in rows:
        for column in total:
            total[column] += row[column]
    for row in rows + [dict(total, topic='all', partition='')]:
        say('%-13s %5s %11s %9s %6s %7s %5s %9s %9s %9s' % (
            row['topic'], row['partition'],
            *('-' if column == 'indexed' and row['topic'] not in (*INDEXED_TOPICS, 'all')
              else format(row[column], ',') for column in (
                  'committed', 'streamed', 'disordered', 'missing', 'doubled', 'indexed', 'loaded',
                  'naive_lost'))))
    return total


def report_rates(psql, total, seconds, loads):
    say('                                          records   seconds  records/s')

    def line(what, records, took):
        say('%-38s %10s %9.1f %10s' % (what, format(records, ','), took,
                                       format(round(records / max(took, 0.001)), ',')))

    produced = dict(psql.rows('SELECT lane, count(*) FROM demo.books GROUP BY lane'))
    for lane, way in WAYS.items():
        line('%d clients: %s' % (CLIENTS[lane], way), int(produced.get(lane, 0)), seconds[lane])
    line('all producers, at the same time', total['committed'],
         max(seconds[lane] for lane in CLIENTS))
    line('%d stream readers, meanwhile' % len(PLACES), total['streamed'],
         seconds['stream'])
    line('%d processes of the consumer group' % MEMBERS, total['indexed'], seconds['index'])
    line('warehouse load, %d runs meanwhile' % loads, total['loaded'], seconds['warehouse'])


def report_group(psql, group):
    """What happened to the consumer group, and what it made."""
    for sentence in group.kills:
        say('group      ' + sentence)
    say('lag        %-36s %s' % ('of the consumer group search_index',
                                 ' '.join('%10s' % topic for topic in INDEXED_TOPICS)))
    for when, lags in group.lags.items():
        say('           %-36s %s' % (when, ' '.join('%10s' % format(lags[topic], ',')
                                                   for topic in INDEXED_TOPICS)))
    word = psql.row("""
        SELECT word FROM ts_stat('SELECT document FROM search.document LIMIT 10000')
         WHERE length(word) > 4 ORDER BY ndoc DESC, word LIMIT 1""")[0]
    documents = psql.row("SELECT count(*) FROM search.document WHERE document @@ to_tsquery('simple', '%s')" % word)[0]
    say('search     "%s" is in %s of %s documents' % (
        word, format(int(documents), ','),
        format(int(psql.row('SELECT count(*) FROM search.document')[0]), ',')))


def self_check(psql):
    """Plant all defects, see that each is found, take them back.  Returns a sentence."""
    defects = all_defects(PLACES, INDEXED_PLACES, PARTITIONS)
    psql.rows('BEGIN')
    planted = [defect for defect in defects if defect.plant(psql)]
    rows = verify(psql)[0]
    psql.rows('ROLLBACK')
    found = [defect.name for defect in planted if defect.is_found(rows)]
    if len(found) == len(defects):
        say('Of %d planted defects the verification finds all.' % len(defects))
        return []
    return ['the verification overlooks the planted defect "%s"' % defect.name
            for defect in defects if defect.name not in found]


def report_sums(psql, total):
    rolled_back = int(psql.row('SELECT count(*) FROM demo.source WHERE NOT commits')[0])
    if not total['uncommitted']:
        say('%s more records were rolled back; none of them was read.' % format(rolled_back, ','))
    say('WHERE id > last lost %s of %s rows (%.1f %%); fetch_records() lost %s.' % (
        format(total['naive_lost'], ','), format(total['committed'], ','),
        100 * total['naive_lost'] / max(total['committed'], 1), format(total['missing'], ',')))


def prepare(count, path):
    started = time.monotonic()
    for name in ('schema.sql', 'search.sql', 'warehouse.sql'):
        run_file(name)
    chunks = load_events(count, path)
    say('prepare    events %s, %.0f s' % ('of ' + os.path.basename(path) if path else 'made up',
                                          time.monotonic() - started))
    return chunks


def produce(psql, chunks):
    say('produce    %d clients; %d readers follow, and one with WHERE id > last;' % (
        sum(CLIENTS.values()), len(PLACES)))
    say('           %d processes of a consumer group maintain a search index; a batch loads a warehouse' % MEMBERS)
    readers, naive, group, loader, seconds = produce_and_follow(chunks, psql)
    for reader in readers:
        copy_rows('demo.stream_read', reader.table_rows())
    copy_rows('demo.naive_read', naive.read)
    return group, loader.runs, seconds


def report_warehouse(psql):
    counts = [format(int(psql.row('SELECT count(*) FROM warehouse.' + table)[0]), ',')
              for table in ('fact_event', 'dim_visitor', 'dim_page', 'dim_date')]
    say('warehouse  %s facts, %s visitors, %s pages, %s days' % tuple(counts))


def run(count, path, broken):
    """The whole demo.  Returns the defects found."""
    psql = Psql('main')
    version = psql.row("SELECT split_part(current_setting('server_version'), ' ', 1)")[0]
    say('qtopic demo: %s events, %d topics of %d partitions, PostgreSQL %s\n' % (
        format(count, ','), len(TOPICS), PARTITIONS, version))

    chunks = prepare(count, path)
    group, loads, seconds = produce(psql, chunks)
    report_group(psql, group)
    report_warehouse(psql)

    run_file('verify.sql')
    if broken:
        say('DEMO_BREAK the defect "%s" is planted in %s partition %d' % (
            broken.name, broken.topic, broken.partition))
        broken.plant(psql)
    rows, defects = verify(psql)
    say()
    total = report_partitions(rows)
    say()
    report_rates(psql, total, seconds, loads)
    say()
    report_sums(psql, total)
    if not defects:
        defects = self_check(psql)
    psql.close()
    return defects


def main():
    try:
        count = int(os.environ.get('EVENTS') or '200000')
    except ValueError:
        sys.exit('demo: EVENTS is not a number')
    if count < 20000:
        sys.exit('demo: EVENTS is at least 20000')
    broken = os.environ.get('DEMO_BREAK') or '0'
    broken = {'0': None, '1': 'lost'}.get(broken, broken)
    known = {defect.name: defect for defect in all_defects(PLACES, INDEXED_PLACES, PARTITIONS)}
    if broken and broken not in known:
        sys.exit('demo: DEMO_BREAK is 1 or one of ' + ', '.join(known))

    try:
        defects = run(count, os.environ.get('QTOPIC_EVENTS'), known.get(broken))
    except DemoError as error:
        sys.exit('demo: %s' % error)
    except KeyboardInterrupt:
        sys.exit(130)
    for defect in defects:
        say('FAILED: ' + defect)
    if defects:
        sys.exit(1)
    say('OK: everything that was committed was read, indexed and loaded once and in order.')


if __name__ == '__main__':
    main()
