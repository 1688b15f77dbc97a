#!/usr/bin/env python3
"""What history.py must see: each kind of damage, in a history that is otherwise right."""
import types
import unittest

import history

WRITER, READER = types.SimpleNamespace(name="w"), types.SimpleNamespace(name="r")
RECORDS = 60


def place(number):
    return number % history.PARTITIONS, number // history.PARTITIONS


class Idempotent(unittest.TestCase):
    def setUp(self):
        self.history = history.History("idempotent")
        self.history.written(WRITER, {"written": RECORDS})

    def read(self, numbers):
        for partition, offset, number in numbers:
            self.history.seen(READER, [partition, offset, f"w:{number}"])
        self.history.check()
        return " ".join(self.history.faults)

    def all(self):
        return [(*place(n), n) for n in range(RECORDS)]

    def test_what_is_right_is_right(self):
        self.assertEqual(self.read(self.all()), "")

    def test_a_lost_record(self):
        self.assertIn("lost [54]", self.read(r for r in self.all() if r[2] != 54))

    def test_a_record_that_comes_twice(self):
        self.assertIn("twice [54]", self.read(self.all() + [(0, 10, 54)]))

    def test_an_order_that_is_not_kept(self):
        swapped = [(p, o, {0: 6, 6: 0}.get(n, n)) for p, o, n in self.all()]
        self.assertIn("order not kept", self.read(swapped))

    def test_a_gap_in_what_is_read(self):
        self.assertIn("read 0/5 after", self.read(r for r in self.all() if r[:2] != (0, 4)))

    def test_an_offset_that_changes_its_record(self):
        self.assertIn("once w:0, now w:6", self.read(self.all() + [(0, 0, 6)]))

    def test_what_a_program_complains_of(self):
        self.history.seen(READER, {"error": "torn"})
        self.history.written(WRITER, {"error": "delivery"})
        self.assertEqual(len(self.history.faults), 2)


class Transactional(unittest.TestCase):
    def check(self, committed, unknown, present):
        """`present`: the numbers that are read."""
        told = history.History("transactional")
        told.written(WRITER, {"committed": committed, "unknown": unknown})
        next_offsets = [0] * history.PARTITIONS
        for number in present:
            transaction, i = divmod(number, history.RECORDS)
            partition = (transaction + i) % history.PARTITIONS
            told.seen(READER, [partition, next_offsets[partition], f"w:{number}"])
            next_offsets[partition] += 2  # a marker stands between
        told.check()
        return " ".join(told.faults)

    def numbers(self, *transactions):
        return [history.RECORDS * t + i for t in transactions for i in range(history.RECORDS)]

    def test_what_is_right_is_right(self):
        self.assertEqual(self.check([0, 2], [], self.numbers(0, 2)), "")
        self.assertEqual(self.check([0], [1, 2], self.numbers(0, 2)), "", "2 turned out whole")

    def test_a_part_of_a_committed_one_is_missing(self):
        self.assertIn("lost", self.check([0, 2], [], self.numbers(0, 2)[:-1]))

    def test_an_aborted_one_is_read(self):
        self.assertIn("never committed", self.check([0], [], self.numbers(0, 1)))

    def test_an_unknown_one_is_there_in_part(self):
        self.assertIn("lost", self.check([0], [1], self.numbers(0, 1)[:-2]))


if __name__ == "__main__":
    unittest.main()
