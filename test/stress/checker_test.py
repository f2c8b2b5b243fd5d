#!/usr/bin/env python3
"""checker_test - see that the checker finds each kind of anomaly, and nothing else.

Every test takes a history in which all is well and plants one thing in it.
With --tap it speaks TAP.
"""

import io
import sys
import unittest

import checker

LOG = "0:0.0 1:0.1 2:1.0 4:0.2 5:1.1 6:1.3"


def good():
    """Two producers, all kinds of transactions and readers, nothing wrong."""
    return {
        "producer0": [
            "producer 0",
            "begin 0 immediate", "call 0 2 t i", "got t 0 0 1 0", "end 0 ok",
            "begin 1 immediate-async", "call 2 1 t i", "got t 0 4 4 2", "end 1 info",
            "begin 2 immediate-async", "call 3 1 t i", "got t 0 8 8 3", "end 2 ok",    # lost in the crash
            "begin 3 immediate", "call 4 1 t i", "got t 0 9 9 4", "end 3 prepared",
            "begin 4 deferred", "call 5 2 u d", "undo 6 7", "end 4 ok",
        ],
        "producer1": [
            "producer 1",
            "begin 0 mixed", "call 0 1 t i", "got t 0 2 2 0", "call 1 1 t d",
            "call 2 1 t i", "got t 0 3 3 2", "undo 2 3", "end 0 ok",
            "begin 1 immediate", "call 3 1 t i", "span t 0 6 6 3 1", "end 1 prepared",
            "begin 2 immediate", "call 4 1 t i", "got t 0 7 7 4", "end 2 fail",
        ],
        "decider": ["decide 0 3 rollback", "decide 1 1 commit"],
        "follower": [
            "start t 0 0", "fetch follow t 0 0 - 0:0.0 1:0.1", "fetch follow t 0 2 - 2:1.0 4:0.2",
            "fetch follow t 0 5 - 5:1.1 6:1.3", "drained t 0",
        ],
        "tail": ["stable t 0 2 4 100.5", "start t 0 2", "fetch tail t 0 2 - 2:1.0 4:0.2 5:1.1 6:1.3", "drained t 0"],
        "seeker": [
            "fetch seek t 0 3 - 4:0.2", "fetch below t 0 1 5 1:0.1 2:1.0 4:0.2",
            "fetch below-overflow t 0 1 5 1:0.1 2:1.0",       # 3 was rolled back
        ],
        "snapshot": [
            "fetch snapshot t 0 1 7 1:0.1 2:1.0", "fetch snapshot t 0 1 7 1:0.1 2:1.0",
            "fetch snapshot t 0 2 7 2:1.0", "compare t 0 7 all",
            "fetch snapshot t 0 1 8 1:0.1 2:1.0", "fetch snapshot t 0 2 8", "compare t 0 8 overflow",
        ],
        "relation": ["selfjoin t 0", "fetch relation t 0 0 - " + LOG, "fetch cursor t 0 2 - 2:1.0"],
        "own": ["fetch own t 0 0 0.1 0:0.0 1:0.1 2:1.0"],
        "maintenance": ["maintenance VACUUM"],
        "truth": [
            "fetch final t 0 0 - 0:0.0 1:0.1 2:1.0 4:0.2", "fetch final t 0 5 - 5:1.1 6:1.3",
            "fetch final u 0 0 - 0:0.5", "committed 0 0", "committed 0 1", "committed 0 4",
            "committed 1 0", "committed 1 1", "naive-row 1", "naive-row 2", "complete",
        ],
        "naive": ["naive-read 2"],
        "decider2": ["decide 100 2 commit", "decide 100 3 rollback"],
        "consumer": [
            "fetch consume t 0 0 - 0:0.0 1:0.1", "fetch consume t 0 2 - 2:1.0 4:0.2",
            "consumer-end 100 0 sync ok 2", "consumer-end 100 1 sync fail 2", "consumer-end 100 2 async prepared 2",
            "consumer-end 100 3 sync prepared 2", "consumer-end 100 4 async ok 2", "consumer-end 100 5 sync info 2",
            "consumer-end 101 0 sync ok 2", "consumer-end 101 1 sync ok 1", "consumer-end 101 2 sync info -1",
            "event died",
        ],
        "groups": [
            "group g t", "group g u", "group h t",
            "processed g t 0 100 0 0:0.0 1:0.1", "processed g t 0 100 2 2:1.0 4:0.2",
            "processed g t 0 101 0 5:1.1 6:1.3", "processed g u 0 101 1 0:0.5",
            "processed h t 0 101 2 0:0.0 1:0.1 2:1.0", "reset h t 0 3 1", "processed h t 0 101 2 1:0.1",
            "reset h t 0 2 9", "reset h t 0 9 5", "processed h t 0 101 2 5:1.1", "reset h t 0 - 0",
            "processed h t 0 101 2 0:0.0 1:0.1 2:1.0 4:0.2 5:1.1 6:1.3", "reset h t 1 - 0",
            "position g t 0 7 0", "position g u 0 1 0", "position h t 0 7 0", "position h t 1 0 0",
        ],
    }


