"""What happens in one run: everything that chance decides follows from the seed, so a seed repeats a run."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

VERSIONS = ("2.12.8", "2.14.6", "2.15.1")
STEPS, RENAME_STEPS = 12, 7
"""As many lines as a move writes; a kill at one that never comes is a run without a fault, and told so."""

LAST = "last"
"""The key that is written once, when all is over."""

MARKER_SECONDS = 60
OBJECTS = {
    "bucket memory->file": 4,
    "bucket file->memory": 3,
    "bucket renamed": 4,
    "stream memory->file": 4,
    "stream to workqueue": 3,
}
"""What is moved, and how often one is chosen beside the others."""

CONTROLLED = ("bucket memory->memory", "bucket file->file", "stream memory->memory", "stream file->file")
"""What stands for them where nothing is moved."""

FAULTS = ("none", "step", "instant", "server", "both")
CLUSTER_FAULTS = ("none", "step", "instant", "server")
FAULT_WORDS = {
    "none": "no fault",
    "step": "natsmith killed at a step",
    "instant": "natsmith killed any time",
    "server": "server killed",
    "both": "natsmith and server killed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One run."""

    seed: int
    version: str
    """Of the server."""

    what: str
    """Which object is moved, of ``OBJECTS``."""

    fault: str
    """Who is killed, of ``FAULTS``."""

    step: int
    """At which line of natsmith's it is killed, where it is killed at a step."""

    delay: float
    """Seconds after natsmith's first line until whoever is killed at any time is killed."""

    again: bool
    """Whether the run that is to go on is killed as well."""

    down: float
    """Seconds until a killed server comes back."""

    history: int
    keys: int
    """How many are there before the move."""

    ttl: bool
    """Whether some of them, the newest included, have a time to live of their own."""

    markers: bool
    max_age: int
    """Seconds; 0 is for ever."""

    size: int
    """Bytes of a value."""

    writers: int
    """Connections that write one message after the other."""

    lanes: int
    """Publishes that the asynchronous writer has under way."""

    watched: bool
    """Whether the run waits for the watchers to have seen everything, which takes them a while."""

    replicas: int = 1

    @property
    def bucket(self) -> bool:
        """Whether it is a bucket and not a stream."""
        return self.what.startswith("bucket")

    @property
    def renamed(self) -> bool:
        """Whether the name changes."""
        return self.what == "bucket renamed"

    @property
    def workqueue(self) -> bool:
        """Whether a worker's acknowledgement removes a message at the end."""
        return self.what == "stream to workqueue"

    @property
    def stream(self) -> str:
        """What the stream is called before the move."""
        return "KV_b" if self.bucket else "S"

    @property
    def final(self) -> str:
        """What the stream is called after the move."""
        return "KV_new" if self.renamed else self.stream

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What the subjects of keys begin with; where the name changes, the one before and the one after."""
        return ("$KV.b.", "$KV.new.") if self.renamed else ("$KV.b.",) if self.bucket else ("s.",)

    @property
    def kept(self) -> int:
        """How many messages of one key are kept; 0 is all."""
        return self.history if self.bucket else 0

    def key(self, subject: str) -> str:
        """Return the key of a subject, or nothing where it is no subject of ours."""
        return next((subject[len(each) :] for each in self.prefixes if subject.startswith(each)), "")

    def values(self, *, moved: bool) -> dict[str, Any]:
        """Return the values before or after the move."""
        source, _, target = self.what.rpartition(" ")[2].partition("->")
        storage = (target if moved else source) if target else "file"
        common = {"storage": storage, "replicas": self.replicas}
        # A work queue drops what its worker had already.
        policy: dict[str, Any] = {
            "provisioner": {"onImmutable": "move", "loss": "allow" if self.workqueue else "expire"}
        }
        if self.bucket:
            bucket = {"history": self.history, "ttlSeconds": self.max_age, **common}
            bucket |= {"markerSeconds": MARKER_SECONDS} if self.markers else {"perKeyTTL": True} if self.ttl else {}
            name = "new" if self.renamed and moved else "b"
            return policy | {"buckets": {name: bucket | ({"renamedFrom": "b"} if name == "new" else {})}}
        stream = {"subjects": ["s.>"], "maxAgeSeconds": self.max_age, "allowDirect": True, **common}
        stream |= {"allowMessageTTL": True} if self.ttl else {}
        stream |= {"retention": "workqueue" if self.workqueue and moved else "limits"}
        stream |= {"consumers": {"workers": {"ackWaitSeconds": 2, "maxAckPending": 100}}}
        return policy | {"streams": {"S": stream}}


def choose(seed: int, *, cluster: bool = False, long: bool = False) -> Scenario:
    """Return the run that *seed* stands for."""
    chance = random.Random(seed)  # noqa: S311  (it shall repeat, not be secret)
    what = chance.choices(list(OBJECTS), list(OBJECTS.values()))[0]
    # A killed server forgets what it held in memory, before the move or after it; of three, two remember.
    faults = CLUSTER_FAULTS if cluster else FAULTS if _on_disk(what) else FAULTS[:3]
    ttl = chance.random() < 0.6
    history = chance.choice((1, 5))

    def pick(share: float) -> bool:
        return chance.random() < share

    scenario = Scenario(
        seed=seed,
        version=VERSIONS[seed % len(VERSIONS)],
        what=what,
        fault=chance.choice(faults),
        step=chance.randint(1, RENAME_STEPS if what == "bucket renamed" else STEPS),
        delay=chance.uniform(0, 0.8),
        again=pick(0.25),
        down=chance.uniform(0.05, 0.5),
        history=history,
        keys=chance.choice((0, 5, 300, 3000)) * (30 if long else 1),
        ttl=ttl,
        # Before 2.14 natsmith refuses to move a bucket with markers: a copy stands still while they come and go.
        markers=ttl and history == 1 and what.startswith("bucket") and pick(0.5) and seed % len(VERSIONS) > 0,
        max_age=chance.choice((0, 0, 3600)),
        size=chance.choice((0, 100, 1000)),
        writers=chance.choice((0, 1, 2)) if not long else chance.choice((0, 2, 6)),
        lanes=chance.choice((0, 4, 8)),
        watched=seed % 10 == 0 and what != "bucket renamed",
        replicas=3 if cluster else 1,
    )
    # What a move begins with takes milliseconds, so it would hardly ever be hit.
    return replace(scenario, delay=scenario.delay / 40) if pick(0.25) else scenario


def _on_disk(what: str) -> bool:
    return "memory" not in what


def controlled(scenario: Scenario) -> Scenario:
    """Return the same run where nothing is moved and natsmith is not there to be killed."""
    source = "memory" if " memory->" in scenario.what else "file"
    what = f"{scenario.what.split()[0]} {source}->{source}"
    return replace(scenario, what=what, fault="server" if scenario.fault in ("server", "both") else "none")
