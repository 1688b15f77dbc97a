"""What Schemathesis is told of a broker that a schema can't tell: what is there, SQL, places.

Loaded by it (SCHEMATHESIS_HOOKS). What it makes by itself mostly names nothing that is there, and
is refused at once; most requests that are to be valid therefore get what seed() of
schemathesis_test.py has put there, chosen by what they were. RUNNEL_SCHEMATHESIS_COUNTS names a
file for how many answers of which status each operation had.
"""
import atexit
import collections
import json
import os
import pathlib
import random
import threading

import schemathesis
from schemathesis import GenerationMode

# Values of path parameters.
NAMES = {
    "topic": ["orders", "gifts", "checked", "copies"],
    "view": ["totals", "hourly"],
    "group": ["billing", "readers"],
    "instance": ["one", "two"],
    "subject": ["orders-value", "money", "checked-value", "shipped-value"],
    "version": ["1", "2", "latest"],
    "id": ["1", "2", "3", "4"],
    "hook": ["in", "signed"],
    "webhook": ["out", "changes"],
    "partition": ["0", "1"],
    "config": ["retention.ms", "cleanup.policy", "confluent.value.schema.validation"],
}
PLACES = ["start", "end", "0", "3", "-2", "-2h", "2026-03-29", "@1774652400000"]
QUERY = {
    "from": PLACES, "to": PLACES, "partition": ["0", "1"],
    "filter": [[".amount>=5"], ["key=ann"], ["value~a", "header.trace=7f"], [".a["]],
    "where": ["raised > 1", "campaign = 'sea'", "_final", "raised >", "count(*) > 1"],
    "columns": ["campaign", "campaign,raised", "nothing"],
    "order": ["raised desc,campaign", "campaign", "raised up"],
    "min_pos": ["gifts/0:1", "gifts/0:2", "gifts"],
    "key": ["sea", "owls"], "topic": ["orders", "gifts"], "as": ["values"],
    "wait": ["1ms", "20ms"], "cursor": ["0:1", "0:1,1:0"], "after": ["a", "0"],
    "timestamp": ["/at"], "dedup": ["/id"],
}
# Waiting is tested, but not for as long as it may. What is done has its time: 504 is the answer to
# who gives it none.
MOST_WAIT_MS = 50
WAITS = {"max_wait_ms", "timeout"}
TIMEOUT_MS = 20_000
STATEMENTS = [
    "SELECT * FROM totals", "SELECT campaign, sum(raised) FROM hourly GROUP BY campaign",
    "SELECT * FROM totals WHERE raised > (SELECT avg(raised) FROM totals)", "SHOW ALL",
    "EXPLAIN SELECT * FROM hourly WHERE campaign = 'sea'", "SELECT 1/0", "SELECT 'a' || 1",
    "CREATE MATERIALIZED VIEW IF NOT EXISTS more AS SELECT campaign, count(*) AS n FROM facts "
    "GROUP BY campaign",
    "ALTER MATERIALIZED VIEW hourly SET (late = 'drop')",
    "ALTER MATERIALIZED VIEW totals SET (max_ahead = '1 day')",
    "ALTER MATERIALIZED VIEW totals SET (nothing = 'drop')",
    "ALTER MATERIALIZED VIEW totals PAUSE", "ALTER MATERIALIZED VIEW totals RESUME",
    "DROP MATERIALIZED VIEW IF EXISTS more", "SELECT", "SELECT * FROM totals; SELECT 2",
    "SELECT * FROM orders LIMIT 3", "SELECT now(), interval '1 day'",
]
# So that what is there is not gone at once.
KEPT = 0.97
KNOWN = 0.8
# Never ends where there is something to be told of.
STREAMS = {"followRecords", "followView"}

counts = collections.defaultdict(collections.Counter)
lock = threading.Lock()


def chance_of(case):
    """The same for the same request, so that a failure can be tried again."""
    return random.Random(repr((case.method, case.path, case.path_parameters, case.query,
                               case.body)))


def put_query(case, chance):
    for name in list(case.query or {}):
        if name in WAITS:
            case.query[name] = chance.randrange(1, MOST_WAIT_MS)
        elif name == "timeout_ms":
            case.query[name] = TIMEOUT_MS
        elif name in QUERY and chance.random() < KNOWN:
            case.query[name] = chance.choice(QUERY[name])


def put_body(case, chance):
    if case.media_type == "application/sql":
        case.body = chance.choice(STATEMENTS)
    elif isinstance(case.body, dict) and "sql" in case.body and chance.random() < KNOWN:
        case.body["sql"] = chance.choice(STATEMENTS)
    elif isinstance(case.body, dict):
        # Whose values are texts of many kinds: what is made up is mostly refused.
        if isinstance(case.body.get("configs"), list) and chance.random() < KNOWN:
            del case.body["configs"]
        for name in ("topic", "view", "group"):
            if isinstance(case.body.get(name), str) and chance.random() < KNOWN:
                case.body[name] = chance.choice(NAMES[name])


@schemathesis.hook
def map_case(context, case):
    if context.operation.definition.raw.get("operationId") in STREAMS:
        for name in case.path_parameters or {}:
            case.path_parameters[name] = "not-there"
        return case
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return case
    chance = chance_of(case)
    is_removed = case.method.upper() == "DELETE" and not case.path.endswith("/subscription")
    known = 1 - KEPT if is_removed else KNOWN
    for name in case.path_parameters or {}:
        values = [os.environ["RUNNEL_CLUSTER"]] if name == "cluster" else NAMES.get(name)
        if values and chance.random() < known:
            case.path_parameters[name] = chance.choice(values)
    put_query(case, chance)
    put_body(case, chance)
    return case


@schemathesis.hook
def after_call(_, case, response):
    name = case.operation.definition.raw.get("operationId")
    with lock:
        counts[name][response.status_code] += 1


@atexit.register
def tell():
    path = os.environ.get("RUNNEL_SCHEMATHESIS_COUNTS")
    if path:
        pathlib.Path(path).write_text(json.dumps(counts), encoding="utf-8")