class Planted(unittest.TestCase):

    def setUp(self):
        self.files = good()

    def change(self, file, old, new):
        """Replace a line, which must be there."""
        lines = self.files[file]
        index = lines.index(old)
        lines[index:index + 1] = [new] if isinstance(new, str) else new

    def kinds(self):
        return sorted({anomaly.kind for anomaly in checker.check(self.files).anomalies})

    def expect(self, *kinds):
        history = checker.check(self.files)
        self.assertEqual(sorted(kinds), sorted({anomaly.kind for anomaly in history.anomalies}),
                         history.anomalies)
        self.assertFalse(checker.report(history, io.StringIO()))

    def final(self, items):
        """The log, for all who read it from its beginning."""
        self.files = {file: lines for file, lines in self.files.items()
                      if file not in ("follower", "tail", "seeker", "snapshot", "relation", "own",
                                      "consumer", "groups")}
        self.files["truth"] = [line for line in self.files["truth"] if not line.startswith("fetch final t")]
        self.files["truth"].insert(0, "fetch final t 0 0 - " + items)

    def without_groups(self):
        del self.files["consumer"], self.files["groups"]

    def test_nothing(self):
        history = checker.check(self.files)
        self.assertEqual([], history.anomalies)
        self.assertTrue(checker.report(history, io.StringIO()))
        self.assertEqual(1, history.counts["acknowledged without flush, lost in the crash"])

    def test_lost(self):
        self.final("0:0.0 1:0.1 4:0.2 5:1.1 6:1.3")
        self.expect("lost")

    def test_lost_though_the_outcome_was_unknown(self):
        self.final("0:0.0 1:0.1 2:1.0 5:1.1 6:1.3")
        self.expect("lost")

    def test_lost_everything(self):
        self.files = {name: self.files[name] for name in ("producer0", "producer1", "decider", "truth")}
        self.files["truth"] = [line for line in self.files["truth"] if not line.startswith("fetch")]
        self.expect("lost")

    def test_duplicate(self):
        self.final(LOG + " 10:1.3")
        self.expect("duplicate", "reordered")

    def test_duplicate_in_another_partition(self):
        self.without_groups()
        self.files["truth"].insert(0, "fetch final t 1 0 - 0:1.3")
        self.expect("duplicate")

    def test_duplicate_in_a_read(self):
        self.change("follower", "fetch follow t 0 5 - 5:1.1 6:1.3", "fetch follow t 0 5 - 5:1.1 6:1.3 10:1.3")
        self.expect("duplicate")

    def test_reordered(self):
        self.files["producer0"][2:4] = ["call 0 2 t i"]
        self.final("0:0.1 1:0.0 2:1.0 4:0.2 5:1.1 6:1.3")
        self.expect("reordered")

    def test_reordered_across_transactions(self):
        for line in "got t 0 0 1 0", "got t 0 4 4 2":
            self.files["producer0"].remove(line)
        self.final("0:0.0 1:0.2 2:1.0 4:0.1 5:1.1 6:1.3")
        self.expect("reordered")

    def test_reordered_in_a_read(self):
        self.change("seeker", "fetch below t 0 1 5 1:0.1 2:1.0 4:0.2", "fetch below t 0 1 5 2:1.0 1:0.1 4:0.2")
        self.expect("reordered")

    def test_aborted_read(self):
        self.change("seeker", "fetch seek t 0 3 - 4:0.2", "fetch seek t 0 3 - 4:0.2 5:1.1 6:1.3 7:1.4")
        self.expect("aborted-read")

    def test_aborted_read_of_a_savepoint(self):
        self.change("relation", "fetch cursor t 0 2 - 2:1.0", "fetch cursor t 0 2 - 2:1.0 3:1.2")
        self.expect("aborted-read")

    def test_aborted_read_of_a_prepared_transaction(self):
        self.change("relation", "fetch cursor t 0 2 - 2:1.0", "fetch cursor t 0 9 - 9:0.4")
        self.expect("aborted-read")

    def test_aborted_in_the_log(self):
        self.final(LOG + " 7:1.4")
        self.expect("aborted-read")

    def test_not_durable(self):
        self.change("follower", "fetch follow t 0 5 - 5:1.1 6:1.3", "fetch follow t 0 5 - 5:1.1 6:1.3 8:0.3")
        self.expect("not-durable")

    def test_offset_reuse_between_log_and_lost_transaction(self):
        self.change("producer0", "got t 0 8 8 3", "got t 0 6 6 3")
        self.expect("offset-reuse")

    def test_offset_reuse_between_transactions_that_never_committed(self):
        self.change("producer0", "got t 0 8 8 3", "got t 0 7 7 3")
        self.expect("offset-reuse")

    def test_offset_reuse_between_reads(self):
        self.change("seeker", "fetch seek t 0 3 - 4:0.2", "fetch seek t 0 3 - 4:0.1")
        self.expect("duplicate", "offset-reuse")

    def test_offset_reuse_of_a_span(self):
        self.change("producer1", "span t 0 6 6 3 1", "span t 0 5 6 3 1")
        self.expect("offset-reuse")

    def test_skip(self):
        self.change("relation", "fetch relation t 0 0 - " + LOG, "fetch relation t 0 0 - 0:0.0 2:1.0")
        self.expect("skip")

    def test_skip_of_the_first(self):
        self.change("seeker", "fetch seek t 0 3 - 4:0.2", "fetch seek t 0 2 - 4:0.2")
        self.expect("skip")

    def test_skip_by_a_follower(self):
        self.change("follower", "fetch follow t 0 2 - 2:1.0 4:0.2", "fetch follow t 0 2 - 4:0.2")
        self.expect("skip")

    def test_gap(self):
        self.files["follower"].remove("fetch follow t 0 2 - 2:1.0 4:0.2")
        self.expect("gap")

    def test_gap_at_the_start_of_a_tail(self):
        self.change("tail", "start t 0 2", "start t 0 1")
        self.expect("gap")

    def test_gap_at_the_end(self):
        self.files["follower"].remove("fetch follow t 0 5 - 5:1.1 6:1.3")
        self.expect("gap")

    def test_gap_between_follower_and_tail(self):
        self.change("tail", "fetch tail t 0 2 - 2:1.0 4:0.2 5:1.1 6:1.3", "fetch tail t 0 2 - 4:0.2 5:1.1 6:1.3")
        self.expect("skip")

    def test_unsettled(self):
        self.change("seeker", "fetch below t 0 1 5 1:0.1 2:1.0 4:0.2", "fetch below t 0 1 5 1:0.1 2:1.0")
        self.expect("unsettled")

    def test_unsettled_without_an_aborted_record(self):
        self.change("seeker", "fetch below-overflow t 0 1 5 1:0.1 2:1.0", "fetch below-overflow t 0 1 5 1:0.1")
        self.expect("unsettled")

    def test_snapshot(self):
        self.files["snapshot"][1] += " 4:0.2"
        self.expect("snapshot")

    def test_snapshot_from_another_position(self):
        self.files["snapshot"][2] += " 4:0.2"
        self.expect("snapshot")

    def test_snapshot_that_saw_nothing(self):
        self.change("snapshot", "fetch snapshot t 0 2 7 2:1.0", "fetch snapshot t 0 2 7")
        self.expect("snapshot")

    def test_snapshot_after_overflow(self):
        self.change("snapshot", "fetch snapshot t 0 2 8", "fetch snapshot t 0 1 8")
        self.expect("snapshot")

    def test_selfjoin(self):
        self.change("relation", "selfjoin t 0", "selfjoin t 1")
        self.expect("selfjoin")

    def test_own_read(self):
        self.change("own", "fetch own t 0 0 0.1 0:0.0 1:0.1 2:1.0", "fetch own t 0 2 0.1 2:1.0 4:0.2")
        self.expect("own-read")

    def test_stable_goes_back(self):
        self.files["tail"].append("stable t 0 1 4 100.5")
        self.expect("stable")

    def test_stable_after_a_restart(self):
        self.files["tail"].append("stable t 0 1 4 200.5")
        self.assertEqual([], self.kinds())

    def test_stable_above_the_next_offset(self):
        self.files["tail"].append("stable t 0 5 4 100.5")
        self.expect("stable")

    def test_corrupt(self):
        self.change("relation", "fetch cursor t 0 2 - 2:1.0", "fetch cursor t 0 3 - 3:corrupt")
        self.expect("corrupt")

    def test_corrupt_in_the_place_of_a_good_one(self):
        self.change("relation", "fetch cursor t 0 2 - 2:1.0", "fetch cursor t 0 2 - 2:corrupt")
        self.expect("offset-reuse")

    def test_phantom(self):
        self.change("relation", "fetch cursor t 0 2 - 2:1.0", "fetch cursor t 0 11 - 11:1.77")
        self.expect("phantom")

    def test_phantom_of_another_topic(self):
        self.without_groups()
        self.change("truth", "fetch final u 0 0 - 0:0.5", "fetch final u 0 0 - 0:0.5 1:0.2")
        self.expect("duplicate", "phantom")

    def test_failed_transaction_committed(self):
        self.files["truth"].append("committed 1 2")
        self.expect("lost", "outcome")

    def test_acknowledged_commit_lost(self):
        self.files["truth"].remove("committed 0 0")
        self.expect("not-durable", "outcome")

    def test_acknowledged_prepared_commit_lost(self):
        self.files["truth"].remove("committed 1 1")
        self.expect("not-durable", "outcome")

    def test_error(self):
        self.files["follower"].append("error XX000 could not")
        self.expect("error")

    def test_incomplete(self):
        self.files["truth"].remove("complete")
        self.expect("incomplete")

    def test_reader_that_does_not_end(self):
        self.files["follower"].remove("drained t 0")
        self.expect("incomplete")

    def test_naive_reader_that_loses_nothing(self):
        self.files["naive"].append("naive-read 1")
        history = checker.check(self.files)
        self.assertEqual([], history.anomalies)
        self.assertFalse(checker.report(history, io.StringIO()))

    def test_group_that_processed_a_record_twice(self):
        self.change("groups", "processed g t 0 100 2 2:1.0 4:0.2",
                    ["processed g t 0 100 2 2:1.0 4:0.2", "processed g t 0 101 2 4:0.2"])
        self.expect("group-twice")

    def test_group_that_processed_a_transaction_twice(self):
        self.change("groups", "processed g t 0 101 0 5:1.1 6:1.3",
                    ["processed g t 0 101 0 5:1.1 6:1.3", "processed g t 0 101 2 5:1.1 6:1.3"])
        self.expect("group-twice")

    def test_group_that_skipped_a_record(self):
        self.change("groups", "processed g t 0 101 0 5:1.1 6:1.3", "processed g t 0 101 2 6:1.3")
        self.change("consumer", "consumer-end 101 0 sync ok 2", "consumer-end 101 0 sync ok 0")
        self.expect("group-skip")

    def test_group_that_skipped_the_first_record(self):
        self.change("groups", "processed g t 0 100 0 0:0.0 1:0.1", "processed g t 0 101 2 1:0.1")
        self.change("consumer", "consumer-end 100 0 sync ok 2", "consumer-end 100 0 sync ok 0")
        self.expect("group-skip")

    def test_group_that_skipped_a_record_before_a_reset(self):
        self.change("groups", "processed h t 0 101 2 0:0.0 1:0.1 2:1.0", "processed h t 0 101 2 0:0.0 2:1.0")
        self.expect("group-skip")

    def test_group_that_swapped_records(self):
        self.change("groups", "processed g t 0 100 2 2:1.0 4:0.2", "processed g t 0 100 2 4:0.2 2:1.0")
        self.expect("group-order")

    def test_group_that_swapped_transactions(self):
        lines = self.files["groups"]
        lines[3], lines[4] = lines[4], lines[3]
        self.expect("group-order")

    def test_group_that_processed_below_a_reset(self):
        self.change("groups", "processed h t 0 101 2 5:1.1", "processed h t 0 101 2 4:0.2 5:1.1")
        self.expect("group-order")

    def test_group_that_processed_an_aborted_record(self):
        self.change("groups", "processed g t 0 100 2 2:1.0 4:0.2", ["processed g t 0 101 2 2:1.0 3:1.2 4:0.2"])
        self.change("consumer", "consumer-end 100 2 async prepared 2", "consumer-end 100 2 async fail 2")
        self.expect("aborted-read")

    def test_group_that_processed_a_lost_record(self):
        self.change("groups", "processed g t 0 101 0 5:1.1 6:1.3",
                    ["processed g t 0 101 0 5:1.1 6:1.3", "processed g t 0 101 2 8:0.3"])
        self.change("groups", "position g t 0 7 0", "position g t 0 9 0")
        self.expect("not-durable")

    def test_group_that_processed_a_record_elsewhere(self):
        self.change("groups", "processed g t 0 101 0 5:1.1 6:1.3",
                    ["processed g t 0 101 0 5:1.1 6:1.3", "processed g t 0 101 2 10:1.3"])
        self.change("groups", "position g t 0 7 0", "position g t 0 11 0")
        self.expect("duplicate")

    def test_group_with_a_position_that_is_too_high(self):
        self.change("groups", "position g t 0 7 0", "position g t 0 8 0")
        self.expect("group-position")

    def test_group_with_a_position_that_is_too_high_at_a_reset(self):
        self.change("groups", "reset h t 0 3 1", "reset h t 0 4 1")
        self.expect("group-position")

    def test_group_with_a_lag(self):
        self.change("groups", "position g t 0 7 0", "position g t 0 7 1")
        self.expect("group-lag")

    def test_group_that_did_not_come_to_the_end(self):
        self.change("groups", "processed g t 0 101 0 5:1.1 6:1.3", "processed g t 0 101 2 5:1.1")
        self.change("groups", "position g t 0 7 0", "position g t 0 6 0")
        self.change("consumer", "consumer-end 101 0 sync ok 2", "consumer-end 101 0 sync ok 0")
        self.expect("group-lag")

    def test_group_that_did_nothing(self):
        self.change("groups", "processed g u 0 101 1 0:0.5", [])
        self.change("groups", "position g u 0 1 0", [])
        self.change("consumer", "consumer-end 101 1 sync ok 1", [])
        self.expect("group-lag")

    def test_group_with_a_part_of_a_transaction(self):
        self.change("consumer", "consumer-end 100 0 sync ok 2", "consumer-end 100 0 sync ok 3")
        self.expect("group-outcome")

    def test_group_with_a_transaction_that_was_rolled_back(self):
        self.change("consumer", "consumer-end 100 0 sync ok 2", "consumer-end 100 0 sync fail 2")
        self.expect("group-outcome")

    def test_group_with_a_prepared_transaction_that_was_rolled_back(self):
        self.change("decider2", "decide 100 2 commit", "decide 100 2 rollback")
        self.expect("group-outcome")

    def test_group_without_a_transaction_that_was_acknowledged(self):
        self.change("consumer", "consumer-end 100 4 async ok 2", "consumer-end 100 4 sync ok 2")
        self.expect("group-outcome")

    def test_group_with_an_unknown_transaction(self):
        self.change("consumer", "consumer-end 101 0 sync ok 2", [])
        self.expect("group-outcome")

    def test_group_that_is_unknown(self):
        self.change("groups", "group h t", [])
        self.expect("incomplete")

    def test_a_reader_of_a_group_that_skips(self):
        self.change("consumer", "fetch consume t 0 0 - 0:0.0 1:0.1", "fetch consume t 0 0 - 0:0.0 2:1.0")
        self.expect("skip")

    def test_every_kind_is_tested(self):
        tested = set()
        expect = Planted.expect
        Planted.expect = lambda self, *kinds: tested.update(kinds)
        try:
            for name in dir(Planted):
                if name.startswith("test_") and name != "test_every_kind_is_tested":
                    Planted(name).run()
        finally:
            Planted.expect = expect
        self.assertEqual(set(checker.KINDS), tested)


class TapResult(unittest.TestResult):
    """Prints TAP."""

    def stopTest(self, test):
        super().stopTest(test)
        bad = [text for other, text in self.failures + self.errors if other is test]
        print(f"{'not ok' if bad else 'ok'} {self.testsRun} - {test.id().split('.')[-1]}")
        for text in bad:
            print("# " + text.replace("\n", "\n# "), file=sys.stderr)


def tap():
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Planted)
    print(f"1..{suite.countTestCases()}", flush=True)
    result = TapResult()
    suite.run(result)
    return result.wasSuccessful()


if __name__ == "__main__":
    if sys.argv[1:] == ["--tap"]:
        sys.exit(0 if tap() else 1)
    unittest.main()
