"""One sequence of requests: sent to both brokers, their answers compared."""
import time

import allowed
import pair
import schema
import steps_admin  # noqa: F401  registers its steps, as do the next four
import steps_groups  # noqa: F401
import steps_records  # noqa: F401
import steps_topics  # noqa: F401
import steps_transactions
import world as worlds
from adjust import adjust
from compare import Comparison, Difference
from proofs import has_error
from settler import SETTLE_SECONDS

STEPS_OF_A_SEQUENCE = 40
WANTED_EVERY = 4  # steps
LANES = 3
# How long an answer that may wait for other members is waited for.
BLOCK_SECONDS = 0.2
MAY_BLOCK = {"JoinGroup", "SyncGroup"}
CONCURRENT = 51  # CONCURRENT_TRANSACTIONS: try again
# Array of each API that lists everything there is: only the sequence's own is compared.
LISTS = {"ListGroups": ("Groups", "GroupId"), "Metadata": ("Topics", "Name"),
         "DescribeTopicPartitions": ("Topics", "Name"), "DescribeLogDirs": ("Topics", "Name"),
         "ListTransactions": ("TransactionStates", "TransactionalId")}


class Sequence:
    """`wanted`: an API and a version of it that have to come, too."""

    def __init__(self, seed, table, ports, settler, totals, verbose, wanted=None):
        self.table = table
        self.wanted = wanted
        self.totals = totals
        self.verbose = verbose
        self.symbols = pair.Symbols()
        self.world = worlds.World(seed, self.symbols, table)
        self.random = self.world.random
        self.lanes = [pair.Lane(ports) for _ in range(LANES)]
        self.settler = settler
        self.afters = {}
        self.failures = []
        self.over = False
        self.log = []

    def run(self):
        # Groups that are told their partitions make every change of a topic slow: see Settler.
        told = self.world.chance(20)
        transactional = not told and self.world.chance(40)
        if self.wanted:
            told, transactional = self.wanted[0] == "ConsumerGroupHeartbeat", True
        steps = [(name, s) for name, s in worlds.STEPS.items() if s[0] in self.table.apis and
                 (told or s[0] != "ConsumerGroupHeartbeat") and
                 (transactional or s[2].__module__ != steps_transactions.__name__)]
        weights = [s[1] for _, s in steps]
        try:
            for number in range(STEPS_OF_A_SEQUENCE):
                free = [lane for lane in self.lanes if lane.pending is None]
                if not free:
                    break
                _, (api, _, function) = self.random.choices(steps, weights)[0]
                version = self.random.randint(*self.table.apis[api][2])
                if self.wanted and number % WANTED_EVERY == 0:
                    api, version = self.wanted
                    function = self.random.choice([s[2] for _, s in steps if s[0] == api])
                self.step(self.random.choice(free), api, version, function)
                for lane in self.lanes:
                    if lane.pending is not None and not self.over:
                        self.finish(lane, 0.01)
                if self.over:
                    break
        finally:
            for lane in self.lanes:
                lane.close()
            self.clean()
        return self.failures

    def step(self, lane, api, version, function):
        request, response, _ = self.table.apis[api]
        made = function(self.world, version)
        fields, after = made if isinstance(made, tuple) else (made, None)
        self.note(f"{api} {version} {fields}")
        lane.send((request, response, api), version, fields)
        self.afters[id(lane)] = after
        self.totals.requests[api, version] += 1
        self.finish(lane, BLOCK_SECONDS if api in MAY_BLOCK else pair.ANSWER_SECONDS)

    def finish(self, lane, seconds):
        (request, response, api), version, fields = lane.pending
        frames = lane.collect(seconds)
        if frames is None:
            if api not in MAY_BLOCK:
                self.fail(Difference(api, version, "", "no answer", "no answer"))
            return
        if any(not isinstance(frame, bytes) for frame in frames.values()):
            self.not_answered(lane, api, version, frames, fields)
            return
        answers = {}
        for side, frame in frames.items():
            try:
                answers[side] = schema.read_response(response, version, frame)[1]
            except Exception as error:
                self.fail(Difference(api, version, f"the answer of {side}", error, frame.hex()))
                return
        if api == "JoinGroup":
            self.finish_joins(fields["GroupId"])
            if self.over:
                return
        again = self.ask_again(lane, (request, response, api), version, fields, answers)
        self.only_own(api, fields, answers)
        for side in pair.SIDES:
            self.note(f"    {side}: {answers[side]}")
        for rule in adjust(self.settler, self.world, api, fields, answers, again):
            self.allow(rule)
        comparison = Comparison(api, version, self.symbols, fields, answers)
        comparison.struct(response.fields, answers["kafka"], answers["runnel"])
        self.totals.orders.update(comparison.orders)
        for difference in comparison.differences:
            rule = allowed.find(difference, self.settler.ask)
            if rule is None:
                self.fail(difference)
            else:
                self.allow(rule)
        after = self.afters.pop(id(lane))
        if not self.over and after is not None:
            after(answers)
            try:
                self.settler.settle(self.world)
            except TimeoutError as error:
                self.fail(Difference(api, version, "settling", f"does not show {error}", ""))

    def finish_joins(self, group):
        """Of the group's other members, each of whose own answers says which of the one broker's
        members is which of the other's. The list that the leader gets does not."""
        for lane in self.lanes:
            if lane.pending is not None and not self.over:
                (_, _, api), _, fields = lane.pending
                if api == "JoinGroup" and fields["GroupId"] == group:
                    self.finish(lane, BLOCK_SECONDS)

    @staticmethod
    def is_behind(api, answers):
        """Kafka says that a transaction is still ending, Runnel that it has ended; or Kafka does not
        show a group yet that it has answered a member of; or its groups do not know a topic yet
        that it has made, so that the topic's partitions are nobody's."""
        kafka, runnel = answers["kafka"], answers["runnel"]
        if api == "ConsumerGroupHeartbeat":
            given = {side: (answers[side]["Assignment"] or {}).get("TopicPartitions")
                     for side in pair.SIDES}
            return not kafka["ErrorCode"] and bool(given["runnel"]) and not given["kafka"]
        if api == "DescribeGroups":
            known = {g["GroupId"] for g in runnel["Groups"] if g["Members"]}
            return any(g["GroupState"] == "Dead" and g["GroupId"] in known for g in kafka["Groups"])
        return has_error(kafka, CONCURRENT) and not has_error(runnel, CONCURRENT)

    def ask_again(self, lane, message, version, fields, answers):
        """Whether that was necessary."""
        request, response, api = message
        deadline = time.monotonic() + SETTLE_SECONDS
        before = self.totals.again[api]
        while self.is_behind(api, answers) and time.monotonic() < deadline:
            time.sleep(0.02)
            connection = lane.connections["kafka"]
            connection.send(request, version, pair.resolve(fields, "kafka"))
            frame = connection.receive(pair.ANSWER_SECONDS)
            answers["kafka"] = schema.read_response(response, version, frame)[1]
            self.totals.again[api] += 1
        return self.totals.again[api] > before

    def not_answered(self, lane, api, version, frames, fields):
        words = {side: "closed" if frame is None else "no answer" if isinstance(frame, str) else
                 "answered" for side, frame in frames.items()}
        self.note(f"    {words}")
        if len(set(words.values())) == 1:
            lane.reset()
            return
        for side, frame in frames.items():
            if isinstance(frame, bytes):
                response = self.table.apis[api][1]
                words[side] = schema.read_response(response, version, frame)[1]
        difference = Difference(api, version, "connection", words["kafka"], words["runnel"], fields)
        rule = allowed.find(difference, self.settler.ask)
        if rule is None:
            self.fail(difference)
            return
        self.allow(rule)
        lane.reset()

    def only_own(self, api, fields, answers):
        if api not in LISTS or fields.get("Topics"):
            return
        array, name = LISTS[api]
        for answer in answers.values():
            if api == "DescribeLogDirs":
                answer = answer["Results"][0]
            answer[array] = [e for e in answer[array] or []
                             if (e[name] or "").startswith(self.world.prefix) and
                             e[name] not in self.world.ghosts]

    def note(self, text):
        self.log.append(text)
        if self.verbose:
            print(text if len(text) < 40000 else text[:40000] + "...")

    def allow(self, rule):
        self.totals.allowed[rule] += 1
        self.over = self.over or rule.ends

    def fail(self, difference):
        self.failures.append(difference)
        self.over = True
        self.totals.details.setdefault(difference.signature(), self.log[-3:])

    def clean(self):
        """Topics go, so that listings stay short. Groups stay; no other sequence has their names."""
        names = list(self.world.topics)
        for side in pair.SIDES:
            if names:
                self.settler.ask(side, "DeleteTopics", 3, {"TopicNames": names, "TimeoutMs": 9000})
