#!/usr/bin/env python3
"""membership - random members of one consumer group, and a log of all they see.

usage: membership.py CONNINFO SECONDS SEED FILE

Members join, heartbeat, poll, commit (in autocommit, or in transactions that
stay open for a while, some prepared, and are sometimes rolled back) and leave;
repeat calls whose answers they have "lost"; stop for longer than their session;
die without a word and come back, some with their instance_id, some with that of
somebody else; and go on with what they knew when they died.  Sessions end by a
clock that is moved ahead.  A producer appends all the while, and topics get more
partitions.  At the end two members read what is left.  membership_checker.py
judges the log that is written to FILE.

The seed repeats the choices, though not the timing.
"""

import itertools
import json
import random
import sys
import threading
import time
import traceback
import uuid

import psycopg

GROUP = "members"
TOPICS = "m_one", "m_two"
PARTITIONS = 4
MEMBERS = 5
INSTANCES = "i1", "i2"
SESSIONS = 6, 6, 20, 60
AHEAD = 4, 7, 7, 15, 25, 25, 45, 70, 70      # ends some of these sessions, or none

# What a member may be told: busy, fenced, unknown.
REFUSALS = "QT003", "QT002", "QT004"

ORDER = f"""
SELECT t.name || '/' || p.partition, p.n
  FROM qtopic_internal.positions p JOIN qtopic_internal.group_topics gt USING (gt_id)
  JOIN qtopic_internal.topics t USING (topic_id) JOIN qtopic_internal.groups g USING (group_id)
 WHERE g.name = '{GROUP}'"""


class Log:

    def __init__(self):
        self.events = []
        self.lives = itertools.count(1)
        self.failures = []

    def write(self, path):
        with open(path, "w", encoding="utf-8") as file:
            for event in self.events:
                file.write(json.dumps(event) + "\n")


class Place:
    """What a member knows of its place in the group."""

    def __init__(self, life, member, epoch, owns):
        self.life = life
        self.member = member
        self.epoch = epoch
        self.owns = owns
        self.work = {}                  # key -> offsets that were read and not committed
        self.given_up = []              # (epoch, work), until that is acknowledged


