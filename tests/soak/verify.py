"""What must hold when a soak is over."""
import collections
import json
import pathlib
import re

from harness import Broker


# retention.bytes of the topic `short`, and what batches add to their values, with one batch.
SHORT_BYTES = 1_000_000
SHORT_SLACK = 100_000


class Verifier:
    def __init__(self, place, actors, dice):
        self.place = place
        self.actors = actors
        self.dice = dice
        self.checked = collections.Counter()

    def expect(self, holds, text):
        self.checked["expectations"] += 1
        if not holds:
            self.place.fail(text)
        return holds

    def read(self, topic, address=None):
        found = self.place.read(topic, address)
        self.checked["records"] += sum(map(len, found.values()))
        return found

    def same(self, what, found, expected):
        """Both are lists of (offset, value)."""
        if found == expected:
            self.checked["expectations"] += 1
            return
        missing = [e for e in expected if e not in set(found)]
        extra = [f for f in found if f not in set(expected)]
        self.expect(False, f"{what}: {len(missing)} of {len(expected)} are missing, the first "
                           f"{missing[:1]}; {len(extra)} are there besides, the first {extra[:1]}")

    # ---- each topic's promise
    def kept(self, address=None, least=None):
        """Every acknowledged record once, at the offset that was answered; of an older copy, from
        the beginning on, and `least` of each partition."""
        found = self.read("kept", address)
        for partition, acknowledged in self.actors["kept"].acknowledged.items():
            mine = [(o, v) for o, _, v in found[partition]]
            expected = acknowledged if least is None else acknowledged[:len(mine)]
            self.same(f"kept[{partition}]", mine, expected)
            if least is not None:
                self.expect(len(mine) >= least.get(partition, 0),
                            f"kept[{partition}]: a backup has {len(mine)} records of "
                            f"{least.get(partition)} that were acknowledged when it began")
        return found

    def short(self):
        """Retention took from the front alone, and no more than what is too much."""
        found = self.read("short")
        for partition, acknowledged in self.actors["short"].acknowledged.items():
            mine = [(o, v) for o, _, v in found[partition]]
            self.same(f"short[{partition}]", mine, acknowledged[len(acknowledged) - len(mine):])
            # A record of 1,000 bytes takes little more in its batch.
            left = sum(len(v) for _, v in mine)
            written = sum(len(v) for _, v in acknowledged)
            self.expect(left >= min(written, SHORT_BYTES - SHORT_SLACK),
                        f"short[{partition}]: {left} bytes are left of {written}")

    def trimmed(self):
        found = self.read("trimmed")
        actor = self.actors["trimmed"]
        for partition, acknowledged in actor.acknowledged.items():
            mine = [(o, v) for o, _, v in found[partition]]
            expected = [a for a in acknowledged if a[0] >= actor.trimmed[partition]]
            self.same(f"trimmed[{partition}]", mine, expected)

    def erased(self):
        """What was meant is in no file, and everything else is where it was."""
        actor = self.actors["erased"]
        for name in actor.erasures:
            receipt = json.loads(self.place.must("erase", "--receipt", name, "--wait", "-o", "json"))
            self.expect(receipt["gone"], f"erasure {name} is not complete")

        def is_meant(partition, offset, value):
            key = value.split()[0]
            return any(key == k and offset < before.get(partition, 0)
                       for k, before in actor.erasures.values())
        found = self.read("erased")
        gone = []
        for partition, acknowledged in actor.acknowledged.items():
            mine = [(o, v) for o, _, v in found[partition]]
            self.same(f"erased[{partition}]", mine,
                      [a for a in acknowledged if not is_meant(partition, *a)])
            gone += [v for o, v in acknowledged if is_meant(partition, o, v)]
        self.checked["erased records"] = len(gone)
        held = self.values_in_files(actor.filler)
        left = [v for v in gone if v.rsplit(" ", 1)[0] in held]
        self.expect(not left, f"{len(left)} erased records are in files, the first {left[:1]}")

    def values_in_files(self, filler):
        """The beginnings of values, "KEY NUMBER", that stand in segments."""
        found = set()
        wanted = re.compile(rb"(erasable-\d+ \d+) " + filler.encode())
        for file in pathlib.Path(self.place.data, "segments").iterdir():
            found.update(m.decode() for m in wanted.findall(file.read_bytes()))
        return found

    def latest(self, address=None):
        found = self.read("latest", address)
        for partition, newest in self.actors["latest"].newest.items():
            last = {k: v for _, k, v in found[partition]}
            offsets = [o for o, _, _ in found[partition]]
            self.expect(offsets == sorted(set(offsets)), f"latest[{partition}] is out of order")
            wrong = [k for k, v in newest.items()
                     if last.get(k) != v or v is not None and k not in last]
            self.expect(not wrong, f"latest[{partition}] has another newest value of {wrong[:3]}")
            self.expect(set(last) <= set(newest), f"latest[{partition}] has keys nobody wrote")

    def transactions(self):
        actor = self.actors["transactions"]
        found = self.read("transactions")
        count = collections.Counter()
        for partition in (0, 1):
            for _, _, value in found[partition]:
                number, written_to, _ = value.split()
                self.expect(int(written_to) == partition, "a record is in another partition")
                count[int(number)] += 1
            values = [v for _, _, v in found[partition]]
            self.expect(len(values) == len(set(values)), f"transactions[{partition}]: twice")
        for numbers, allowed in ((actor.committed, {6}), (actor.aborted, {0}),
                                 (actor.maybe, {0, 6})):
            wrong = [(n, count[n]) for n in numbers if count[n] not in allowed]
            self.expect(not wrong, f"transactions (number, records): {wrong[:3]}")

    def consumer(self):
        actor = self.actors["consumer"]
        for partition, committed in actor.committed.items():
            missing = set(range(max(committed, 0))) - actor.got.get(partition, set())
            self.expect(not missing, f"the group passed offsets of kept[{partition}] that nobody "
                                     f"was given: {sorted(missing)[:3]}")

    # ---- copies
    def exported(self, kept):
        directory = pathlib.Path(self.place.root, "exported")
        self.place.must("export", "kept", "--format", "jsonl", "-e", "--out", str(directory))
        found = collections.defaultdict(list)
        names = [f for f in directory.iterdir() if f.name.endswith(".jsonl")
                 and f.name != "manifest.jsonl"]
        for file in names:
            for line in file.read_text().splitlines():
                r = json.loads(line)
                found[r["partition"]].append((r["offset"], r["value"]))
        for partition, records in kept.items():
            self.same(f"the export of kept[{partition}]", sorted(found[partition]),
                      [(o, v) for o, _, v in records])
        self.place.must("import", "imported", str(directory))
        self.copied("imported", kept)

    def replayed(self, kept):
        self.place.must("topic", "create", "replayed", "-p", str(len(kept)))
        self.place.must("replay", "kept", "--into", "replayed", "--name", "last")
        self.copied("replayed", kept)

    def copied(self, topic, kept):
        found = self.read(topic)
        for partition, records in kept.items():
            self.same(f"{topic}[{partition}]", [v for _, _, v in found[partition]],
                      [v for _, _, v in records])

    def backups(self):
        directory = str(self.place.root / "backups")
        self.place.must("backup", "create", directory)
        listed = json.loads(self.place.must("backup", "list", directory, "-o", "json"))
        self.place.must("backup", "verify", directory)
        self.checked["backups"] = len(listed)
        chosen = {listed[-1]["id"], self.dice.choice(listed)["id"], listed[0]["id"]}
        for one in sorted(chosen):
            into = str(self.place.root / f"restored-{one}")
            self.place.must("backup", "restore", directory, "--id", one, "--into", into)
            self.place.must("check", into)
            broker = Broker(self.place.binary, "auto", into)
            last = one == listed[-1]["id"]
            least = None if last else self.actors["backups"].least.get(one, {})
            self.kept(broker.address, least)
            if last:
                self.latest(broker.address)
            broker.remove()
        snapshots = pathlib.Path(self.place.data, "snapshots")
        self.expect(not snapshots.exists() or not list(snapshots.iterdir()), "a snapshot is left")

    def run(self):
        kept = self.kept()
        self.short()
        self.trimmed()
        self.erased()
        self.latest()
        self.transactions()
        self.consumer()
        self.exported(kept)
        self.replayed(kept)
        self.backups()
        self.place.broker.stop()
        out = self.place.must("check", self.place.data)
        self.expect("all is well" in out, f"runnel check: {out[-1000:]}")
