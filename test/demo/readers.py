"""Readers that follow while records are produced, each on its own connection."""

import threading
import time

from client import DemoError, Psql

FETCH_RECORDS = 2000
NAIVE_PAUSE = 0.01


class Reader(threading.Thread):
    """Reads until the producers have ended and there is nothing left."""

    def __init__(self, name):
        super().__init__(name=name, daemon=True)
        self.psql = Psql('reader ' + name)
        self.read = []              # rows as they came
        self.finished_at = None
        self.error = None
        self.producers_ended = threading.Event()

    def run(self):
        try:
            while True:
                ended = self.producers_ended.is_set()
                rows = self.fetch()
                self.read += rows
                if rows:
                    self.finished_at = time.monotonic()
                elif ended:
                    break
        except DemoError as error:
            self.error = error

    def check(self):
        if self.error:
            raise DemoError('reader %s: %s' % (self.name, self.error))


class StreamReader(Reader):
    """Follows one partition as an application does."""

    def __init__(self, topic, partition):
        super().__init__('%s/%d' % (topic, partition))
        self.topic = topic
        self.partition = partition
        self.position = 0

    def fetch(self):
        rows = self.psql.rows(
            "SELECT _offset, headers ->> 'event_id', demo.digest(key, _timestamp, value::jsonb) "
            "FROM fetch_records('%s', %d, %d, %d, max_wait => '1s')"
            % (self.topic, self.partition, self.position, FETCH_RECORDS))
        if rows:
            self.position = int(rows[-1][0]) + 1
        return rows

    def table_rows(self):
        """Rows of demo.stream_read."""
        for arrival, (offset, event_id, digest) in enumerate(self.read):
            yield self.topic, self.partition, arrival, offset, event_id or None, digest


class NaiveReader(Reader):
    """Follows a plain table by its serial column, as many outboxes are read."""

    def __init__(self):
        super().__init__('naive')
        self.last = 0

    def fetch(self):
        rows = self.psql.rows('SELECT id, event_id FROM demo.event_log WHERE id > %d '
                              'ORDER BY id LIMIT %d' % (self.last, FETCH_RECORDS))
        if rows:
            self.last = int(rows[-1][0])
        else:
            time.sleep(NAIVE_PAUSE)
        return rows
