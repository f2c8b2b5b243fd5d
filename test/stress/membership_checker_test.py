#!/usr/bin/env python3
"""membership_checker_test - see that the checker of membership finds each kind
of anomaly, and nothing else.

Every test takes a history in which all is well and plants one thing in it.
"""

import copy
import io
import unittest

import membership_checker

A, B = "t/0", "t/1"


def call(op, at, life, presents=None, ok=True, code=None, **more):
    event = {"op": op, "s": at, "e": at + 0.5, "ok": ok, "code": code, "life": life, "presents": presents}
    event.update(more)
    return event


def join(at, life, member, epoch, owns, instance=None, timeout=6.0):
    return call("join", at, life, epoch=epoch, owns=owns, member=member, instance=instance, timeout=timeout)


def heartbeat(at, life, presents, epoch, owns):
    return call("heartbeat", at, life, presents, epoch=epoch, owns=owns)


def poll(at, life, presents, **records):
    return call("poll", at, life, presents, records={"t/" + key[1:]: value for key, value in records.items()})


def commit(at, life, presents, key, position, n, end=None, kept=True, **more):
    return call("commit", at, life, presents, positions={key: position}, order={key: n}, kept=kept,
                end_s=end or at, end_e=(end or at) + 0.5, **more)


def good():
    """Member 1 has all, shares with 2, which is expired and comes back as 3."""
    return [
        join(0, 1, "one", 1, [A, B]),
        poll(1, 1, 1, p0=[0, 1, 3], p1=[0, 1]),
        commit(2, 1, 1, A, 4, 1),
        join(3, 2, "two", 2, [], timeout=60.0),
        heartbeat(4, 1, 1, 2, [A]),                      # B is revoked
        commit(5, 1, 1, B, 1, 1),                        # finished before that is acknowledged
        heartbeat(6, 1, 2, 2, [A]),
        heartbeat(7, 2, 2, 2, [B]),
        poll(8, 2, 2, p1=[1]),
        poll(9, 1, 2, p0=[4]),
        commit(10, 2, 2, B, 2, 2, end=12),
        commit(11, 1, 2, A, 5, 2, end=13, kept=False),   # rolled back
        poll(14, 1, 2, p0=[4]),
        call("expire", 15, None, ahead=70.0),
        join(16, 3, "three", 4, [A], timeout=60.0),
        call("commit", 17, 2, 2, ok=False, code="QT004", positions={B: 2}),
        call("commit", 17.1, 2, 2, ok=False, code="QT004", positions={B: 2}, stale=True),
        heartbeat(18, 3, 4, 4, [A, B]),
        poll(19, 3, 4, p0=[4], p1=[2]),
        commit(20, 3, 4, A, 5, 2),
        call("heartbeat", 21, 3, 4, ok=False, code="QT003"),
        commit(22, 3, 4, B, 3, 3),
        join(23, 4, "four", 5, [], instance="i", timeout=60.0),
        call("leave", 24, 3, 5),
        join(25, 5, "five", 6, [A], instance="i", timeout=60.0),
        {"op": "end", "s": 30, "e": 30, "ok": True, "log": {A: [0, 1, 3, 4], B: [0, 1, 2]},
         "positions": {A: 5, B: 3}},
    ]


