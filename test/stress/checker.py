#!/usr/bin/env python3
"""checker - judge what the stress driver wrote down.

usage: checker.py DIRECTORY

Reads all *.log of the directory, prints a summary and what is wrong, and exits
with 1 if something is.  The model is that of Jepsen's Kafka workload: each
record is unique, transactions end ok, fail or info (unknown), offsets are
compared over everything that anybody ever saw, before and after crashes.

Lines of the logs (a record is "producer.number"):

producers, where the file of producer P is the one with the line "producer P"
  begin TXN KIND                  a transaction; what follows is part of it
  call N COUNT TOPIC i|d          records N.. are sent, immediate or deferred
  got TOPIC PARTITION BASE LAST N these offsets were returned for records N..
  span TOPIC PARTITION BASE LAST N COUNT
                                  these, for some of the COUNT records from N on
  undo N M                        records N to M - 1 are gone with a savepoint
  end TXN ok|fail|info|prepared
  decide P TXN commit|rollback|unknown
truth
  committed P TXN                 PostgreSQL's own word, at the end
  fetch final ...                 the log as it is at the end, from 0
  complete                        the driver came to its end
readers
  fetch KIND TOPIC PARTITION FROM TAG OFFSET:RECORD...
      follow, tail                a chain: each goes on after the last record
      seek, relation, cursor      the first records from FROM on
      below                       TAG: all records up to there must be seen
      below-overflow              the same, but a record that was rolled back may
                                  have stopped it
      snapshot                    all with the same TAG agree; see compare
      own                         TAG: P.TXN, of which nothing may be seen
  start TOPIC PARTITION POSITION  a chain begins ...
  drained TOPIC PARTITION         ... and has come to the end of the log
  compare TOPIC PARTITION TAG all|overflow
                                  the reads with that snapshot are complete; after
                                  overflow only if all are from one position
  stable TOPIC PARTITION LSO NEXT SERVER-START
  selfjoin TOPIC COUNT            records that a self-join did not find twice
  naive-read ID, naive-row ID     what the naive reader saw, and what is there
consumers, whose numbers are not those of producers
  fetch consume ...               what consume() returned, committed or not
  consumer-end CONSUMER TXN async|sync ok|fail|info|prepared ROWS
                                  a transaction with that many rows in the table
                                  of what was processed (-1: unknown); for
                                  prepared ones see decide
  group GROUP TOPIC               a group reads a topic: the whole of it
  processed GROUP TOPIC PARTITION CONSUMER TXN OFFSET:RECORD...
                                  the table at the end, in the order of commits
  reset GROUP TOPIC PARTITION OLD NEW
                                  among these: the position was moved (OLD -: it
                                  is not known from where)
  position GROUP TOPIC PARTITION OFFSET LAG
                                  the position at the end
  event NAME                      something happened that is worth counting
  maintenance WORD...
  error SQLSTATE MESSAGE          nobody expected it
"""

import bisect
import collections
import glob
import os
import sys

Anomaly = collections.namedtuple("Anomaly", "kind text")

# What each kind means, for the report.
KINDS = {
    "aborted-read": "a record was read whose transaction or savepoint was rolled back",
    "corrupt": "a value is not what was produced",
    "duplicate": "a record is there twice",
    "error": "an error that nobody expected",
    "group-lag": "a group did not come to the end of a partition",
    "group-order": "a group processed records in another order than that of the log",
    "group-outcome": "what a consumer's transaction processed is not what it left behind",
    "group-position": "a group's position is not behind what it has processed",
    "group-skip": "a group left out a record",
    "group-twice": "a group processed a record twice",
    "gap": "a reader that follows did not go on where it was, or ended too early",
    "incomplete": "the logs do not tell everything",
    "lost": "a committed record is not in the log",
    "not-durable": "a record was read, and a crash took it back",
    "offset-reuse": "one offset was given to two records",
    "outcome": "PostgreSQL did something else than it said",
    "own-read": "a transaction read its own record",
    "phantom": "a record was read that nobody produced there",
    "reordered": "records are not in the order in which they were produced",
    "selfjoin": "one statement saw a topic in two ways",
    "skip": "a read left out a record",
    "snapshot": "one snapshot saw a partition in two ways",
    "stable": "the last stable offset went back, or is above the next one",
    "unsettled": "a read got past a record that came later",
}

COMMITTED, ABORTED, VANISHED = "committed", "aborted", "vanished"


