#!/usr/bin/env python3
"""The same random records and the same random questions to the views' SQL and to DuckDB: the same rows.

usage: views_duckdb_test.py BINARY [SEED [ROUNDS]]

The questions are of the language that both have, word for word but for windows, whose names differ.
Each is asked three times here: of the topic, as a materialised view that was there before the records,
and as one that is built of them afterwards. Skipped (77) where Python has no module duckdb.
"""
import datetime
import decimal
import json
import os
import pathlib
import random
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from harness import Broker

SKIPPED = 77
ROUNDS = 40  # views of a run
RECORDS = 600
PARTITIONS = 3
WORDS = ["", "a", "ab", "Sea", "sea", "o'clock", "zürich", "50%"]

COLUMNS = [("id", "BIGINT"), ("k", "VARCHAR"), ("t", "VARCHAR"), ("n", "BIGINT"), ("m", "BIGINT"),
           ("amount", "DECIMAL(12,2)"), ("flag", "BOOLEAN"), ("moment", "TIMESTAMPTZ")]
WINDOWS = {  # what a record's window begins with, by DuckDB
    "INTERVAL '1 hour'": "date_trunc('hour', moment)",
    "INTERVAL '15 minutes'": "time_bucket(INTERVAL '15 minutes', moment)",
    "INTERVAL '1 day'": "date_trunc('day', moment)",
    "INTERVAL '7 days'": "date_trunc('week', moment)",
    "INTERVAL '1 month'": "date_trunc('month', moment)",
}


