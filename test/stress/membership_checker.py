#!/usr/bin/env python3
"""membership_checker - judge what the members of a consumer group have seen.

usage: membership_checker.py FILE

FILE has one JSON object a line, one for each call that the server has answered,
in any order; times are those of one clock, s before and e after the call.

  all calls   op, s, e, ok, code (SQLSTATE if not ok), life (a number for each
              successful join; that of the caller), presents (the epoch that was
              given), stale (the caller knows that it may be refused)
  join        member, instance, timeout (seconds), epoch, owns (the answer:
              ["topic/partition", ...])
  heartbeat   epoch, owns
  poll        records {"topic/partition": [offset, ...]}
  commit      positions {"topic/partition": next offset}, order {...: n}, which
              counts the moves of a position; kept: its transaction was committed;
              end_s, end_e: before and after the end of its transaction
  leave
  expire      ahead (seconds; members are judged by a clock that far ahead)
  end         log {"topic/partition": [offset, ...]}, positions: at the end

An answer that the caller has "lost" is like any other here: it says what was so
on the server.  What a member holds for sure begins with an answer that says so,
and ends before the first thing that may end it; two such stretches of time of
different members must not overlap.
"""

import bisect
import collections
import json
import math
import sys

KINDS = {
    "two-owners": "two members own a partition",
    "foreign-commit": "a member moved a position in the partition of another one",
    "foreign-poll": "a member got records of the partition of another one",
    "back": "a committed position went back",
    "order": "two commits are the same move of a position",
    "skipped": "a position went past records that were not delivered",
    "again": "records were delivered again after they had been committed",
    "log": "what was delivered is not what the log has there",
    "shrunk": "a member lost a partition without a new epoch",
    "refused": "a member that was alive, or the owner, was refused",
    "after-death": "a member was served after its end",
    "undelivered": "records were never passed by a position",
    "error": "nobody expected this error",
}

# What must have happened in a run that is to show something.
NEEDED = ("handovers", "commits in transactions", "members that were expired or replaced",
          "stale commit QT004", "stale heartbeat QT002", "stale poll QT004")

# Of a call that failed: it must be tried again, or the caller is out.
BUSY, FENCED, UNKNOWN = "QT003", "QT002", "QT004"

Hold = collections.namedtuple("Hold", "start end life")


class Life:
    """A member from its join to its end."""

    def __init__(self, join):
        self.join = join
        self.calls = []                 # served, by the end of the call
        self.refused = []
        self.ends = []                  # (from, to): it may have ended in there
        self.over = math.inf            # it has ended for sure

    def seen_before(self, time):
        """The server has seen it not before that, by what was answered until then."""
        return max((call["s"] for call in self.calls if call["e"] <= time), default=-math.inf)

    def may_have_ended(self, start, end):
        return any(first <= end and last >= start for first, last in self.ends)


