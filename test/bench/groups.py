"""The parts of the benchmark that are about consumer groups."""
import json
import os
import statistics
import subprocess
import sys
import time

from measure import (HERE, PLAIN_TABLE, ROUNDS, cpu_times, create_topic, full, heading, produce, rates, restart,
                     rounds, run, sql, with_cpu)

PGQ = 'postgresql-15-pgq3'
RATE = 1000             # records a second, where latency is measured
SESSIONS = 500          # that wait
PAGE = 500              # records that are consumed and committed together


def consumer(*args, **options):
    return run(os.path.join(HERE, 'consumer'), *args, **options)


def drain(side, source, reader, records, transactions, **options):
    return float(consumer('drain', side, source, reader, records, transactions, **options))


class OldSnapshot:
    """A REPEATABLE READ transaction that has begun and does nothing."""

    def __enter__(self):
        self.psql = subprocess.Popen(['psql', '-XAtq'], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.psql.stdin.write('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class;\n')
        self.psql.stdin.flush()
        if not self.psql.stdout.readline():
            sys.exit('bench: no snapshot')
        return self

    def __exit__(self, *exception):
        self.psql.communicate('ROLLBACK;\n')


def waiting_sessions():
    return int(sql("""SELECT count(*) FROM pg_stat_activity
                       WHERE backend_type = 'client backend' AND state = 'active' AND wait_event_type = 'Extension'"""))


def processor_seconds():
    """Of the sessions of others, and of qtopic's background processes."""
    pids = run('psql', '-XAtq', '-c', """
        SELECT pid FROM pg_stat_activity
         WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() OR backend_type LIKE 'qtopic%'""")
    total = 0
    for pid in pids.split():
        with open('/proc/%s/schedstat' % pid) as file:
            total += int(file.read().split()[0])
    return total / 1e9


class PgqQueues:
    """PgQ, where it is installed."""

    def pgq_is_there(self, part):
        if int(sql("SELECT count(*) FROM pg_available_extensions WHERE name = 'pgq'")) == 0:
            print('%s: without PgQ, which Debian calls %s and which is not installed' % (part, PGQ), flush=True)
            return False
        sql('SET client_min_messages = warning', 'CREATE EXTENSION IF NOT EXISTS pgq')
        return True

    def create_queue(self, name, reader, count, lag):
        """pgq.ticker() closes a batch that has so many events, or is so old."""
        sql("SELECT pgq.create_queue('%s')" % name,
            "SELECT pgq.set_queue_config('%s', 'ticker_max_count', '%d')" % (name, count),
            "SELECT pgq.set_queue_config('%s', 'ticker_max_lag', '%s')" % (name, lag),
            "SELECT pgq.register_consumer('%s', '%s')" % (name, reader))

    def fill_queue(self, queue, count, batch, lag):
        """Insert the events of plain_consume, 500 a transaction; ask for a tick after each."""
        self.create_queue(queue, queue, batch, lag)
        sql('SET synchronous_commit = off', """
            DO $$ BEGIN
                FOR low IN 1..%d BY %d LOOP
                    PERFORM pgq.insert_event('%s', 'event', convert_from(value, 'UTF8'),
                                             convert_from(key, 'UTF8'), NULL, NULL, NULL)
                       FROM plain_consume WHERE id BETWEEN low AND low + %d ORDER BY id;
                    COMMIT;
                    PERFORM pgq.ticker('%s');
                    COMMIT;
                END LOOP;
            END $$""" % (count, PAGE, queue, PAGE - 1, queue))


class GroupParts(PgqQueues):
    # ---- latency ----

    def latency(self):
        """From a commit to a waiting consumer, at a steady rate."""
        seconds = full(10, 3)
        with_pgq = self.pgq_is_there('latency')
        event = json.dumps(json.loads(self.lines[len(self.lines) // 2])['value'], separators=(',', ':'))
        create_topic('latency', 4)
        sql("SELECT create_group('latency_group', 'latency')")
        if with_pgq:
            self.create_queue('latency', 'latency_reader', 1, '0')

        def side(name, reader):
            def action():
                out = consumer('latency', name, 'latency', reader, RATE, seconds, event)
                return [list(map(float, line.split())) for line in out.splitlines()]
            return action

        sides = [side('qtopic', 'latency_group')]
        if with_pgq:
            sides.append(side('pgq', 'latency_reader'))
        done = rounds(*sides)
        for number, (name, target) in enumerate((('p50', '<= 2'), ('p99', '<= 5'), ('p99.9', None))):
            self.results.add_alone('latency ' + name, 'ms', [figures[0][0][number] for figures in done], target)
        for line, name in ((1, 'after its commit'), (2, 'of producing')):
            for number, percentile in enumerate(('p50', 'p99', 'p99.9')):
                self.results.add_alone('latency %s %s' % (name, percentile), 'ms',
                                       [figures[0][line][number] for figures in done])
        if with_pgq:
            heading(('', 'qtopic', 'PgQ', 'ratio', 'target'))
            for number, name in enumerate(('p50', 'p99', 'p99.9')):
                self.results.add('latency %s, PgQ' % name, 'ms',
                                 [(ours[0][number], theirs[0][number]) for ours, theirs in done],
                                 '<= 0.1' if number < 2 else None)
            sql("SELECT pgq.drop_queue('latency', true)")
        sql("SELECT delete_group('latency_group')", "SELECT drop_topic('latency')")

    # ---- consuming ----

    def consume(self):
        """A backlog, 500 records and a commit each."""
        transactions = full(1000000, 60000) // PAGE // (ROUNDS + 1)
        count = transactions * PAGE
        backlog = count * (ROUNDS + 1)
        with_pgq = self.pgq_is_there('consume')
        sql(PLAIN_TABLE % 'plain_consume',
            'CREATE TABLE plain_position (position bigint)', 'INSERT INTO plain_position VALUES (0)')
        create_topic('consume')
        produce('copy', 'plain_consume', self.events, 1000, backlog, 0)
        produce('qtopic', 'consume', self.events, 1000, backlog, 0)
        if with_pgq:
            self.fill_queue('consume', backlog, PAGE, '1 day')
            self.fill_queue('consume_ticks', backlog, 10 * backlog, '100 ms')
        sql('VACUUM ANALYZE')

        def side(name, source, reader, part=1):
            def action():
                seconds, cpu = with_cpu(lambda: drain(name, source, reader, PAGE, int(part * transactions)))
                return seconds / part, cpu / part
            action()        # does not count
            return action

        sides = [side('qtopic-bytea', 'consume', 'consume_bytea'), side('qtopic-text', 'consume', 'consume_text'),
                 side('plain', 'plain_consume', 'plain_position')]
        if with_pgq:
            # batches by time are larger, and the last one of a slice is read to its end
            sides += [side('pgq', 'consume', 'consume'), side('pgq', 'consume_ticks', 'consume_ticks', 0.6)]
        done = rounds(*sides)

        def report(name, ours, theirs, target):
            pairs = [(figures[ours], figures[theirs]) for figures in done]
            self.results.add(name, '/s', rates(count, pairs), target)
            self.results.add(name + ' CPU', 'us/rec', cpu_times(count, pairs))

        report('consume', 0, 2, '>= 0.8')
        if with_pgq:
            heading(('', 'qtopic', 'PgQ', 'ratio', 'target'))
            report('consume, batches of 500', 1, 3, '>= 1.0')
            report('consume, ticks of 100 ms', 1, 4, '>= 1.0')
            sql("SELECT pgq.drop_queue(q, true) FROM unnest('{consume,consume_ticks}'::text[]) q")
        sql("SELECT delete_group(g) FROM unnest('{consume_bytea,consume_text}'::text[]) g",
            "SELECT drop_topic('consume')", 'DROP TABLE plain_consume, plain_position')

    # ---- an old snapshot ----

    def xmin(self):
        """Consume a record and commit, before and after many commits beside an old snapshot."""
        commits, timed = full(100000, 20000), full(10000, 4000)
        environment = dict(os.environ, PGOPTIONS='-c synchronous_commit=off')
        create_topic('xmin')
        sql('SET synchronous_commit = off', """
            DO $$ BEGIN
                FOR i IN 1..%d LOOP
                    PERFORM produce('xmin', 'k'::text, 'value of record ' || i);
                    IF i %% 1000 = 0 THEN COMMIT; END IF;
                END LOOP;
            END $$""" % (commits + 4 * timed))
        sql("SELECT create_group('xmin', 'xmin')")

        def consume(transactions):
            seconds, cpu = with_cpu(lambda: drain('qtopic-alone', 'xmin', 'xmin', 1, transactions, env=environment))
            return transactions / seconds, 1e6 * cpu / transactions

        done = []
        for _ in range(full(3, 2)):
            sql("SELECT * FROM reset_offsets('xmin', 'xmin', 'earliest')", 'VACUUM', 'CHECKPOINT')
            consume(timed)          # does not count
            before = consume(timed)
            with OldSnapshot():
                whole = consume(commits)
                held = consume(timed)
            sql('VACUUM', 'CHECKPOINT')
            after = consume(timed)
            # the machine may have become slower or faster meanwhile
            free = [statistics.mean(pair) for pair in zip(before, after)]
            done.append((held, free, whole))
        heading(('', 'old snapshot', 'none', 'ratio', 'target'))
        self.results.add('xmin, after %s commits' % format(commits, ','), '/s',
                         [(held[0], free[0]) for held, free, _ in done], '>= 0.9')
        self.results.add('xmin CPU', 'us', [(held[1], free[1]) for held, free, _ in done])
        self.results.add('xmin, the commits before', '/s', [(whole[0], free[0]) for _, free, whole in done])
        sql("SELECT delete_group('xmin')", "SELECT drop_topic('xmin')")

    # ---- waiting ----

    def idle(self):
        """Sessions that wait on an idle server."""
        # autovacuum would write WAL for what the other parts have left
        sql("ALTER SYSTEM SET max_connections = %d" % (SESSIONS + 50), "ALTER SYSTEM SET autovacuum = off")
        restart()
        create_topic('idle', 4)
        sql("SELECT create_group('idle', 'idle')", 'VACUUM ANALYZE', 'CHECKPOINT')
        for name, statement, window in (
                ('consume', "SELECT * FROM consume('idle', 'idle', max_wait => '30s')", 30),
                ('wait_for_records', "CALL wait_for_records('idle', 'idle', '60s')", full(60, 20))):
            self.wait_idle(name, statement, window)
        sql("SELECT delete_group('idle')", "SELECT drop_topic('idle')", 'ALTER SYSTEM RESET ALL')
        restart()

    def wait_idle(self, name, statement, window):
        process = subprocess.Popen([os.path.join(HERE, 'consumer'), 'wait', str(SESSIONS), statement],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            if process.stdout.readline() != 'ready\n':
                sys.exit('bench: no waiting sessions')
            # what new sessions did has its record of running transactions within 15 s
            time.sleep(17)
            if waiting_sessions() != SESSIONS:
                sys.exit('bench: not all sessions wait')
            wal, cpu, start = sql('SELECT pg_current_wal_insert_lsn()'), processor_seconds(), time.monotonic()
            time.sleep(window)
            cpu, elapsed = processor_seconds() - cpu, time.monotonic() - start
            wal = int(sql("SELECT pg_current_wal_insert_lsn() - '%s'::pg_lsn" % wal))
        finally:
            process.stdin.close()
            process.wait()
        sql("""SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()""")
        self.results.add_alone('idle %s CPU' % name, '%', [100 * cpu / elapsed], '<= 1')
        self.results.add_alone('idle %s WAL' % name, 'B', [wal], '<= 0')