class Questions:
    """Expressions of both languages, as text."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, percent):
        return self.random.randrange(100) < percent

    def one(self, *some):
        return self.random.choice(some)

    def literal(self):
        # In brackets: by itself it would be a column's number in GROUP BY.
        return f"({self.random.randrange(-5, 15)} + 0)"

    def word(self):
        return "'" + self.random.choice(WORDS).replace("'", "''") + "'"

    def number(self, depth):
        if depth == 0 or self.chance(35):
            return self.one("n", "m", "id") if self.chance(70) else self.literal()
        a, b = self.number(depth - 1), self.number(depth - 1)
        return self.one(
            f"({a} + {b})", f"({a} - {b})", f"({self.number(0)} * {b})", f"COALESCE({a}, {b})",
            f"NULLIF({a}, {b})", f"ABS({a})", f"LENGTH({self.text(depth - 1)})",
            f"GREATEST({a}, {b})", f"LEAST({a}, {b})",
            f"CASE WHEN {self.condition(depth - 1)} THEN {a} ELSE {b} END",
            f"CASE {self.number(0)} WHEN {self.literal()} THEN {a} WHEN {self.literal()} THEN {b} END")

    def money(self, depth):
        if depth == 0 or self.chance(50):
            return "amount"
        return self.one(f"({self.money(depth - 1)} + amount)", f"({self.money(depth - 1)} - amount)",
                        f"ABS({self.money(depth - 1)})", f"(-{self.money(depth - 1)})",
                        f"COALESCE({self.money(depth - 1)}, amount)",
                        f"CASE WHEN {self.condition(0)} THEN {self.money(depth - 1)} END")

    def text(self, depth):
        if depth == 0 or self.chance(40):
            return self.one("t", "k", self.word())
        a = self.text(depth - 1)
        return self.one(
            f"({a} || {self.text(depth - 1)})", f"UPPER({a})", f"LOWER({a})", f"REVERSE({a})",
            f"SUBSTR({a}, {self.random.randrange(1, 4)}, {self.random.randrange(0, 4)})",
            f"REPLACE({a}, 'a', {self.word()})", f"TRIM({a})", f"COALESCE({a}, {self.word()})",
            f"CASE WHEN {self.condition(depth - 1)} THEN {a} ELSE {self.word()} END")

    def condition(self, depth):
        if depth > 0 and self.chance(40):
            a, b = self.condition(depth - 1), self.condition(depth - 1)
            return self.one(f"({a} AND {b})", f"({a} OR {b})", f"(NOT {a})")
        operator = self.one("=", "<>", "<", "<=", ">", ">=")
        n, t = self.number(max(0, depth - 1)), self.text(max(0, depth - 1))
        return self.one(
            "flag", f"({n} {operator} {self.number(0)})", f"({t} {operator} {self.word()})",
            f"({self.money(0)} {operator} {self.random.randrange(-200, 2000)}.50)",
            f"({self.one('n', 'm', 't', 'k', 'amount', 'flag', 'moment')} IS {self.one('', 'NOT ')}NULL)",
            f"({n} {self.one('', 'NOT ')}IN (1, 3, {self.one('5', 'NULL')}))",
            f"({n} {self.one('', 'NOT ')}BETWEEN -1 AND {self.random.randrange(1, 50)})",
            f"({t} {self.one('', 'NOT ')}LIKE {self.one(repr('%a%'), repr('s__'), repr('_b%'))})",
            f"(n IS {self.one('', 'NOT ')}DISTINCT FROM {self.number(0)})",
            f"(moment {operator} TIMESTAMP '2026-03-{self.random.randrange(1, 28):02} 12:00:00')")

    def value(self, depth=2):
        return self.one(self.number, self.money, self.text, self.condition)(depth)

    def aggregate(self):
        n = self.one(self.number, self.money)(1)
        by = self.one("id", "-id")  # every record has another one
        made = self.one(
            "COUNT(*)", f"COUNT({self.value(1)})", f"COUNT(DISTINCT {self.value(1)})", f"SUM({n})",
            f"SUM({n})", f"SUM(DISTINCT {n})", f"MIN({n})", f"MAX({self.text(1)})", "MAX(moment)",
            f"BOOL_AND({self.condition(1)})", f"BOOL_OR({self.condition(1)})",
            f"ARG_MIN({self.one('n', 't', 'amount')}, {by})",
            f"ARG_MAX({self.one('n', 't', 'amount')}, {by})")
        # Of what is NULL in the first argument the two say different things.
        if made.startswith("ARG_"):
            column = made[8:made.index(",")]
            return f"{made} FILTER (WHERE {column} IS NOT NULL)"
        return f"{made} FILTER (WHERE {self.condition(1)})" if self.chance(25) else made

    def grouped(self):
        """A question of groups: (in Runnel, in DuckDB)."""
        size = self.one(*WINDOWS) if self.chance(50) else None
        keys = [self.value() for _ in range(self.random.randrange(0, 3))]
        measures = [self.aggregate() for _ in range(self.random.randrange(1, 4))]
        where = self.condition(2) if self.chance(60) else "TRUE"
        having = f" HAVING COUNT(*) > {self.random.randrange(4)}" if self.chance(30) else ""

        def text(source, window, more):
            columns = ([window] if size else []) + keys
            shown = ", ".join(f"{c} AS c{i}" for i, c in enumerate(columns + measures))
            group = f" GROUP BY {', '.join(columns)}" if columns else ""
            return f"SELECT {shown} FROM {source} WHERE ({where}){more}{group}{having}"
        if not size:
            return text("facts", None, ""), text("facts", None, "")
        return (text(f"TUMBLE(facts, moment, {size})", "window_start", " AND moment IS NOT NULL"),
                text("facts", WINDOWS[size], " AND moment IS NOT NULL"))

    def record(self, number):
        instant = (datetime.datetime(2026, 2, 20)
                   + datetime.timedelta(seconds=self.random.randrange(40 * 86400)))
        row = {"id": number, "k": f"k{self.random.randrange(6)}", "t": self.random.choice(WORDS),
               "n": self.random.randrange(-2, 10), "m": self.random.randrange(1000),
               "amount": decimal.Decimal(self.random.randrange(-200, 2000)) / 100,
               "flag": self.chance(50), "moment": instant}
        return {name: value if name == "id" or not self.chance(12) else None
                for name, value in row.items()}


def plain(value):
    """A cell as both say it."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, (int, float, decimal.Decimal)):
        return str(decimal.Decimal(value).normalize() + 0)
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return repr(value)


