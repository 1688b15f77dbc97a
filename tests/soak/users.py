"""Those who read, copy and look after: commands of the binary, ended now and then."""
import json
import os
import re
import time

from writers import Actor


class Command(Actor):
    """Runs a command again and again; some runs are killed in the middle."""

    pause_seconds = 2.0
    kill_chance = 0.3
    longest_run_seconds = 1.5

    def arguments(self):
        raise NotImplementedError

    def work(self):
        while self.place.wait(self.dice.random() * self.pause_seconds):
            process = self.place.command(*self.arguments())
            killed = self.dice.random() < self.kill_chance
            if killed:
                self.place.wait(self.dice.random() * self.longest_run_seconds)
                process.kill()
            out, err = process.communicate()
            if process.returncode == 0:
                self.done += 1
            self.ended(process.returncode, out, err, killed)

    def ended(self, code, out, err, killed):
        """A broker that is down, or a run that was killed, is no failure; a defect of data is."""
        if code == 6 or code < 0 and not killed:
            self.place.fail(f"{self.name}: exit code {code}: {out[-300:]}{err[-300:]}")


class Exporter(Command):
    def arguments(self):
        return ("export", "kept", "--format", "jsonl", "-e", "--out", str(self.place.root / "exported"))


class Importer(Command):
    """The same files into a topic whenever they can be had: dedup keys keep each record once."""

    pause_seconds = 6.0

    def arguments(self):
        return ("import", "imported", str(self.place.root / "exported"))


class Replayer(Actor):
    """The topic as it is into another one, by name, cut off now and then until it is through; then
    each record has to be there once."""

    def __init__(self, place, name, seed, original):
        super().__init__(place, name, seed)
        self.original = original  # the writer of the topic

    def work(self):
        while self.place.wait(self.dice.uniform(10, 40)):
            topic = f"replayed-{self.done}"
            self.place.patiently("topic", "create", topic, "-p", str(self.original.partitions), "-c",
                                 "retention.ms=-1", "--if-not-exists")
            least = self.original.counts()
            if self.until_through(topic):
                self.look(topic, least)
            self.place.patiently("topic", "delete", topic)
            self.done += 1

    def until_through(self, topic):
        """At most two minutes, for the soak may be over. False: it was."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            process = self.place.command("replay", "kept", "--into", topic, "--name", topic)
            if self.dice.random() < 0.5 and not self.place.stopping.is_set():
                time.sleep(self.dice.random() * 0.5)
                process.kill()
            process.communicate()
            if process.returncode == 0:
                return True
        self.place.fail(f"the replay into {topic} does not end")
        return False

    def look(self, topic, least):
        """`least`: how many were acknowledged in each partition before the replay began."""
        found = self.place.read(topic)
        for partition, acknowledged in self.original.acknowledged.items():
            mine = [value for _, _, value in found[partition]]
            expected = [value for _, value in acknowledged[:len(mine)]]
            # What was written when the replay began may not be known as acknowledged yet.
            if mine[:len(expected)] != expected or len(mine) > len(acknowledged) + 20:
                self.place.fail(f"{topic}[{partition}] is no beginning of what was replayed")
            if len(mine) < least[partition]:
                self.place.fail(f"{topic}[{partition}] has {len(mine)} records of "
                                f"{least[partition]} that were there when the replay began")


class Backups(Command):
    pause_seconds = 15.0

    def __init__(self, place, name, seed, original):
        super().__init__(place, name, seed)
        self.original = original  # the writer of a topic that keeps everything
        self.began = {}
        self.least = {}  # a backup's id -> records of each partition that it has to have

    def arguments(self):
        self.began = self.original.counts()
        return ("backup", "create", str(self.place.root / "backups"))

    def ended(self, code, out, err, killed):
        super().ended(code, out, err, killed)
        made = re.search(r"backup (\S+) of ", out)
        if code == 0 and made:
            self.least[made.group(1)] = self.began


class Consumer(Actor):
    """A group's member; what it was given, and that the group's offsets never go back."""

    def __init__(self, place, name, seed, topic):
        super().__init__(place, name, seed)
        self.topic = topic
        self.got = {}  # partition -> offsets
        self.committed = {}

    def work(self):
        while not self.place.stopping.is_set():
            process = self.place.command("consume", self.topic, "-g", "soak-group", "-o", "jsonl",
                                         "-e", "-n", str(self.dice.randint(500, 5000)))
            for line in process.stdout:
                record = json.loads(line)
                self.got.setdefault(record["partition"], set()).add(record["offset"])
                self.done += 1
            process.communicate()
            self.look()
            self.place.wait(0.1)

    def look(self):
        code, out, _ = self.place.run("group", "describe", "soak-group", "-o", "json")
        if code != 0:
            return
        for p in json.loads(out)["partitions"]:
            known = self.committed.get(p["partition"], -1)
            now = -1 if p["committed"] is None else p["committed"]
            if now < known:
                self.place.fail(f"the group's offset of partition {p['partition']} went back from "
                                f"{known} to {now}")
            self.committed[p["partition"]] = max(known, now)


class Topics(Actor):
    """Topics that are made, filled and deleted."""

    def work(self):
        while self.place.wait(self.dice.random() * 2):
            name = f"temporary-{self.done}-{self.dice.randrange(1 << 30)}"
            self.place.run("topic", "create", name, "-p", str(self.dice.randint(1, 8)))
            path = self.place.root / "rows"
            path.write_text("".join(f"{i} {'y' * 500}\n" for i in range(self.dice.randint(1, 3000))))
            self.place.run("produce", name, str(path), "--timeout", "10s")
            deadline = time.monotonic() + 60
            while self.place.run("topic", "delete", name)[0] not in (0, 5):
                if time.monotonic() > deadline:
                    self.place.fail(f"{name} can't be deleted")
                    return
                time.sleep(0.2)
            self.done += 1


class Reaper(Actor):
    """Ends the broker, mostly the hard way."""

    def __init__(self, place, name, seed, seconds):
        super().__init__(place, name, seed)
        self.seconds = seconds

    def work(self):
        while self.place.wait(self.dice.uniform(*self.seconds)):
            self.place.restart(self.dice.random() < 0.8)
            self.done += 1


class Watcher(Actor):
    """How much memory and disk the broker takes."""

    def __init__(self, place, name, seed):
        super().__init__(place, name, seed)
        self.most_memory = self.most_disk = 0

    def work(self):
        page = os.sysconf("SC_PAGE_SIZE")
        while self.place.wait(1):
            try:
                with open(f"/proc/{self.place.broker.process.pid}/statm", encoding="ascii") as file:
                    self.most_memory = max(self.most_memory, int(file.read().split()[1]) * page)
                self.most_disk = max(self.most_disk, self.place.disk_bytes())
            except (OSError, IndexError):
                pass  # it is being started