class Producer:
    """The records of a producer, by number."""

    def __init__(self):
        self.calls = []             # (first, count, topic, class, txn)
        self.firsts = []
        self.txn = None
        self.kind = {}              # of each transaction
        self.outcome = {}
        self.undone = []            # (from, to)

    def call_of(self, number):
        """The index of a record's call, or None."""
        index = bisect.bisect_right(self.firsts, number) - 1
        if index >= 0 and number < self.calls[index][0] + self.calls[index][1]:
            return index
        return None


class History:
    """Everything that was written down."""

    def __init__(self):
        self.producers = collections.defaultdict(Producer)
        self.decisions = {}         # (producer, txn) -> decision
        self.truth = set()          # (producer, txn)
        self.complete = False
        self.claims = []            # (key, base, last, producer, number, count)
        self.final = []             # lines, split
        self.fetches = []           # (file, words)
        self.naive_read = set()
        self.naive_rows = set()
        self.consumer_ends = []     # lines, split
        self.processed = collections.defaultdict(list)  # (group, key) -> lines, split
        self.positions = {}         # (group, key) -> offset, lag
        self.group_topics = set()   # (group, topic)
        self.counts = collections.Counter()
        self.anomalies = []

    def found(self, kind, text):
        self.anomalies.append(Anomaly(kind, text))

    def load(self, name, lines):
        """Take in the lines of a file."""
        number = None
        for line in lines:
            words = line.split()
            word = words[0]
            if word == "fetch":
                if words[1] == "final":
                    self.final.append(words)
                else:
                    self.fetches.append((name, words))
            elif word in ("start", "drained", "stable", "compare"):
                self.fetches.append((name, words))
            elif word == "producer":
                number = int(words[1])
            elif word == "decide":
                self.decisions[int(words[1]), int(words[2])] = words[3]
            elif word == "committed":
                self.truth.add((int(words[1]), int(words[2])))
            elif word == "complete":
                self.complete = True
            elif word == "naive-read":
                self.naive_read.add(int(words[1]))
            elif word == "naive-row":
                self.naive_rows.add(int(words[1]))
            elif word == "selfjoin":
                self.counts["self-joins"] += 1
                if words[2] != "0":
                    self.found("selfjoin", f"{words[2]} records of {words[1]} in {name}")
            elif word in ("processed", "reset"):
                self.processed[words[1], (words[2], words[3])].append(words)
            elif word == "position":
                self.positions[words[1], (words[2], words[3])] = int(words[4]), int(words[5])
            elif word == "group":
                self.group_topics.add((words[1], words[2]))
            elif word == "consumer-end":
                self.consumer_ends.append(words)
            elif word == "event":
                self.counts["event: " + words[1]] += 1
            elif word == "maintenance":
                self.counts["maintenance: " + words[1]] += 1
            elif word == "error":
                self.found("error", f"{' '.join(words[1:])} in {name}")
            else:
                self.load_producer(self.producers[number], number, words)

    def load_producer(self, producer, p, words):
        word = words[0]
        if word == "begin":
            producer.txn = int(words[1])
            producer.kind[producer.txn] = words[2]
        elif word == "call":
            producer.calls.append((int(words[1]), int(words[2]), words[3], words[4], producer.txn))
            producer.firsts.append(int(words[1]))
        elif word == "got":
            base, last = int(words[3]), int(words[4])
            self.claims.append(((words[1], words[2]), base, last, p, int(words[5]), None))
        elif word == "span":
            base, last = int(words[3]), int(words[4])
            self.claims.append(((words[1], words[2]), base, last, p, int(words[5]), int(words[6])))
        elif word == "undo":
            if words[1] != words[2]:
                producer.undone.append((int(words[1]), int(words[2])))
        elif word == "end":
            producer.outcome[int(words[1])] = words[2]
        else:
            raise ValueError(f"what is {' '.join(words)}")


