"""Every mistake in values is named: the key, what was found, and what to do."""

from __future__ import annotations

import pytest

from model.documents import TWO_ACCOUNTS, bucket, consumer, problems, stream
from natsmith.model.units import Ambiguous, Json

MISTAKES: dict[str, tuple[Json, str]] = {
    # Keys
    "a misspelled setting": (
        bucket(ttlSecond=5),
        "buckets.b.ttlSecond is not a key that natsmith knows: did you mean ttlSeconds?",
    ),
    "a misspelled setting of a consumer": (
        consumer(maxDelivery=5),
        "streams.S.consumers.w.maxDelivery is not a key that natsmith knows: did you mean maxDeliver?",
    ),
    "a misspelled setting of a dead letter": (
        consumer(deadLetter={"maxAge": 5}),
        "streams.S.consumers.w.deadLetter.maxAge is not a key that natsmith knows: did you mean maxAgeSeconds?",
    ),
    "a key that is like no other": (
        consumer(deadLetter={"zzz": 5}),
        "streams.S.consumers.w.deadLetter.zzz is not a key that natsmith knows; "
        "known are adopt, description, maxAgeSeconds, maxBytes, onImmutable, placement, replicas, storage, stream",
    ),
    "a misspelled section": ({"bucket": {}}, "bucket is not a key that natsmith knows: did you mean buckets?"),
    "a misspelled policy": (
        {"provisioner": {"onImutable": "move"}},
        "provisioner.onImutable is not a key that natsmith knows: did you mean onImmutable?",
    ),
    "a key in a group": (
        bucket(placement={"clustre": "x"}),
        "buckets.b.placement has the key clustre, but knows only cluster, tags",
    ),
    "what makes a bucket a bucket": (
        bucket(allowDirect=False),
        "buckets.b.allowDirect is not a key that natsmith knows",
    ),
    # Types and units
    "a time with a unit": (
        bucket(ttlSeconds="5m"),
        "buckets.b.ttlSeconds is '5m', but must be whole seconds without a unit: write 300",
    ),
    "a quoted number": (bucket(ttlSeconds="30"), "buckets.b.ttlSeconds is '30', but must be whole seconds, such as 30"),
    "a part of a second": (
        bucket(ttlSeconds=1.5),
        "buckets.b.ttlSeconds is 1.5, but must be whole seconds, such as 30",
    ),
    "a negative time": (bucket(ttlSeconds=-1), "buckets.b.ttlSeconds is -1, but must be between 0 and 9223372036"),
    "a time that nanoseconds cannot count": (
        bucket(ttlSeconds=10**12),
        "buckets.b.ttlSeconds is 1000000000000, but must be between 0 and 9223372036",
    ),
    "a size with a decimal unit": (
        bucket(maxValue="5G"),
        "buckets.b.maxValue is '5G', which Kubernetes and nats-server read as different sizes: write 5Gi",
    ),
    "a size that is a word": (
        bucket(maxValue="big"),
        "buckets.b.maxValue is 'big', but must be a size such as 512Ki, 1Mi or 5Gi",
    ),
    "a size beyond the server's": (
        bucket(maxValue="2Gi"),
        "buckets.b.maxValue is 2147483648, but must be between 0 and 2147483647",
    ),
    "a number out of bounds": (bucket(history=65), "buckets.b.history is 65, but must be between 1 and 64"),
    "a choice that is none": (bucket(storage="disk"), "buckets.b.storage is 'disk', but must be file or memory"),
    "a flag that is a word": (bucket(perKeyTTL="true"), "buckets.b.perKeyTTL is 'true', but must be true or false"),
    "a text that is a number": (
        bucket(description=5),
        "buckets.b.description is 5, but must be text: put it in quotes",
    ),
    "a list that is a text": (stream(subjects="a.>"), "streams.S.subjects is 'a.>', but must be a list of texts"),
    "a list with a number in it": (
        stream(subjects=["a", 5]),
        "streams.S.subjects is 5, but must be text: put it in quotes",
    ),
    "a time that is none": (
        consumer(startTime="2026-13-01T00:00:00Z"),
        "streams.S.consumers.w.startTime is '2026-13-01T00:00:00Z', but must be a time such as 2026-01-31T12:00:00Z",
    ),
    "a time before all times": (
        consumer(startTime="0001-01-01T00:00:00+14:00"),
        "streams.S.consumers.w.startTime is '0001-01-01T00:00:00+14:00', but must be a time such as 2026-01-31T12:00:00Z",
    ),
    "a map that is a list": (bucket(placement=[]), "buckets.b.placement is a list, but must be a map of cluster, tags"),
    "a list of maps that is a map": (stream(sources={}), "streams.S.sources is a map, but must be a list of maps"),
    "a wrong setting in a group": (
        stream(mirror={"name": "O", "startSequence": "x"}),
        "streams.S.mirror startSequence is 'x', but must be a whole number",
    ),
    "metadata that is no text": (
        bucket(metadata={"team": 5}),
        "buckets.b.metadata has 5 under team, but must have text there: put it in quotes",
    ),
    "metadata of natsmith's own": (
        bucket(metadata={"natsmith.owner": "me"}),
        "buckets.b.metadata has the key natsmith.owner, but keys under natsmith. are kept for natsmith and nats-server",
    ),
    "an object that is a text": ({"buckets": {"b": "x"}}, "buckets.b is 'x', but must be a map"),
    "a section that is a list": ({"buckets": ["b"]}, "buckets is a list, but must be a map"),
    "a document that is a list": ([], "the document is a list, but must be a map"),
    "an adopt that is a word": (bucket(adopt="x"), "buckets.b.adopt is 'x', but must be true or false"),
    "an unknown profile": (
        bucket(profile="sessions"),
        "buckets.b.profile is 'sessions', but must be serviceRegistry or sessionCache or election",
    ),
    "an owner that is a number": ({"owner": 5}, "owner is 5, but must be text such as namespace/release"),
    # Ambiguous words
    "an ambiguous flag": (
        bucket(perKeyTTL=Ambiguous("yes")),
        "buckets.b.perKeyTTL is the bare word yes, but must be true or false",
    ),
    "an ambiguous number": (
        bucket(ttlSeconds=Ambiguous("12:30")),
        "buckets.b.ttlSeconds is the bare word 12:30, but must be whole seconds, such as 30",
    ),
    "an ambiguous size": (
        bucket(maxBytes=Ambiguous("1_000")),
        "buckets.b.maxBytes is the bare word 1_000, but must be a size such as 512Ki, 1Mi or 5Gi",
    ),
    "an ambiguous text": (
        bucket(description=Ambiguous("no")),
        "buckets.b.description is the bare word no, which YAML readers take for different things: put it in quotes",
    ),
    "an ambiguous word in a list": (
        stream(subjects=[Ambiguous("on")]),
        "streams.S.subjects is the bare word on, which YAML readers take for different things: put it in quotes",
    ),
    "an ambiguous name": (
        {"buckets": {Ambiguous("on"): {}}},
        "buckets has the bare word on as a key, which YAML readers take for different things: put it in quotes",
    ),
    "an ambiguous account": (
        {"accounts": {"on": {}}, **bucket(account=Ambiguous("on"))},
        "buckets.b.account is the bare word on, but the accounts are on",
    ),
    "an ambiguous key of metadata": (
        bucket(metadata={Ambiguous("on"): "x"}),
        "buckets.b.metadata has the bare word on as a key, which YAML readers take for different things: put it in quotes",
    ),
    "an ambiguous raw field": (
        stream(config={"a": [Ambiguous("0o17")]}),
        "streams.S.config.a[0] is the bare word 0o17, which YAML readers take for different things: put it in quotes",
    ),
    "an ambiguous key deep in raw fields": (
        stream(config={"a": {Ambiguous("no"): 1}}),
        "streams.S.config.a has the bare word no as a key, which YAML readers take for different things: put it in quotes",
    ),
    # Names
    "a bucket's name with a dot": (
        {"buckets": {"a.b": {}}},
        "buckets.a.b is not a legal name: the name of a bucket is made of letters, digits, - and _, at most 255 characters in all",
    ),
    "a stream's name with a star": (
        {"streams": {"a*": {}}},
        "streams.a* is not a legal name: the name of a stream is made of anything but spaces, dots, *, > and slashes, "
        "at most 255 characters in all",
    ),
    "a name that ends with a line": ({"buckets": {"a\n": {}}}, "buckets.a\n is not a legal name"),
    "a name that is too long": ({"objectStores": {"a" * 252: {}}}, f"objectStores.{'a' * 252} is not a legal name"),
    "a consumer's name": (
        stream(consumers={"a b": {}}),
        "streams.S.consumers.a b is not a legal name: the name of a consumer",
    ),
    "a name of natsmith's own": (
        {"buckets": {"natsmith_state": {}}},
        "buckets.natsmith_state is not a legal name: names that begin with natsmith_ are natsmith's own",
    ),
    "a renamedFrom that is no name": (
        bucket(renamedFrom="a.b"),
        "buckets.b.renamedFrom is 'a.b', but the name of a bucket is made of letters, digits, - and _",
    ),
    "a dead letter's name": (
        consumer(deadLetter={"stream": "a.b"}),
        "streams.S.consumers.w.deadLetter.stream is not a legal name: the name of a stream is made of anything but spaces",
    ),
    "a dead letter's name that is a number": (
        consumer(deadLetter={"stream": 5}),
        "streams.S.consumers.w.deadLetter.stream is 5, but must be text: put it in quotes",
    ),
    # Accounts and twins
    "no account where there are several": (
        {**TWO_ACCOUNTS, **bucket()},
        "buckets.b says no account, but there are several: set buckets.b.account to one of A, B",
    ),
    "an account that is none": (
        {**TWO_ACCOUNTS, **bucket(account="C")},
        "buckets.b.account is 'C', but the accounts are A, B",
    ),
    "a bucket and a stream of one name": (
        {"buckets": {"b": {}}, "streams": {"KV_b": {}}},
        "streams.KV_b is the stream KV_b on the server, and so is buckets.b: rename one of them",
    ),
    "two dead letters of one name": (
        stream(consumers={"v": {"deadLetter": {"stream": "D"}}, "w": {"deadLetter": {"stream": "D"}}}),
        "streams.S.consumers.w.deadLetter is the stream D on the server, and so is streams.S.consumers.v.deadLetter: "
        "rename one of them",
    ),
    # Policy
    "a policy that is none": (
        {"provisioner": {"onImmutable": "recreate"}},
        "provisioner.onImmutable is 'recreate', but must be refuse or move or replace",
    ),
    "an object's policy that is none": (
        bucket(onImmutable=True),
        "buckets.b.onImmutable is true, but must be refuse or move or replace",
    ),
    "a loss that is none": (
        {"provisioner": {"loss": "none"}},
        "provisioner.loss is 'none', but must be refuse or expire or allow",
    ),
    "a consent that is a number": (
        {"provisioner": {"consent": {"sessions": 123456}}},
        "provisioner.consent.sessions is 123456, but must be a consent such as c-3f9c12ab, as plan prints it",
    ),
    "a consent that is true": (
        {"provisioner": {"consent": {"sessions": True}}},
        "provisioner.consent.sessions is true, but must be a consent such as c-3f9c12ab, as plan prints it",
    ),
    # Raw fields
    "a raw name": (
        stream(config={"name": "T"}),
        "streams.S.config.name cannot be passed on: it comes from its key in the values",
    ),
    "raw metadata": (
        bucket(config={"metadata": {}}),
        "buckets.b.config.metadata cannot be passed on: it comes from metadata:",
    ),
}


@pytest.mark.parametrize(("document", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_problem_that_says_where_what_and_how(document: Json, expected: str) -> None:
    found = problems(document)

    assert (1, expected) == (len(found), found[0][: len(expected)])


def test_all_mistakes_are_named_at_once() -> None:
    document = {
        "buckets": {"a": {"ttlSeconds": "5m", "history": 0}, "b.c": {}},
        "streams": {"S": {"consumers": {"w": {"ackWait": 5}}}},
        "provisioner": {"loss": "none", "consent": {"x": 5}},
        "stream": {},
    }
    expected = [
        "stream",
        "buckets.a.ttlSeconds",
        "buckets.a.history",
        "buckets.b.c",
        "streams.S.consumers.w.ackWait",
        "provisioner.loss",
        "provisioner.consent.x",
    ]
    assert expected == [each.split(" ", maxsplit=1)[0] for each in problems(document)]
