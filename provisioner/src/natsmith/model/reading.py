"""From a document of values to what it asks for, with every mistake named at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from natsmith.model import raw
from natsmith.model.desired import Desired, Policy, Resource
from natsmith.model.kind import Kind
from natsmith.model.resources import (
    BUCKET,
    CONSUMER,
    PROFILES,
    RESERVED,
    STREAM,
    STREAM_KINDS,
    stream_name,
)
from natsmith.model.units import Ambiguous, Flag, Json, Type, described
from natsmith.model.words import Choice, Text

ON_IMMUTABLE = Choice(("refuse", "move", "replace"))
POLICY: dict[str, Type] = {"onImmutable": ON_IMMUTABLE, "prune": Flag(), "loss": Choice(("refuse", "expire", "allow"))}

WISHES = ("account", "config", "adopt", "renamedFrom", "onImmutable")
"""What an object can say beside its settings."""

CONSUMER_WISHES = ("config", "adopt", "onImmutable")

DEAD_LETTER_SETTINGS = ("maxAgeSeconds", "maxBytes", "storage", "replicas", "description", "placement")
DEAD_LETTER_KEYS = (*DEAD_LETTER_SETTINGS, "adopt", "onImmutable")
DEAD_LETTER_SUBJECTS = (
    "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{stream}.{consumer}",
    "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.{stream}.{consumer}",
)
SECTIONS = (*(kind.section for kind in STREAM_KINDS), "provisioner", "accounts", "owner")


def read(document: Json) -> tuple[Desired, list[str]]:
    """Return what *document* asks for and what is wrong with it; keys that belong to the chart are left alone."""
    reader = _Reader()
    desired = reader.document(document)
    return desired, reader.problems


@dataclass
class _Reader:
    problems: list[str] = field(default_factory=list)

    def wrong(self, where: str, what: str) -> None:
        self.problems.append(f"{where} {what}")

    def map(self, given: Json, where: str) -> Mapping[str, Json]:
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            self.wrong(where, f"is {described(given)}, but must be a map")
            return {}
        for key in given:
            if isinstance(key, Ambiguous):
                self.wrong(
                    where,
                    f"has {described(key)} as a key, which YAML readers take for different things: put it in quotes",
                )
        # An overlay takes a key out by making it null, so a null is never a value.
        return {str(key): value for key, value in given.items() if value is not None}

    def value(self, type_: Type, given: Json, where: str) -> Json:
        try:
            return type_.read(given)
        except ValueError as error:
            self.wrong(where, str(error))
            return None

    def nearest(self, key: str, known: Iterable[str], where: str) -> None:
        begins = [name for name in known if name.casefold().startswith(key.casefold())]
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.6) or begins
        hint = f": did you mean {near[0]}?" if near else f"; known are {', '.join(sorted(known))}"
        self.wrong(f"{where}.{key}", f"is not a key that natsmith knows{hint}")

    def slip(self, key: str, known: Iterable[str], where: str) -> None:
        """Refuse what looks like a slip of ours; beside our keys the chart has its own, which are none of our business."""
        spelled = {name.casefold(): name for name in known}
        near = difflib.get_close_matches(key.casefold(), spelled, n=1, cutoff=0.7)
        if near and spelled[near[0]] != key:
            self.wrong(where, f"is not a key that natsmith knows: did you mean {spelled[near[0]]}?")

    def document(self, given: Json) -> Desired:
        top = self.map(given, "the document")
        for key in top:
            self.slip(key, SECTIONS, key)
        accounts = tuple(self.map(top.get("accounts"), "accounts")) or ("app",)
        resources: list[Resource] = []
        for kind in STREAM_KINDS:
            for name, body in self.map(top.get(kind.section), kind.section).items():
                resources += self.object(kind, name, body, accounts)
        self._twins(resources)
        owner = top.get("owner", "")
        if not isinstance(owner, str):
            self.wrong("owner", f"is {described(owner)}, but must be text such as namespace/release")
            owner = ""
        return Desired(
            accounts=accounts, resources=tuple(resources), policy=self.policy(top.get("provisioner")), owner=owner
        )

    def policy(self, given: Json) -> Policy:
        keys = self.map(given, "provisioner")
        for key in keys:
            self.slip(key, (*POLICY, "consent"), f"provisioner.{key}")
        found = {
            key: self.value(type_, keys[key], f"provisioner.{key}") for key, type_ in POLICY.items() if key in keys
        }
        consent = self.map(keys.get("consent"), "provisioner.consent")
        for name, digest in consent.items():
            if not isinstance(digest, str) or not digest.startswith("c-"):
                self.wrong(
                    f"provisioner.consent.{name}",
                    f"is {described(digest)}, but must be a consent such as c-3f9c12ab, as plan prints it",
                )
        return Policy(
            on_immutable=found.get("onImmutable") or "refuse",
            prune=bool(found.get("prune")),
            loss=found.get("loss") or "expire",
            consent=frozenset(str(digest) for digest in consent.values()),
        )

    def object(self, kind: Kind, name: str, body: Json, accounts: tuple[str, ...]) -> list[Resource]:
        where = f"{kind.section}.{name}"
        if not self.legal(kind, name, where):
            return []
        given = self.map(body, where)
        account = self.account(given.get("account"), where, accounts)
        consumers = given.get("consumers") if kind is STREAM else None
        extra = {"consumers"} if kind is STREAM else {"profile"} if kind is BUCKET else set()
        resource = self.resource(kind, name, stream_name(kind, name), account, given, where, extra)
        result = [resource]
        for consumer, each in self.map(consumers, f"{where}.consumers").items():
            result += self.consumer(resource, consumer, each)
        return result

    def consumer(self, stream: Resource, name: str, body: Json) -> list[Resource]:
        where = f"{stream.where}.consumers.{name}"
        if not self.legal(CONSUMER, name, where):
            return []
        given = self.map(body, where)
        consumer = self.resource(CONSUMER, name, stream.stream, stream.account, given, where, {"deadLetter"})
        if "deadLetter" not in given:
            return [consumer]
        return [consumer, self.dead_letter(stream, consumer, self.map(given["deadLetter"], f"{where}.deadLetter"))]

    def dead_letter(self, stream: Resource, consumer: Resource, given: Mapping[str, Json]) -> Resource:
        where = f"{consumer.where}.deadLetter"
        name = (
            self.value(Text(), given.get("stream", ""), f"{where}.stream") or f"{consumer.stream}_{consumer.name}_dead"
        )
        self.legal(STREAM, name, f"{where}.stream")
        rest = {key: value for key, value in given.items() if key != "stream"}
        for key in rest:
            if key not in DEAD_LETTER_KEYS:
                self.nearest(key, (*DEAD_LETTER_KEYS, "stream"), where)
        rest = {key: value for key, value in rest.items() if key in DEAD_LETTER_KEYS}
        rest["subjects"] = [
            subject.format(stream=consumer.stream, consumer=consumer.name) for subject in DEAD_LETTER_SUBJECTS
        ]
        if "replicas" in stream.settings:
            rest.setdefault("replicas", stream.get("replicas"))  # what a server's end must not take, twice
        return self.resource(STREAM, name, name, consumer.account, rest, where, set())

    def resource(
        self, kind: Kind, name: str, stream: str, account: str, given: Mapping[str, Json], where: str, extra: set[str]
    ) -> Resource:
        settings = (
            dict(PROFILES[self.profile(given["profile"], where)]) if "profile" in given and kind is BUCKET else {}
        )
        known = [each.name for each in kind.fields if not each.pinned]
        wishes = WISHES if kind is not CONSUMER else CONSUMER_WISHES
        off = set()
        for key, value in given.items():
            if key in wishes or key in extra:
                continue
            if key not in known:
                self.nearest(key, (*known, *wishes, *extra), where)
                continue
            read = self.value(kind.by_name[key].type, value, f"{where}.{key}")
            if read is not None:
                settings[key] = read
                if kind.by_name[key].latch and read is False:
                    off.add(key)
        return Resource(
            kind=kind,
            name=name,
            stream=stream,
            account=account,
            settings=kind.normal(name, settings),
            config=self.config(kind, given.get("config"), f"{where}.config"),
            off=frozenset(off),
            adopt=bool(self.value(Flag(), given.get("adopt", False), f"{where}.adopt")),
            renamed_from=self.renamed_from(kind, given.get("renamedFrom", ""), f"{where}.renamedFrom"),
            on_immutable=self.value(ON_IMMUTABLE, given["onImmutable"], f"{where}.onImmutable")
            if "onImmutable" in given
            else None,
            where=where,
        )

    def config(self, kind: Kind, given: Json, where: str) -> dict[str, Json]:
        result = {}
        for key, value in self.map(given, where).items():
            plain = self.plain(value, f"{where}.{key}")
            wrong = raw.problem(kind, key, plain)
            if wrong:
                self.wrong(f"{where}.{key}", wrong)
            else:
                result[key] = plain
        return result

    def plain(self, value: Json, where: str) -> Json:
        if isinstance(value, Ambiguous):
            self.wrong(where, f"is {described(value)}, which YAML readers take for different things: put it in quotes")
        if isinstance(value, Mapping):
            return {key: self.plain(each, f"{where}.{key}") for key, each in self.map(value, where).items()}
        if isinstance(value, list):
            return [self.plain(each, f"{where}[{index}]") for index, each in enumerate(value)]
        return value

    def profile(self, given: Json, where: str) -> str:
        read = self.value(Choice(tuple(PROFILES)), given, f"{where}.profile")
        return str(read) if read else next(iter(PROFILES))

    def account(self, given: Json, where: str, accounts: tuple[str, ...]) -> str:
        if given is None:
            if len(accounts) > 1:
                self.wrong(
                    where,
                    f"says no account, but there are several: set {where}.account to one of {', '.join(accounts)}",
                )
            return accounts[0]
        if isinstance(given, Ambiguous) or given not in accounts:
            self.wrong(f"{where}.account", f"is {described(given)}, but the accounts are {', '.join(accounts)}")
            return accounts[0]
        return str(given)

    def renamed_from(self, kind: Kind, given: Json, where: str) -> str:
        read = self.value(Text(), given, where) or ""
        if read and not re.fullmatch(kind.legal_name, read):
            self.wrong(where, f"is {read!r}, but the name of a {kind.word} is made of {kind.name_rule}")
            return ""
        return str(read)

    def legal(self, kind: Kind, name: str, where: str) -> bool:
        if isinstance(name, Ambiguous):
            return False  # said by map()
        if not re.fullmatch(kind.legal_name, name) or len(stream_name(kind, name)) > 255:
            self.wrong(
                where,
                f"is not a legal name: the name of a {kind.word} is made of {kind.name_rule}, at most 255 characters in all",
            )
            return False
        if name.startswith((RESERVED, f"KV_{RESERVED}")):
            self.wrong(where, f"is not a legal name: names that begin with {RESERVED} are natsmith's own")
            return False
        return True

    def _twins(self, resources: list[Resource]) -> None:
        seen: dict[tuple[str, object], Resource] = {}
        for each in resources:
            twin = seen.setdefault((each.account, each.id), each)
            if twin is not each:
                self.wrong(
                    each.where, f"is the stream {each.stream} on the server, and so is {twin.where}: rename one of them"
                )