def as_json(row):
    return json.dumps({name: str(value) if isinstance(value, decimal.Decimal) else
                       plain(value) if isinstance(value, datetime.datetime) else value
                       for name, value in row.items()})


class Both:
    def __init__(self, binary, duckdb):
        self.duck = duckdb.connect()
        self.duck.execute("SET TimeZone = 'UTC'")
        columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS)
        # With a zone it gives times through another module, pytz.
        self.duck.execute(f"CREATE TABLE facts ({columns.replace('TIMESTAMPTZ', 'TIMESTAMP')})")
        self.broker = Broker(binary)
        self.broker.out("topic", "create", "facts", "-p", str(PARTITIONS), "--retention", "forever")
        self.sql(f"CREATE SOURCE facts ({columns}) ON TOPIC 'facts'")

    def sql(self, text):
        request = urllib.request.Request(f"http://{self.broker.address}/api/v1/sql", text.encode(),
                                         {"Content-Type": "application/sql"})
        try:
            with urllib.request.urlopen(request) as reply:
                return json.loads(reply.read(), parse_float=decimal.Decimal)["answers"][-1]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{text}\n{error.read().decode()}") from None

    def give(self, rows):
        """Stored, and in every view that runs."""
        request = urllib.request.Request(
            f"http://{self.broker.address}/api/v1/topics/facts/records?as=values&acks=applied",
            ("[" + ",".join(map(as_json, rows)) + "]").encode(),
            {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as reply:
            assert json.loads(reply.read())["applied"]
        self.duck.executemany(f"INSERT INTO facts VALUES ({', '.join('?' * len(COLUMNS))})",
                              [list(row.values()) for row in rows])

    def ours(self, text):
        answer = self.sql(text)
        names = [column["name"] for column in answer["columns"]]
        return sorted([plain(row[name]) for name in names] for row in answer["rows"])

    def theirs(self, text):
        return sorted([plain_text(cell) for cell in row] for row in self.duck.execute(text).fetchall())


def plain_text(value):
    # Runnel's times are texts in JSON.
    return repr(plain(value)) if isinstance(value, datetime.datetime) else plain(value)


def compare(both, question, what, ours, theirs):
    if ours == theirs:
        return
    missing = [row for row in theirs if row not in ours][:5]
    more = [row for row in ours if row not in theirs][:5]
    raise AssertionError(f"{what} is not what DuckDB says\n  {question[0]}\n  {question[1]}\n"
                         f"  only DuckDB: {missing}\n  only Runnel: {more}")


def run(binary, duckdb, seed, rounds):
    questions = Questions(seed)
    both = Both(binary, duckdb)
    try:
        asked = [questions.grouped() for _ in range(rounds)]
        for i, (ours, _) in enumerate(asked):
            both.sql(f"CREATE MATERIALIZED VIEW live{i} AS {ours}")
        number = 0
        while number < RECORDS:
            count = min(RECORDS - number, questions.random.randrange(1, 120))
            both.give([questions.record(number + i) for i in range(count)])
            number += count
        compared = 0
        for i, question in enumerate(asked):
            theirs = both.theirs(question[1])
            compare(both, question, "the view", both.ours(f"SELECT * FROM live{i}"), theirs)
            compare(both, question, "the query", both.ours(question[0]), theirs)
            both.sql(f"CREATE MATERIALIZED VIEW built AS {question[0]}")
            compare(both, question, "the view that was built", both.ours("SELECT * FROM built"), theirs)
            both.sql("DROP MATERIALIZED VIEW built")
            compared += len(theirs)
        assert compared > 10 * rounds, f"only {compared} rows were compared"
        print(f"{rounds} views, {compared} rows: as DuckDB {duckdb.__version__} has them")
    finally:
        both.broker.stop()
        both.broker.remove()


def main():
    try:
        import duckdb
    except ImportError:
        print("skipped: Python has no module duckdb (pip install duckdb)")
        return SKIPPED
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int.from_bytes(os.urandom(4))
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else ROUNDS
    print(f"seed {seed}")
    run(sys.argv[1], duckdb, seed, rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