class Planted(unittest.TestCase):

    def setUp(self):
        self.events = good()

    def at(self, time):
        """The call that begins then."""
        return next(event for event in self.events if event["s"] == time)

    def expect(self, *kinds):
        checker = membership_checker.Checker(copy.deepcopy(self.events)).check()
        self.assertEqual(set(kinds), {kind for kind, _ in checker.anomalies}, checker.anomalies)
        self.assertEqual(not kinds, membership_checker.report(checker, io.StringIO()))

    def test_nothing(self):
        self.expect()

    def test_handed_over_before_it_is_acknowledged(self):
        self.at(3)["owns"] = [B]
        self.expect("two-owners", "foreign-commit")

    def test_handed_over_before_it_has_expired(self):
        self.at(15)["ahead"] = 40.0
        self.events = [event for event in self.events if not 17 <= event["s"] < 18]
        self.expect("two-owners", "foreign-commit", "foreign-poll")

    def test_owner_is_not_told(self):
        self.events.append(heartbeat(7.6, 1, 2, 2, [A, B]))
        self.expect("two-owners", "foreign-commit")

    def test_expired_while_the_answer_was_on_its_way(self):
        self.events += [heartbeat(14.6, 1, 2, 2, [A])]
        self.events[-1]["e"] = 17
        self.expect()

    def test_answers_to_joins_in_another_order(self):
        self.at(23).update(s=24.8, e=25.6)
        self.events += [heartbeat(26, 5, 6, 6, [A]), call("heartbeat", 26.1, 4, 5, ok=False, code="QT002")]
        self.expect()

    def test_commit_after_acknowledgement(self):
        self.events.append(commit(9.1, 1, 1, B, 2, 1.5))
        self.expect("foreign-commit")

    def test_commit_after_expiry(self):
        self.events.append(commit(21, 2, 2, B, 2, 2.5))
        self.expect("foreign-commit", "after-death")

    def test_handover_in_a_transaction(self):
        self.at(10)["end_s"], self.at(10)["end_e"] = 18.7, 18.8
        self.at(19)["s"] = 18.9
        self.expect("foreign-commit")

    def test_handover_in_a_transaction_that_is_rolled_back(self):
        self.events.append(commit(14.9, 2, 2, B, 2, 3, end=18.7, kept=False))
        self.expect("foreign-commit")

    def test_poll_after_acknowledgement(self):
        self.events.append(poll(9.1, 1, 2, p1=[1]))
        self.expect("foreign-poll")

    def test_position_goes_back(self):
        self.at(20)["positions"] = {A: 3}
        self.at(30)["positions"] = {A: 5, B: 3}
        self.events.append(commit(22.5, 3, 4, A, 5, 3))
        self.expect("back")

    def test_position_is_moved_back_by_an_old_commit(self):
        self.events += [commit(22.6, 3, 4, A, 4, 3, stale=True), commit(22.9, 3, 4, A, 5, 4)]
        self.expect("back")
        self.events += [commit(21.2, 2, 2, A, 4, 5, stale=True), commit(22.95, 3, 4, A, 5, 6)]
        self.expect("after-death", "back", "foreign-commit")

    def test_lost_update(self):
        self.at(22)["order"] = {B: 2}
        self.expect("order", "undelivered")

    def test_skipped(self):
        self.at(8)["records"] = {B: [2]}
        self.expect("skipped")

    def test_skipped_after_rollback(self):
        self.at(19)["records"] = {B: [2]}
        self.expect("skipped")

    def test_delivered_again(self):
        self.at(8)["records"] = {B: [0, 1]}
        self.expect("again")

    def test_record_left_out(self):
        self.at(1)["records"][A] = [0, 3]
        self.expect("log")

    def test_record_that_was_rolled_back(self):
        self.at(1)["records"][A] = [0, 1, 2, 3]
        self.expect("log")

    def test_lost_without_a_new_epoch(self):
        self.events.append(heartbeat(22.5, 3, 4, 4, [A]))
        self.expect("shrunk")

    def test_refused_while_alive(self):
        self.events.append(call("heartbeat", 12, 2, 2, ok=False, code="QT002"))
        self.expect("refused")

    def test_owner_refused(self):
        self.events.append(call("commit", 5.6, 1, 1, ok=False, code="QT002", positions={B: 2}))
        self.events[-1]["e"] = 5.9
        self.expect("refused")

    def test_expired_too_early(self):
        self.events.append(call("heartbeat", 14.6, 1, 2, ok=False, code="QT004"))
        self.events[-1]["e"] = 14.9
        self.expect("refused")

    def test_served_after_leave(self):
        self.events.append(poll(26, 3, 5))
        self.expect("after-death")

    def test_served_after_takeover(self):
        self.events.append(poll(26, 4, 5))
        self.expect("after-death")

    def test_never_delivered(self):
        self.at(30)["log"][A].append(5)
        self.expect("undelivered")

    def test_position_lost(self):
        self.at(30)["positions"][B] = 2
        self.expect("undelivered")

    def test_error(self):
        self.events.append(call("heartbeat", 12, 2, 2, ok=False, code="40P01"))
        self.expect("error", "refused")


if __name__ == "__main__":
    unittest.main(verbosity=0)