class Client:
    """A connection, and a place that is its own or was."""

    def __init__(self, conninfo, log, rng, can_be_static=False):
        self.conninfo = conninfo
        self.log = log
        self.rng = rng
        self.can_be_static = can_be_static
        self.instance = None
        self.place = None
        self.past = []                  # places of former lives
        self.losses = 0.1               # how many answers are lost
        self.connect()

    def connect(self):
        self.connection = psycopg.connect(self.conninfo, autocommit=True)

    def chance(self, probability):
        return self.rng.random() < probability

    # ---- calls, each with its line in the log

    def run(self, op, sql, place, stale=False, **more):
        """
        The rows of each of the statements, or None if the member was refused;
        and the event, to which the caller adds what it was told.
        """
        event = {"op": op, "s": time.monotonic(), "ok": True, "code": None,
                 "life": place and place.life, "presents": place and place.epoch, **more}
        if stale:
            event["stale"] = True
        rows = []
        try:
            cursor = self.connection.execute(sql)
            while True:
                rows.append(cursor.fetchall() if cursor.description else [])
                if not cursor.nextset():
                    break
        except psycopg.Error as error:
            event["ok"], event["code"] = False, error.sqlstate or "lost"
            if event["code"] not in REFUSALS:
                event["message"] = str(error)
            rows = None
        event["e"] = time.monotonic()
        return rows, event

    def add(self, event, **more):
        event.update(more)
        self.log.events.append(event)

    def arguments(self, place):
        return f"'{GROUP}', '{place.member}', {place.epoch}"

    def join(self, topics=TOPICS):
        member = str(uuid.uuid4()) if self.chance(0.5) else None
        if self.past and self.chance(0.2):
            member = self.past[-1].member
        instance = self.rng.choice(INSTANCES) if self.can_be_static and self.chance(0.7) else None
        timeout = self.rng.choice(SESSIONS)
        sql = f"""SELECT * FROM join_group('{GROUP}', '{{{",".join(topics)}}}',
                  instance_id => {literal(instance)}, assignor => '{self.rng.choice(("uniform", "range"))}',
                  session_timeout => '{timeout} s', member_id => {literal(member)})"""
        rows, event = self.run("join", sql, None, member=member, instance=instance, timeout=timeout)
        if rows is None:
            self.add(event)
            return
        (member, epoch, assignment), = rows[0]
        place = Place(next(self.log.lives), member, epoch, keys_of(assignment))
        self.add(event, life=place.life, member=member, epoch=epoch, owns=place.owns)
        if self.chance(self.losses):    # the answer is lost
            self.past.append(place)
        else:
            self.place = place

    def heartbeat(self, place, stale=False):
        rows, event = self.run("heartbeat", f"SELECT * FROM heartbeat({self.arguments(place)})", place, stale)
        if rows is None:
            return self.refused(event, place)
        (epoch, assignment), = rows[0]
        owns = keys_of(assignment)
        self.add(event, epoch=epoch, owns=owns)
        if stale or self.chance(self.losses):
            return None
        self.acknowledged(place)
        gone = {key: place.work.pop(key) for key in list(place.work) if key not in owns}
        if gone:
            place.given_up.append((place.epoch, gone))
            if self.chance(0.5):        # done with it before that is acknowledged
                self.commit(place, gone)
        place.epoch, place.owns = epoch, owns
        return None

    def poll(self, place, stale=False):
        wait = self.rng.choice((0, 0, 0, 50))
        rows, event = self.run("poll", f"""SELECT _topic || '/' || _partition, _offset
            FROM poll_records({self.arguments(place)}, {self.rng.choice((1, 5, 20, 500))}, '{wait} ms')""", place, stale)
        if rows is None:
            return self.refused(event, place)
        records = {}
        for key, offset in rows[0]:
            records.setdefault(key, []).append(offset)
        self.add(event, records=records)
        self.acknowledged(place)
        if not stale and not self.chance(self.losses):
            place.work.update(records)
        return None

    def acknowledged(self, place):
        """A call that presents an epoch has been answered: what was given up then is history."""
        for epoch, work in place.given_up:
            if place.epoch > epoch:
                old = Place(place.life, place.member, epoch, [])
                old.work = work
                self.past.append(old)
        place.given_up = [(epoch, work) for epoch, work in place.given_up if place.epoch <= epoch]

    def commit(self, place, work, stale=False, positions=None):
        """Commit some of the work, which is what is left of it afterwards."""
        positions = positions or {
            key: (work[key][-1] if self.chance(0.7) else self.rng.choice(work[key])) + 1
            for key in self.rng.sample(sorted(work), self.rng.randint(1, len(work)))}
        call = f"SELECT {self.commit_call(place, positions)}; {ORDER}"
        stays_open = self.chance(0.3)
        try:
            if stays_open:
                self.connection.execute("BEGIN; SAVEPOINT s")
            rows, event = self.run("commit", call, place, stale, positions=positions)
            if rows is None:
                if stays_open:
                    self.connection.execute("ROLLBACK")
                self.refused(event, place)
                return
            order = {key: n for key, n in rows[1] if key in positions}
            kept = not stays_open or self.finish()
        except psycopg.Error as error:
            self.log.failures.append(f"commit: {error}")
            self.connect()
            return
        self.add(event, order=order, kept=kept, end_s=self.end_s if stays_open else event["s"],
                 end_e=time.monotonic() if stays_open else event["e"])
        if kept:
            if self.chance(self.losses):
                self.commit(place, work, stale, positions)
            for key, position in positions.items():
                left = [offset for offset in work.pop(key, ()) if offset >= position]
                if left:
                    work[key] = left

    def commit_call(self, place, positions):
        if len(positions) == 1 and self.chance(0.5):
            (key, position), = positions.items()
            topic, partition = key.split("/")
            return f"commit_offsets({self.arguments(place)}, '{topic}', {partition}, {position})"
        tree = {}
        for key, position in positions.items():
            topic, partition = key.split("/")
            tree.setdefault(topic, {})[partition] = self.rng.choice((position, {"next_offset": position}))
        return f"commit_offsets({self.arguments(place)}, '{json.dumps(tree)}'::jsonb)"

    def finish(self):
        """End the transaction after a while; was it committed?"""
        execute = self.connection.execute
        dice = self.rng.random()
        name = ""
        if dice < 0.2:
            name = f"PREPARED 'm{id(self)}'"
            execute(f"PREPARE TRANSACTION 'm{id(self)}'")
        time.sleep(self.rng.choice((0, 0.02, 0.3)) * self.rng.random())
        kept = self.chance(0.7)
        self.end_s = time.monotonic()
        if dice > 0.9:
            kept = False
            execute("ROLLBACK TO s")
            time.sleep(self.rng.random() * 0.1)
            execute("COMMIT")
        elif kept:
            execute("COMMIT " + name)
        elif name or self.chance(0.7):
            execute("ROLLBACK " + name)
        else:
            self.connection.close()
            self.connect()
        return kept

    def leave(self, place):
        rows, event = self.run("leave", f"SELECT leave_group({self.arguments(place)})", place)
        if rows is None:
            self.refused(event, place)
        else:
            self.add(event)
            self.die()

    def refused(self, event, place):
        self.add(event)
        if event["code"] != "QT003" and place is self.place:
            self.die()

    def die(self):
        """The place is what an earlier life knew."""
        self.past = self.past[-5:] + [self.place]
        self.place = None

    # ---- what a member does

    def step(self):
        dice = self.rng.random()
        if self.past and dice < 0.06:
            self.haunt(self.rng.choice(self.past))
        elif self.place is None:
            self.join()
        elif dice < 0.065:
            self.die()
        elif dice < 0.075:
            time.sleep(self.rng.random())
        elif dice < 0.08:
            self.leave(self.place)
        elif dice < 0.40:
            self.heartbeat(self.place)
        elif dice < 0.70 or not self.place.work:
            self.poll(self.place)
        else:
            self.commit(self.place, self.place.work)

    def haunt(self, place):
        """What somebody does who does not know that his time is over."""
        if place.work and self.chance(0.6):
            self.commit(place, place.work, stale=True)
        elif self.chance(0.5):
            self.poll(place, stale=True)
        else:
            self.heartbeat(place, stale=True)

    def read_all(self, ends):
        """Go on until the positions are at the ends."""
        if self.place is None:
            self.join()
        elif self.place.work:
            self.commit(self.place, self.place.work)
        else:
            self.heartbeat(self.place)
            if self.place:
                self.poll(self.place)
        positions = dict(self.connection.execute(ORDER.replace("p.n", "p.next_offset")).fetchall())
        return all(positions.get(key, 0) >= end for key, end in ends.items())


