"""What the parts of the benchmark share: processes, results, rounds, topics."""
import datetime
import json
import os
import random
import re
import statistics
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
QUICK = os.environ.get('QUICK', '') not in ('', '0')
ROUNDS = max(3, int(os.environ.get('ROUNDS') or (3 if QUICK else 5)))
COMMON_EVENTS = 20      # what clients send that send a record at a time
EPOCH = datetime.datetime(2000, 1, 1)
PLAIN_TABLE = 'CREATE TABLE %s (id bigserial PRIMARY KEY, ts timestamptz, key bytea, value bytea)'


def full(count, quick):
    return quick if QUICK else count


# ---- processes ----

def run(*command, **options):
    done = subprocess.run([str(word) for word in command], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if done.returncode:
        sys.exit('bench: %s failed\n%s%s' % (' '.join(map(str, command[:3])), done.stdout, done.stderr))
    return done.stdout


def sql(*statements):
    """Run statements; the output of the last one, without its newline."""
    command = ['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1']
    for statement in statements:
        command += ['-c', statement]
    lines = run(*command).splitlines()
    return lines[-1] if lines else ''


def client(*args):
    return run(os.path.join(HERE, 'client'), *args)


def produce(side, target, events, batch, count, first, in_flight=1):
    return float(client('produce', side, target, events, batch, count, first, in_flight))


def restart():
    run('pg_ctl', '-D', os.environ['PGDATA'], '-w', '-s', '-m', 'fast', '-l',
        os.path.join(HERE, 'restart.log'), 'restart')


def seconds_of(*statements):
    """What each statement takes on a connection that has run nothing before."""
    return [float(line) for line in client('time', 'fresh', 1, *statements).split()]


# ---- results ----

class Results:
    def __init__(self, path):
        self.file = open(path, 'w') if path else None
        self.missed = 0
        self.heading()

    def heading(self):
        heading(('', 'qtopic', 'plain', 'ratio', 'target'))

    def print_end(self, start):
        print('%d of the targets missed; %d s; load average %.1f (a quiet machine: below 3)' % (
            self.missed, time.monotonic() - start, os.getloadavg()[1]))

    def add(self, name, unit, pairs, target=None):
        """pairs: (figure of qtopic, figure of plain) of each round; target like '>= 1.5'."""
        ratios = [ours / theirs for ours, theirs in pairs]
        ratio = statistics.median(ratios)
        ours = statistics.median(pair[0] for pair in pairs)
        theirs = statistics.median(pair[1] for pair in pairs)
        verdict = self.judge(ratio, target)
        print('%-28s %14s %14s %7.2f  %-7s %-6s  (%.2f to %.2f)' % (
            name, shown(ours, unit), shown(theirs, unit), ratio, target or '', verdict,
            min(ratios), max(ratios)), flush=True)
        self.write(name=name, unit=unit, figure=ours, against=theirs, ratio=round(ratio, 4),
                   target=target, verdict=verdict, rounds=pairs)

    def add_alone(self, name, unit, figures, target=None):
        """A figure of qtopic of each round, which is compared with nothing."""
        figure = statistics.median(figures)
        verdict = self.judge(figure, target)
        print('%-28s %14s %22s  %-7s %-6s  (%s to %s)' % (
            name, shown(figure, unit), '', target or '', verdict,
            shown(min(figures), ''), shown(max(figures), '')), flush=True)
        self.write(name=name, unit=unit, figure=figure, target=target, verdict=verdict, rounds=figures)

    def judge(self, figure, target):
        if not target:
            return ''
        sign, bound = target.split()
        held = figure >= float(bound) if sign == '>=' else figure <= float(bound)
        self.missed += not held
        return 'ok' if held else 'MISSED'

    def write(self, **fields):
        if self.file:
            self.file.write(json.dumps(fields) + '\n')
            self.file.flush()


def heading(names):
    print('%-28s %14s %14s %7s  %-7s' % names, flush=True)


def shown(figure, unit):
    return ('%s %s' % (format(figure, ',.0f' if figure >= 100 else '.3g'), unit)).rstrip()


def rounds(*sides, count=ROUNDS):
    """Call the sides in turn, in the other order every other round; a tuple of results per round."""
    results = []
    for number in range(count):
        order = list(range(len(sides)))
        if number % 2:
            order.reverse()
        figures = [None] * len(sides)
        for side in order:
            sql('CHECKPOINT')
            figures[side] = sides[side]()
        results.append(tuple(figures))
    return results


class CpuTime:
    """Seconds of processor time of the backends that begin and end while this is entered."""

    def __enter__(self):
        with open(os.path.join(os.environ['PGDATA'], 'postmaster.pid')) as file:
            self.postmaster = int(file.readline())
        self.children, self.ticks = self.look()
        return self

    def __exit__(self, *exception):
        deadline = time.monotonic() + 5
        children, ticks = self.look()
        while not children <= self.children and time.monotonic() < deadline:
            time.sleep(0.01)
            children, ticks = self.look()
        self.seconds = max(ticks - self.ticks, 1) / os.sysconf('SC_CLK_TCK')

    def look(self):
        with open('/proc/%d/task/%d/children' % (self.postmaster, self.postmaster)) as file:
            children = set(file.read().split())
        with open('/proc/%d/stat' % self.postmaster) as file:
            fields = file.read().rpartition(') ')[2].split()
        return children, int(fields[13]) + int(fields[14])


def with_cpu(action):
    """What the action returns, and the processor time of its backends."""
    with CpuTime() as cpu:
        figure = action()
    return figure, cpu.seconds


def rates(count, pairs):
    return [(count / ours[0], count / theirs[0]) for ours, theirs in pairs]


def cpu_times(count, pairs):
    """Microseconds a record.  Depends less on what else runs on the machine."""
    return [(1e6 * ours[1] / count, 1e6 * theirs[1] / count) for ours, theirs in pairs]


# ---- what the parts share ----

def create_topic(name, partitions=1, **config):
    sql("SELECT create_topic('%s', %d, '%s')" % (name, partitions, json.dumps(config)))


def storage_size(topic):
    """Bytes of a topic with indexes and TOAST."""
    return int(sql("""
        SELECT sum(pg_total_relation_size(p.relid))
          FROM qtopic_internal.topics t,
               pg_partition_tree(('qtopic_internal.topic_' || t.topic_id)::regclass) p
         WHERE t.name = '%s' AND p.isleaf""" % topic))


def fill_wal():
    """Have WAL segments ready, as a server that has been up for a while."""
    sql("""DO $$ BEGIN
               FOR i IN 1..%d LOOP
                   PERFORM pg_logical_emit_message(false, 'bench', ''); PERFORM pg_switch_wal();
               END LOOP;
           END $$""" % full(64, 32))
    sql('CHECKPOINT')
    sql('CHECKPOINT')


def write_events(path, lines):
    """The format that client.c reads."""
    with open(path, 'wb') as out:
        for line in lines:
            event = json.loads(line)
            at = datetime.datetime.strptime(event['ts'], '%Y-%m-%dT%H:%M:%SZ') - EPOCH
            key = event['key'].encode()
            value = json.dumps(event['value'], ensure_ascii=False, separators=(',', ':')).encode()
            out.write(struct.pack('!qi', int(at.total_seconds()) * 1000000, len(key)) + key)
            out.write(struct.pack('!i', len(value)) + value)


class SingleRecords:
    """Some events that pgbench sends, each in a transaction."""

    def __init__(self, lines):
        self.events = []
        for line in random.Random(42).sample(lines, COMMON_EVENTS):
            event = json.loads(line)
            # no backslashes, for bytea_in
            self.events.append((event['key'], json.dumps(event['value'], separators=(',', ':')).replace('\\', '/')))
        self.variables = []
        for number, (key, value) in enumerate(self.events):
            self.variables += ['-D', 'k%d=%s' % (number, key), '-D', 'v%d=%s' % (number, value)]

    def script(self, name, number):
        return os.path.join(HERE, 'single_%s_%d.sql' % (name, number))

    def write_scripts(self, name, statement):
        """A script for each event; :k and :v in the statement are its key and value."""
        for number in range(COMMON_EVENTS):
            with open(self.script(name, number), 'w', encoding='utf-8') as out:
                out.write(statement.replace(':k', ':k%d' % number).replace(':v', ':v%d' % number) + '\n')

    def send(self, name, clients, seconds=1, settings=''):
        """Transactions a second, and how many were committed; settings are options of the server."""
        out = run('pgbench', '-n', '-M', 'prepared', '-c', clients, '-j', min(clients, 2), '-T', seconds,
                  '--random-seed=42', *self.variables,
                  *[word for number in range(COMMON_EVENTS) for word in ('-f', self.script(name, number))],
                  env={**os.environ, 'PGOPTIONS': settings})
        if not re.search(r'number of failed transactions: 0 ', out):
            sys.exit('bench: pgbench failed\n' + out)
        return (float(re.search(r'^tps = ([0-9.]+)', out, re.M).group(1)),
                int(re.search(r'actually processed: ([0-9]+)', out).group(1)))