class Checker:
    """Compares a history with the log that there is at the end."""

    def __init__(self, history):
        self.history = history
        self.found = history.found
        self.offsets = collections.defaultdict(list)    # by (topic, partition)
        self.items = collections.defaultdict(list)      # "offset:record"
        self.seen = collections.defaultdict(dict)       # key -> offset -> record
        self.fates = {}             # producer -> list of fates by number
        self.reported = set()
        self.undone = collections.defaultdict(list)     # key -> offsets of aborted records

    def once(self, kind, subject, text):
        """Report a thing only the first time."""
        if (kind, subject) not in self.reported:
            self.reported.add((kind, subject))
            self.found(kind, text)

    def check(self):
        if not self.history.complete:
            # without the truth there is nothing to compare with
            self.found("incomplete", "the driver did not come to its end")
            return self.history.anomalies
        self.resolve_transactions()
        self.take_final()
        self.check_committed()
        self.check_claims()
        self.check_readers()
        self.check_consumers()
        self.check_groups()
        return self.history.anomalies

    # ---- what each transaction and record came to

    def resolve_transactions(self):
        for p, producer in self.history.producers.items():
            fates = [None] * (producer.calls[-1][0] + producer.calls[-1][1] if producer.calls else 0)
            fate_of_txn = {}
            for txn, kind in producer.kind.items():
                fate_of_txn[txn] = self.resolve(p, txn, kind, producer.outcome.get(txn, "info"))
            for first, count, _, _, txn in producer.calls:
                fates[first:first + count] = [fate_of_txn[txn]] * count
            for start, end in producer.undone:
                fates[start:end] = [ABORTED] * (end - start)
            self.fates[p] = fates

    def resolve(self, p, txn, kind, outcome):
        """The fate of a transaction; PostgreSQL's table of outcomes decides."""
        there = (p, txn) in self.history.truth
        if outcome == "prepared":
            decision = self.history.decisions.get((p, txn), "unknown")
            outcome = {"commit": "ok", "rollback": "fail", "unknown": "info"}[decision]
            self.history.counts["prepared: " + decision] += 1
            lossy = False
        else:
            lossy = "async" in kind or kind == "autocommit"
        self.history.counts[f"txn {kind}: {outcome}"] += 1
        if outcome == "fail":
            if there:
                self.found("outcome", f"transaction {p}/{txn} ({kind}) failed, and is there")
            return COMMITTED if there else ABORTED
        if there:
            return COMMITTED
        if outcome == "ok":
            self.history.counts["acknowledged without flush, lost in the crash"] += 1
            if not lossy:
                self.found("outcome", f"transaction {p}/{txn} ({kind}) was acknowledged, and is not there")
        return VANISHED

    def call_of(self, record):
        """(producer, number, call) of "producer.number", or None."""
        p, _, number = record.partition(".")
        if not (p.isdigit() and number.isdigit()):
            return None
        producer = self.history.producers.get(int(p))
        index = producer.call_of(int(number)) if producer else None
        return None if index is None else (int(p), int(number), producer.calls[index])

    # ---- the log at the end

    def take_final(self):
        self.place = {}             # record -> (key, offset)
        last = {}                   # (key, producer, class) -> number, offset
        for words in self.history.final:
            key = words[2], words[3]
            for item in words[6:]:
                offset, _, record = item.partition(":")
                offset = int(offset)
                self.saw(key, offset, record, "the log")
                if self.offsets[key] and offset <= self.offsets[key][-1]:
                    self.found("reordered", f"the log of {name(key)} has {item} after offset {self.offsets[key][-1]}")
                    continue
                self.offsets[key].append(offset)
                self.items[key].append(item)
                if record in self.place:
                    self.found("duplicate", f"{record} is at {self.place[record]} and {key, offset}")
                self.place[record] = key, offset
                call = self.call_of(record)
                if call is None:
                    continue
                p, number, (_, _, _, kind, txn) = call
                before = last.get((key, p, kind))
                if before and number <= before[0]:
                    self.found("reordered", f"{name(key)}: {p}.{number} at {offset} is after {p}.{before[0]} "
                               f"at {before[1]} (transaction {p}/{txn})")
                last[key, p, kind] = number, offset

    def saw(self, key, offset, record, where):
        """Anybody saw a record at an offset."""
        other = self.seen[key].setdefault(offset, record)
        if other != record:
            self.once("offset-reuse", (key, offset),
                      f"{name(key)} offset {offset} is {other} and {record} (in {where})")
            return
        if record == "corrupt":
            self.once("corrupt", (key, offset), f"{name(key)} offset {offset} (in {where})")
            return
        call = self.call_of(record)
        if call is None or call[2][2] != key[0]:
            self.once("phantom", (key, offset), f"{name(key)} offset {offset}: {record} (in {where})")
            return
        p, number, (_, _, _, _, txn) = call
        fate = self.fates[p][number]
        if fate != COMMITTED:
            kind = "aborted-read" if fate == ABORTED else "not-durable"
            self.once(kind, record, f"{name(key)} offset {offset}: {record} of transaction {p}/{txn} "
                      f"({self.history.producers[p].kind[txn]}, "
                      f"{self.history.producers[p].outcome.get(txn, 'info')}) (in {where})")

    def check_committed(self):
        for p, producer in self.history.producers.items():
            fates = self.fates[p]
            for first, count, topic, _, txn in producer.calls:
                for number in range(first, first + count):
                    if fates[number] == COMMITTED:
                        self.history.counts["records committed"] += 1
                        if f"{p}.{number}" not in self.place:
                            self.found("lost", f"{topic}: {p}.{number} of transaction {p}/{txn} "
                                       f"({producer.kind[txn]})")
                    else:
                        self.history.counts["records rolled back or lost in the crash"] += 1

    def check_claims(self):
        """Offsets that producers were told, whatever came of them."""
        taken = collections.defaultdict(dict)       # key -> offset -> record or call
        for key, base, last, p, number, count in self.history.claims:
            self.history.counts["offsets returned to producers"] += last - base + 1
            owners, seen = taken[key], self.seen[key]
            for offset in range(base, last + 1):
                mine = f"{p}.{number}" if count is not None else f"{p}.{number + offset - base}"
                other = owners.setdefault(offset, mine)
                if other != mine:
                    self.once("offset-reuse", (key, offset),
                              f"{name(key)} offset {offset} was returned for {other} and for {mine}")
                record = seen.get(offset)
                if record is None or record == mine:
                    continue
                call = self.call_of(record) if count is not None else None
                if call and call[0] == p and number <= call[1] < number + count:
                    continue
                self.once("offset-reuse", (key, offset),
                          f"{name(key)} offset {offset} was returned for {mine}, and holds {record}")

    # ---- readers

    def check_readers(self):
        chains = {}                 # (file, key) -> position
        snapshots = {}
        stable = {}
        ended = set()
        for file, words in self.history.fetches:
            key = (words[2], words[3]) if words[0] == "fetch" else (words[1], words[2])
            if words[0] == "start":
                chains[file, key] = int(words[3])
            elif words[0] == "drained":
                ended.add((file, key))
                self.check_drained(file, key, chains[file, key])
            elif words[0] == "stable":
                self.check_stable(file, key, words, stable)
            elif words[0] == "compare":
                self.compare(file, key, snapshots.pop((file, words[3]), []), words[4])
            else:
                self.history.counts[f"reads by {words[1]}"] += 1
                self.check_fetch(file, key, words)
                self.check_tag(file, key, words, snapshots)
                if words[1] in ("follow", "tail"):
                    self.follow(file, key, words, chains)
        for chain in chains:
            if chain not in ended:
                self.found("incomplete", f"{chain[0]} did not come to the end of {name(chain[1])}")

    def check_fetch(self, file, key, words):
        """It must be the first records of the log from its position on."""
        position, items = int(words[4]), words[6:]
        offsets, log = self.offsets[key], self.items[key]
        start = bisect.bisect_left(offsets, position)
        expected = log[start:start + len(items)]
        if items == expected:
            return
        where = f"{file}: {words[1]} of {name(key)} from {position}"
        last = position - 1
        there = set()
        for item in items:
            offset, _, record = item.partition(":")
            offset = int(offset)
            if offset <= last:
                self.found("reordered" if offset in self.seen[key] else "duplicate",
                           f"{where}: {item} after offset {last}")
            last = max(last, offset)
            there.add(offset)
            self.saw(key, offset, record, file)
            if record in self.place and self.place[record] != (key, offset):
                self.once("duplicate", record, f"{record} is at {self.place[record]} and {key, offset} (in {file})")
        for offset, item in zip(offsets[start:], log[start:]):
            if offset >= last:
                break
            if offset not in there:
                self.once("skip", (file, key, offset), f"{where} to {last}: without {item}")

    def check_tag(self, file, key, words, snapshots):
        kind, position, tag, items = words[1], int(words[4]), words[5], words[6:]
        if kind in ("below", "below-overflow"):
            offsets = self.offsets[key]
            start, end = bisect.bisect_left(offsets, position), bisect.bisect_left(offsets, int(tag))
            if len(items) < end - start:
                stop = offsets[start + len(items)]
                if kind == "below-overflow" and self.undone_between(
                        key, offsets[start + len(items) - 1] if items else position, stop):
                    self.history.counts["reads stopped by an aborted subtransaction"] += 1
                    return
                self.found("unsettled", f"{file}: {name(key)}: everything below {tag} was settled, "
                           f"but a later read from {position} did not get {self.items[key][start + len(items)]}")
        elif kind == "snapshot":
            snapshots.setdefault((file, tag), []).append((position, items))
        elif kind == "own":
            for item in items:
                call = self.call_of(item.partition(":")[2])
                if call and f"{call[0]}.{call[2][4]}" == tag:
                    self.found("own-read", f"{file}: {name(key)}: {item} in transaction {tag}")

    def compare(self, file, key, reads, which):
        """Reads with one snapshot agree on what is above all their positions."""
        if not reads:
            return
        start = max(position for position, _ in reads)
        if which == "overflow" and start != min(position for position, _ in reads):
            return
        self.history.counts["snapshots compared"] += 1
        tails = [[item for item in items if int(item.partition(":")[0]) >= start] for _, items in reads]
        for (position, _), tail in zip(reads, tails):
            if tail != tails[0]:
                self.found("snapshot", f"{file}: {name(key)}: a read from {reads[0][0]} ended with "
                           f"{tails[0][-1:]}, one from {position} with {tail[-1:]}")

    def undone_between(self, key, start, end):
        """Is there a record between that was rolled back?"""
        if not self.undone:
            for claimed, base, last, p, number, count in self.history.claims:
                for i in range(last - base + 1):
                    fates = self.fates[p][number:number + count] if count else [self.fates[p][number + i]]
                    if COMMITTED not in fates or (count and set(fates) != {COMMITTED}):
                        self.undone[claimed].append(base + i)
            for offsets in self.undone.values():
                offsets.sort()
        offsets = self.undone[key]
        index = bisect.bisect_left(offsets, start)
        return index < len(offsets) and offsets[index] < end

    def follow(self, file, key, words, chains):
        position = chains.get((file, key))
        if position is None or position != int(words[4]):
            self.found("gap", f"{file}: {name(key)}: went on from {words[4]}, was at {position}")
        if words[6:]:
            chains[file, key] = int(words[-1].partition(":")[0]) + 1

    def check_drained(self, file, key, position):
        missing = len(self.offsets[key]) - bisect.bisect_left(self.offsets[key], position)
        if missing > 0:
            self.found("gap", f"{file}: {name(key)}: ended at {position}, {missing} records before the end, "
                       f"the first {self.items[key][-missing]}")

    # ---- consumer groups

    def check_consumers(self):
        """A transaction left behind all that it processed, or nothing."""
        left = collections.Counter()
        for lines in self.history.processed.values():
            for words in lines:
                if words[0] == "processed":
                    left[int(words[4]), int(words[5])] += len(words) - 6
        for _, consumer, txn, mode, outcome, rows in self.history.consumer_ends:
            which, rows = (int(consumer), int(txn)), int(rows)
            there = left.pop(which, 0)
            if outcome == "prepared":
                decision = self.history.decisions.get(which, "unknown")
                outcome = {"commit": "ok", "rollback": "fail", "unknown": "info"}[decision]
                self.history.counts["consumers' transactions prepared: " + decision] += 1
                mode = "prepared"
            self.history.counts["consumers' transactions: " + outcome] += 1
            may_vanish = outcome == "info" or (outcome == "ok" and mode == "async")
            if there == 0 and rows != 0 and outcome == "ok" and may_vanish:
                self.history.counts["consumers' transactions lost in the crash"] += 1
            if there == (0 if outcome == "fail" else rows) or (there == 0 and may_vanish) or \
                    (rows < 0 and outcome == "info"):
                continue
            self.found("group-outcome", f"transaction {consumer}/{txn} ({mode}, {outcome}) processed {rows} records, "
                       f"{there} are there")
        for which, there in left.items():
            self.found("group-outcome", f"{there} records of transaction {which}, of which nothing is known")

    def check_groups(self):
        """Each group has processed each partition of its topics, record by record."""
        for group, topic in sorted(self.history.group_topics):
            keys = {key for key in self.offsets if key[0] == topic}
            keys |= {key for name, key in self.history.processed if name == group and key[0] == topic}
            keys |= {key for name, key in self.history.positions if name == group and key[0] == topic}
            for key in sorted(keys):
                self.check_group(group, key)
        for group, key in self.history.processed:
            if (group, key[0]) not in self.history.group_topics:
                self.found("incomplete", f"who is group {group}, and why does it read {key[0]}?")

    def check_group(self, group, key):
        start, items = 0, []
        for words in self.history.processed.get((group, key), []):
            if words[0] == "reset":
                self.check_stretch(group, key, start, items, None if words[4] == "-" else int(words[4]))
                self.history.counts[f"positions of {group} moved by hand"] += 1
                start, items = int(words[5]), []
            else:
                self.history.counts[f"records processed by {group}"] += len(words) - 6
                items.extend(words[6:])
        position, lag = self.history.positions.get((group, key), (None, None))
        if position is None and self.offsets[key]:
            self.found("group-lag", f"{group} has no position in {name(key)}")
        last = self.check_stretch(group, key, start, items, position)
        missing = len(self.offsets[key]) - bisect.bisect_left(self.offsets[key], last)
        if missing > 0:
            self.found("group-lag", f"{group} ended at {last} of {name(key)}, {missing} records before the end")
        elif lag:
            self.found("group-lag", f"{group} has read {name(key)} to the end, but its lag is {lag}")

    def check_stretch(self, group, key, start, items, position):
        """
        What a group processed from a position on, until somebody moved the
        position, or the end; it was "position" then.  Returns where it must be.
        """
        log = self.items[key]
        first = bisect.bisect_left(self.offsets[key], start)
        last = start - 1
        if items != log[first:first + len(items)]:
            last = self.explain_stretch(group, key, start, items)
        elif items:
            last = self.offsets[key][first + len(items) - 1]
        if position is not None and position != last + 1:
            self.found("group-position", f"{group} in {name(key)}: processed up to {last}, position {position}")
        return last + 1

    def explain_stretch(self, group, key, start, items):
        """Why is it not what the log has from there on?  Returns the last offset."""
        there = set()
        last = start - 1
        for item in items:
            offset, _, record = item.partition(":")
            offset = int(offset)
            self.saw(key, offset, record, "group " + group)
            if record in self.place and self.place[record] != (key, offset):
                self.once("duplicate", record, f"{record} is at {self.place[record]} and {key, offset} "
                          f"(in group {group})")
            if offset in there:
                self.found("group-twice", f"{group} in {name(key)}: {item}")
            elif offset <= last:
                self.found("group-order", f"{group} in {name(key)}: {item} after offset {last}")
            there.add(offset)
            last = max(last, offset)
        for offset, item in zip(self.offsets[key], self.items[key]):
            if start <= offset <= last and offset not in there:
                self.found("group-skip", f"{group} in {name(key)}: without {item}, up to {last}")
        return last

    def check_stable(self, file, key, words, stable):
        lso, next_offset, life = int(words[3]), int(words[4]), words[5]
        before = stable.get((file, key, life), 0)
        if lso < before:
            self.found("stable", f"{file}: {name(key)}: {lso} after {before}")
        if lso > next_offset:
            self.found("stable", f"{file}: {name(key)}: {lso}, but the next offset is {next_offset}")
        stable[file, key, life] = max(lso, before)
        self.history.counts["last stable offsets"] += 1