def literal(value):
    return "NULL" if value is None else f"'{value}'"


def keys_of(assignment):
    return sorted(f"{topic}/{partition}" for topic, partitions in (assignment or {}).items()
                  for partition in partitions)


# ---------------------------------------------------------------- the run

class Run:

    def __init__(self, conninfo, seconds, seed):
        self.conninfo = conninfo
        self.seed = seed
        self.log = Log()
        self.until = time.monotonic() + seconds
        self.partitions = PARTITIONS    # of the first topic

    def thread(self, number, work):
        """Do it again and again until the time is over."""
        def body():
            try:
                client = Client(self.conninfo, self.log, random.Random(self.seed * 100 + number), number % 2 == 0)
                while time.monotonic() < self.until and not self.log.failures:
                    work(client)
                    time.sleep(client.rng.random() * 0.03)
                client.connection.close()
            except Exception:           # pylint: disable=broad-except
                self.log.failures.append(traceback.format_exc())
        return threading.Thread(target=body)

    def produce(self, client):
        topic = client.rng.choice(TOPICS)
        if client.chance(0.003) and self.partitions < 2 * PARTITIONS:
            self.partitions += 1
            client.connection.execute(f"SELECT alter_topic('{TOPICS[0]}', {self.partitions})")
        with client.connection.transaction(force_rollback=client.chance(0.1)):
            client.connection.execute(
                f"SELECT produce('{topic}', NULL::text, 'x', partition => {client.rng.randrange(PARTITIONS)})"
                f" FROM generate_series(1, {client.rng.randint(1, 10)})")

    def expire(self, client, ahead=None):
        if not ahead:
            time.sleep(client.rng.random() * 2)
            ahead = client.rng.choice(AHEAD)
        rows, event = client.run("expire", "SELECT qtopic_internal.expire_members(clock_timestamp() + "
                                 f"interval '{ahead} s')", None)
        client.add(event, ahead=ahead)
        if rows is None:
            self.log.failures.append(str(event))

    def prepare(self, client):
        for topic in TOPICS:
            client.connection.execute(f"SELECT create_topic('{topic}', {PARTITIONS})")
            client.connection.execute(f"SELECT create_group('{GROUP}', '{topic}')")

    def end(self, client):
        """All who are left are gone; two others read the rest."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and client.connection.execute(
                "SELECT 1 FROM qtopic_group_members").fetchone():
            self.expire(client, 100)
        log = {f"{topic}/{partition}": [offset for offset, in client.connection.execute(
            f"SELECT _offset FROM qtopic.{topic} WHERE _partition = {partition} ORDER BY 1").fetchall()]
            for topic in TOPICS for partition in range(self.partitions)}
        ends = {key: offsets[-1] + 1 for key, offsets in log.items() if offsets}
        readers = [Client(self.conninfo, self.log, random.Random(self.seed * 100 + 90 + i)) for i in range(2)]
        for reader in readers:          # else one might be there that nobody knows of
            reader.losses = 0
        deadline = time.monotonic() + 30
        while not any(reader.read_all(ends) for reader in readers) and time.monotonic() < deadline:
            pass
        positions = dict(client.connection.execute(ORDER.replace("p.n", "p.next_offset")).fetchall())
        now = time.monotonic()
        client.add({"op": "end", "s": now, "e": now, "ok": True}, log=log, positions=positions)

    def run(self):
        main = Client(self.conninfo, self.log, random.Random(self.seed * 100 + 99))
        self.prepare(main)
        threads = [self.thread(number, Client.step) for number in range(MEMBERS)]
        threads += [self.thread(50, self.produce), self.thread(51, self.expire)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.end(main)


def main():
    run = Run(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
    try:
        run.run()
    finally:
        run.log.write(sys.argv[4])
    for failure in run.log.failures:
        print(failure)
    sys.exit(1 if run.log.failures else 0)


if __name__ == "__main__":
    main()
