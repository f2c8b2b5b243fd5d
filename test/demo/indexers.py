"""A consumer group that maintains a search index, and loses members midway."""

import os
import signal
import threading
import time

from client import DemoError, Psql

TOPICS = ('page_view', 'search')
MEMBERS = 3
RECORDS = 250                   # of each topic in a transaction
PAUSE = 0.03                    # seconds: some records at a time are cheaper than one
START_LAG = 1 / 20              # of all records to index, before the first one starts
KILLS = ((1 / 5, 'kill -9'), (2 / 5, 'pg_terminate_backend()'))
DEADLINE = 30

# The records, the documents and the positions commit together.
INDEX = """
WITH indexed AS (
    INSERT INTO search.document (topic, _partition, _offset, event_id, visitor, words, indexer)
    SELECT topic, _partition, _offset, (headers ->> 'event_id')::bigint, key, search.words(value), '%s'
      FROM (SELECT 'page_view' AS topic, * FROM consume_jsonb('search_index', 'page_view', {0})
            UNION ALL
            SELECT 'search', * FROM consume_jsonb('search_index', 'search', {0})) AS records
    RETURNING topic, _partition, _offset)
SELECT topic, _partition, min(_offset), max(_offset), count(*) FROM indexed GROUP BY 1, 2
""".format(RECORDS)


def lag(psql):
    """Records that the group has not passed, by topic."""
    return {topic: int(records) for topic, records in psql.rows(
        "SELECT topic, sum(lag) FROM qtopic_group_lag WHERE consumer_group = 'search_index' GROUP BY 1")}


class Indexer(threading.Thread):
    """One process of the group.  Ends when the producers have and nothing is left."""

    def __init__(self, number, producers_ended):
        super().__init__(name='indexer %d' % number, daemon=True)
        self.psql = Psql(self.name)
        self.backend = int(self.psql.row('SELECT pg_backend_pid()')[0])
        self.producers_ended = producers_ended
        self.hold = threading.Event()       # stop before the next COMMIT
        self.holding = threading.Event()
        self.in_hand = []                   # what was read, and not committed
        self.committed = []                 # (time, what was read) of each transaction
        self.count = 0
        self.error = None

    def run(self):
        try:
            while self.index_some():
                time.sleep(PAUSE)
        except DemoError as error:
            self.error = error

    def index_some(self):
        """A transaction; false if it is the last one."""
        ended = self.producers_ended.is_set()
        self.psql.rows("CALL wait_for_records('search_index', NULL, '1s')")
        self.psql.rows('BEGIN')
        rows = self.psql.rows(INDEX % self.name)
        if rows and self.hold.is_set():
            self.in_hand = rows
            self.holding.set()
            return False
        self.psql.rows('COMMIT')
        if rows:
            self.committed.append((time.monotonic(), rows))
        self.count += sum(int(row[4]) for row in rows)
        return bool(rows) or not ended

    def kill(self, how, psql):
        """End it in an open transaction, return when."""
        self.hold.set()
        if not self.holding.wait(DEADLINE):
            raise DemoError('%s had nothing in hand to be killed with' % self.name)
        self.join()
        killed_at = time.monotonic()
        if how == 'kill -9':
            os.kill(self.psql.process.pid, signal.SIGKILL)
        else:
            psql.rows('SELECT pg_terminate_backend(%d)' % self.backend)
        return killed_at

    def took_over(self, row, since):
        """When it committed what another one had in hand, or None."""
        for at, rows in reversed(self.committed):
            if at < since:
                break
            if any(mine[:3] == row[:3] for mine in rows):
                return at
        return None


class IndexerGroup(threading.Thread):
    """Starts the members, kills two of them, and starts others in their place."""

    def __init__(self, records):
        super().__init__(name='indexers', daemon=True)
        self.psql = Psql('indexers')
        self.records = records              # that there will be to index
        self.producers_ended = threading.Event()
        self.everyone = []
        self.lags = {}
        self.kills = []                     # sentences
        self.started_at = None
        self.error = None

    def run(self):
        try:
            self.wait_until(lambda: sum(lag(self.psql).values()) >= START_LAG * self.records)
            self.lags['when its %d processes start' % MEMBERS] = lag(self.psql)
            self.started_at = time.monotonic()
            for _ in range(MEMBERS):
                self.start_one()
            for victim, (part, how) in enumerate(KILLS):
                self.wait_until(lambda: self.count() >= part * self.records)
                self.kill_one(self.everyone[victim], how)
                self.start_one()
            for indexer in self.everyone:
                indexer.join()
            self.check()
        except DemoError as error:
            self.error = error

    def start_one(self):
        indexer = Indexer(len(self.everyone) + 1, self.producers_ended)
        self.everyone.append(indexer)
        indexer.start()

    def kill_one(self, victim, how):
        self.lags['when %s is killed' % victim.name] = lag(self.psql)
        killed_at = victim.kill(how, self.psql)
        waits = []
        for row in victim.in_hand:
            self.wait_until(lambda: self.taken_over_at(row, killed_at),
                            'no other one reads what %s had in hand' % victim.name)
            waits.append(self.taken_over_at(row, killed_at) - killed_at)
            self.psql.rows("INSERT INTO demo.in_hand VALUES ('%s', %s, %s, %s, '%s')" % (*row[:4], victim.name))
        self.kills.append('%s, %s with %s records of %d partition%s in hand: others committed them within %.0f ms' % (
            victim.name, how, sum(int(row[4]) for row in victim.in_hand), len(waits),
            's' if len(waits) > 1 else '', 1000 * max(waits)))

    def taken_over_at(self, row, since):
        return min(filter(None, (indexer.took_over(row, since) for indexer in self.everyone)), default=None)

    def wait_until(self, condition, otherwise='the consumer group does not go on'):
        deadline = time.monotonic() + DEADLINE
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(otherwise)
            time.sleep(0.02)

    def check(self):
        for error, who in [(self.error, self)] + [(indexer.error, indexer) for indexer in self.everyone]:
            if error:
                raise DemoError('%s: %s' % (who.name, error))

    def count(self):
        return sum(indexer.count for indexer in self.everyone)

    def finish(self, psql):
        """Come to the end, return the seconds that were needed."""
        self.producers_ended.set()
        self.join(60)
        self.check()
        if self.is_alive():
            raise DemoError('the consumer group did not come to the end')
        self.lags['at the end'] = lag(psql)
        for indexer in self.everyone:
            indexer.psql.close()
        self.psql.close()
        return max(indexer.committed[-1][0] for indexer in self.everyone if indexer.committed) - self.started_at