def name(key):
    return f"{key[0]}/{key[1]}"


def check(files):
    """The history of {name: lines}, checked."""
    history = History()
    for file, lines in files.items():
        history.load(file, lines)
    Checker(history).check()
    return history


def report(history, out=sys.stdout):
    """Print what happened and what is wrong; is it good?"""
    counts = history.counts
    lost = history.naive_rows - history.naive_read
    good = not history.anomalies

    for key in sorted(counts):
        print(f"{counts[key]:9d}  {key}", file=out)
    print(f"{len(history.naive_rows):9d}  rows of the plain table, of which the naive reader lost {len(lost)}",
          file=out)
    if not lost:
        print("NEGATIVE CONTROL FAILED: the naive reader lost nothing, so this run shows nothing", file=out)
        good = False
    by_kind = collections.defaultdict(list)
    for anomaly in history.anomalies:
        by_kind[anomaly.kind].append(anomaly.text)
    for kind, texts in sorted(by_kind.items()):
        print(f"FAILED {kind}: {KINDS[kind]}: {len(texts)} times", file=out)
        for text in texts[:8]:
            print(f"    {text}", file=out)
    return good


def main():
    files = {}
    for path in sorted(glob.glob(os.path.join(sys.argv[1], "*.log"))):
        with open(path, encoding="utf-8", errors="replace") as file:
            files[os.path.basename(path)] = file.read().splitlines()
    sys.exit(0 if report(check(files)) else 1)


if __name__ == "__main__":
    main()