class Checker:

    def __init__(self, events):
        self.events = sorted(events, key=lambda event: event["e"])
        self.anomalies = []             # (kind, text)
        self.counts = collections.Counter()
        self.lives = {}
        self.holds = collections.defaultdict(list)
        self.reached = collections.defaultdict(list)    # key -> [(end of commit, position)]
        self.end = next(event for event in events if event["op"] == "end")

    def found(self, kind, text):
        self.anomalies.append((kind, text))

    def of(self, op):
        return [event for event in self.events if event["op"] == op and event["ok"]]

    def check(self):
        self.collect()
        self.find_ends()
        self.find_holds()
        self.check_owners()
        self.check_refused()
        self.check_served()
        for key in sorted(self.end["log"]):
            self.check_positions(key)
        self.check_polls()
        return self

    # ---- lives, and what may have ended them

    def collect(self):
        for event in self.events:
            if event["op"] == "join" and event["ok"]:
                self.lives[event["life"]] = Life(event)
        for event in self.events:
            self.counts[f"{event['op']} {event.get('code') or 'ok'}"] += 1
            life = self.lives.get(event.get("life"))
            if life:
                (life.calls if event["ok"] else life.refused).append(event)
            if event.get("code") not in (None, BUSY, FENCED, UNKNOWN):
                self.found("error", describe(event))

    def find_ends(self):
        expiries, joins = self.of("expire"), self.of("join")
        for life in self.lives.values():
            timeout = life.join["timeout"]
            for call, after in zip(life.calls, life.calls[1:] + [None]):
                life.ends.append((call["s"] + timeout, after["e"] if after else math.inf))
                if call["op"] == "leave":
                    life.ends.append((call["s"], math.inf))
                    life.over = min(life.over, call["e"])
            for event in expiries:
                if event["e"] + event["ahead"] >= life.seen_before(event["s"]) + timeout:
                    life.ends.append((event["s"], event["e"]))
            for join in joins:
                if join["epoch"] > life.join["epoch"] and replaces(join, life.join):
                    life.ends.append((join["s"], math.inf))
                    life.over = min(life.over, join["e"])
            for call in life.refused:
                if call["code"] == UNKNOWN:
                    life.over = min(life.over, call["e"])
            life.ends = [(first, last) for first, last in life.ends if first < last]

    # ---- who owns what, for sure

    def find_holds(self):
        for number, life in self.lives.items():
            answers = {}                # epoch -> what is owned then
            held = {}                   # key -> the answer that said so
            for call in sorted(life.calls + life.refused, key=lambda call: call["s"]):
                known = answers.get(call.get("presents"))
                if known is not None:   # this acknowledges that the rest is gone
                    for key in [key for key in held if key not in known]:
                        self.hold(life, key, held.pop(key), call["s"], number)
                if not call["ok"] or "owns" not in call:
                    continue
                owns = set(call["owns"])
                if answers.get(call["epoch"], owns) - owns:
                    self.found("shrunk", f"{describe(call)}: before, it was {sorted(answers[call['epoch']])}")
                answers[call["epoch"]] = owns
                for key in owns:
                    if key in held and life.may_have_ended(held[key]["s"], call["e"]):
                        self.hold(life, key, held.pop(key), call["s"], number)
                    held.setdefault(key, call)
            for key, answer in held.items():
                self.hold(life, key, answer, math.inf, number)
        for holds in self.holds.values():
            holds.sort()

    def hold(self, life, key, answer, end, number):
        """Until the first thing that may have ended it, be it before the answer came."""
        end = min([end] + [first for first, last in life.ends if last >= answer["s"]])
        if end > answer["e"]:
            self.holds[key].append(Hold(answer["e"], end, number))
            self.counts["stretches of ownership"] += 1

    def check_owners(self):
        for key, holds in self.holds.items():
            latest = None
            for hold in holds:
                if latest and hold.life != latest.life:
                    if hold.start < latest.end:
                        self.found("two-owners", f"{key}: {show(latest)} and {show(hold)}")
                    self.counts["handovers"] += 1
                if latest is None or hold.end > latest.end:
                    latest = hold

    def holder(self, key, start, end, life):
        """Who but that member held it for the whole time?"""
        return next((hold for hold in self.holds[key]
                     if hold.life != life and hold.start <= start and hold.end >= end), None)

    def is_holder(self, key, start, end, life):
        return any(hold.life == life and hold.start <= start and hold.end >= end for hold in self.holds[key])

    # ---- who is served and who is not

    def check_refused(self):
        for number, life in self.lives.items():
            for call in life.refused:
                if call["code"] == BUSY or call.get("stale"):
                    self.counts[f"stale {call['op']} {call['code']}"] += 1
                    continue
                served = max((before["s"] for before in life.calls if before["e"] <= call["s"]), default=-math.inf)
                if life.may_have_ended(served, call["e"]):
                    self.counts["members that were expired or replaced"] += 1
                elif call["op"] != "commit" or all(self.is_holder(key, call["s"], call["e"], number)
                                                   for key in call["positions"]):
                    self.found("refused", describe(call))

    def check_served(self):
        for life in self.lives.values():
            for call in life.calls:
                if call.get("stale"):
                    self.counts[f"stale {call['op']} ok"] += 1
                if call["s"] >= life.over:
                    self.found("after-death", describe(call))

    def check_polls(self):
        for event in self.of("poll"):
            for key, offsets in event["records"].items():
                self.counts["records delivered"] += len(offsets)
                log = self.end["log"][key]
                start = bisect.bisect_left(log, offsets[0])
                if offsets != log[start:start + len(offsets)]:
                    self.found("log", f"{describe(event)}: the log has {log[start:start + len(offsets)]}")
                at = max((position for end, position in self.reached[key] if end < event["s"]), default=0)
                if at > offsets[0]:
                    self.found("again", f"{describe(event)}: {key} was at {at}")
                hold = self.holder(key, event["s"], event["e"], event["life"])
                if hold:
                    self.found("foreign-poll", f"{describe(event)}: {key}: {show(hold)}")

    # ---- positions

    def check_positions(self, key):
        moves = {}
        polled = collections.defaultdict(list)      # life -> [(end, first, last)]
        for event in self.of("poll"):
            if key in event["records"]:
                offsets = event["records"][key]
                polled[event["life"]].append((event["e"], offsets[0], offsets[-1]))
        for event in self.of("commit"):
            if key not in event["positions"]:
                continue
            self.check_foreign(key, event)
            if event["kept"]:
                n = event["order"][key]
                other = moves.setdefault(n, event)
                if other["positions"][key] != event["positions"][key]:
                    self.found("order", f"{key}: {describe(event)} and {describe(other)}")
        log, passed, last = self.end["log"][key], 0, None
        for n in sorted(moves):
            event = moves[n]
            position = event["positions"][key]
            self.counts["moves of positions"] += 1
            if last and position < last["positions"][key]:
                self.found("back", f"{describe(event)}: before, there was {describe(last)}")
            self.reached[key].append((event["end_e"], position))
            for offset in log[bisect.bisect_left(log, passed):bisect.bisect_left(log, position)]:
                if not any(end <= event["s"] and first <= offset <= last
                           for end, first, last in polled[event["life"]]):
                    self.found("skipped", f"{describe(event)}: {key} was at {passed}, and {offset} was not delivered to it")
                    break
            passed, last = max(passed, position), event
        at = last["positions"][key] if last else 0
        if log and (at <= log[-1] or self.end["positions"].get(key) != at):
            self.found("undelivered", f"{key}: the last commit is {at}, the position is "
                       f"{self.end['positions'].get(key)}, the last record {log[-1]}")

    def check_foreign(self, key, event):
        """The partition stays the caller's until the transaction ends, however it does."""
        times = [(event["s"], event["e"])]
        if event["end_s"] > event["e"]:
            times += [(event["e"], event["e"]), (event["end_s"], event["end_s"])]
            self.counts["commits in transactions"] += 1
        for start, end in times:
            hold = self.holder(key, start, end, event["life"])
            if hold:
                self.found("foreign-commit", f"{describe(event)}: {key}: {show(hold)}")
                return


def replaces(join, other):
    same_instance = join["instance"] is not None and join["instance"] == other["instance"]
    return same_instance or join["member"] == other["member"]


def show(hold):
    return f"member {hold.life} held it from {hold.start:.4f} to {hold.end:.4f}"


def describe(event):
    return " ".join(f"{name}={event[name]:.4f}" if isinstance(event[name], float) else f"{name}={event[name]}"
                    for name in event)[:600]


def report(checker, out=sys.stdout):
    """Print what happened and what is wrong; is it good?"""
    for name in sorted(checker.counts):
        print(f"{checker.counts[name]:9d}  {name}", file=out)
    for kind, text in KINDS.items():
        texts = [text for found, text in checker.anomalies if found == kind]
        if texts:
            print(f"FAILED {kind}: {text}: {len(texts)} times", file=out)
            for line in texts[:5]:
                print(f"    {line}", file=out)
    return not checker.anomalies


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    checker = Checker(events).check()
    good = report(checker)
    for name in NEEDED:
        if not checker.counts[name]:
            print(f"this run shows nothing: {name}: none")
            good = False
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
