"""An entry's key and its JSON: what is written is read again, and nothing that is written makes a reader fall over."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from natsmith.errors import WrongValues
from natsmith.registry.entry import (
    LARGEST,
    Instance,
    Status,
    Unread,
    bucket_name,
    group_key,
    key_of,
    read,
    status_of,
    written,
)

# A busy machine is slow in making examples, and that is no mistake of the code.
steady = settings(
    deadline=None, derandomize=True, database=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow]
)
NAMES = st.from_regex(r"[-_=A-Za-z0-9]{1,20}", fullmatch=True)
IDS = st.from_regex(r"[-_=A-Za-z0-9]{1,9}(\.[-_=A-Za-z0-9]{1,9}){0,2}", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("v", "status", "ttl", "run", "metadata", "service", "instance_id", "ttlSeconds", "id", "name")
ALMOST = st.dictionaries(st.sampled_from(FIELDS), JSON | st.sampled_from([*Status, 0, 1, 2, "UP"]))


def understood(key: str, payload: bytes) -> Instance | None:
    with suppress(Unread):
        return read(key, payload, revision=7, heartbeat=1.5)
    return None


@steady
@given(
    st.builds(
        Instance,
        service=NAMES,
        id=IDS,
        status=st.sampled_from(Status),
        metadata=st.dictionaries(st.text(), JSON, max_size=4),
        ttl=st.integers(0, 2**31 - 1),
        run=NAMES,
    )
)
def test_what_is_written_is_read(instance: Instance) -> None:
    key = key_of(instance.service, instance.id)

    found = read(key, written(instance), revision=7, heartbeat=1.5)

    said = (instance.service, instance.id, instance.status, instance.metadata, instance.ttl, instance.run)
    assert said == (found.service, found.id, found.status, found.metadata, found.ttl, found.run)
    assert (key, 7, 1.5) == (found.key, found.revision, found.heartbeat)


@steady
@given(NAMES | IDS, st.binary())
def test_no_bytes_make_a_reader_fall_over(key: str, payload: bytes) -> None:
    understood(key, payload)


@steady
@given(IDS, ALMOST | JSON)
def test_no_json_makes_a_reader_fall_over(key: str, said: Any) -> None:
    found = understood(key, json.dumps(said).encode())

    if found:
        assert found.service
        assert isinstance(found.metadata, dict)
        assert 0 <= found.ttl < 2**31


@pytest.mark.parametrize("field", ["status", "ttl", "v", "metadata", "other"])
def test_no_depth_makes_a_reader_fall_over(field: str) -> None:
    """Also where JSON can just be read, and not be written any more."""
    for depth in range(1, 1500):
        understood("payments.a", b'{"%s":%s%s}' % (field.encode(), b"[" * depth, b"]" * depth))


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "it is not JSON"),
        (b"[" * 60_000, "it is not JSON"),
        (b'{"v":' + b"9" * 5000 + b"}", "it is not JSON"),
        (b"x" * (LARGEST + 1), "more than the 65536 of an entry"),
        (b"[1]", "a list and not an object"),
        (b"null", "null and not an object"),
        (b'{"v":true}', "its version v is true"),
        (b'{"v":-1}', "its version v is -1"),
        (b'{"status":"fine"}', 'its status is "fine", but must be one of starting, healthy'),
        (b'{"metadata":[1]}', "its metadata is a list"),
        (b'{"ttl":-1}', "its ttl is -1"),
        (b'{"ttl":NaN}', "its ttl is NaN"),
        (b'{"ttl":1e999}', "its ttl is Infinity"),
        (b'{"ttl":"30"}', 'its ttl is "30", but must be whole seconds'),
    ],
)
def test_what_is_not_understood_is_explained(payload: bytes, why: str) -> None:
    with pytest.raises(Unread) as found:
        read("payments.a", payload, revision=1, heartbeat=0)

    assert why in str(found.value)


def test_a_newer_version_is_read_as_far_as_it_is_known() -> None:
    found = read("payments.a", b'{"v":9,"status":"healthy","load":3,"service":"x"}', revision=1, heartbeat=0)

    assert ("payments", "a", 9, {}) == (found.service, found.id, found.format, found.metadata)


@pytest.mark.parametrize("metadata", [{"a": object()}, {"a": float("nan")}, {(1, 2): 3}, {"a": b"x"}])
def test_metadata_that_json_cannot_say_is_refused(metadata: dict[Any, Any]) -> None:
    with pytest.raises(WrongValues, match="is not what JSON can say"):
        written(Instance(service="payments", id="a", metadata=metadata))


def test_metadata_that_is_too_much_is_refused() -> None:
    with pytest.raises(WrongValues, match="an entry has room for 65536"):
        written(Instance(service="payments", id="a", metadata={"a": "x" * LARGEST}))


@pytest.mark.parametrize("name", ["", " ", "a b", "a..b", ".a", "a.", "a*", ">", "ä", "x" * 129])
def test_a_name_that_cannot_be_in_a_key_is_refused(name: str) -> None:
    with pytest.raises(WrongValues, match="the instance id"):
        key_of("payments", name)
    with pytest.raises(WrongValues, match="the group"):
        group_key(name)


def test_a_service_has_no_dots_since_they_end_it_in_the_key() -> None:
    with pytest.raises(WrongValues, match=r"the service 'a\.b' cannot be in a key"):
        key_of("a.b", "c")


@pytest.mark.parametrize("given", ["HEALTHY", "nope", 5, None, ["healthy"]])
def test_a_status_that_is_none_is_refused_with_those_there_are(given: Any) -> None:
    with pytest.raises(WrongValues, match="must be one of starting, healthy, unhealthy, draining, shutdown"):
        status_of(given)


@pytest.mark.parametrize("given", [None, 5, b"a", ["a"]])
def test_a_name_that_is_no_text_is_refused(given: Any) -> None:
    with pytest.raises(WrongValues, match="cannot be in a key"):
        key_of(given, "a")


@pytest.mark.parametrize("given", [[1], "x", {1, 2}, object()])
def test_metadata_is_a_map(given: Any) -> None:
    with pytest.raises(WrongValues, match="must be a map"):
        written(Instance(service="s", id="a", metadata=given))


def test_metadata_that_is_too_deep_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"in": deep}

    with pytest.raises(WrongValues, match="not what JSON can say"):
        written(Instance(service="s", id="a", metadata=deep))


@pytest.mark.parametrize("given", ["a.b", "a b", "", None])
def test_a_bucket_that_can_be_none_is_refused(given: Any) -> None:
    with pytest.raises(WrongValues, match="use letters, digits"):
        bucket_name(given)
