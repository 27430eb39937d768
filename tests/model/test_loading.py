"""What a server says about the configuration that it has loaded, and what is to be done about it."""

from __future__ import annotations

import pytest

from natsmith.model.loading import Seen, judged, parted, tag_of, without_secrets

LASTING, OTHER = "natsmith:aaaaaaaaaaaa", "natsmith:bbbbbbbbbbbb"
NEW, OLD = f"{LASTING}-111111111111", f"{LASTING}-000000000000"


def server(name: str, tag: str) -> Seen:
    return Seen(id=f"id-{name}", name=name, tag=tag)


def test_only_what_a_reload_can_change_is_asked_for() -> None:
    """Who lacks more than accounts is restarted by Kubernetes; so is who never had a tag."""
    tags = {"a": NEW, "b": OLD, "c": f"{OTHER}-111111111111", "d": ""}
    found = judged([server(*each) for each in reversed(tags.items())], NEW)

    assert (["a"], ["b"], ["c", "d"]) == tuple(
        [each.name for each in some] for some in (found.current, found.behind, found.leaving)
    )


def connected(name: str, cluster: str = "c", **routes: int) -> Seen:
    return Seen(id=name, name=name, cluster=cluster, routes=routes)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([], []),
        ([connected("a")], []),
        ([connected("a"), connected("b")], ["a and b"]),
        ([connected("a", b=4), connected("b", a=4)], []),
        ([connected("a", b=4), connected("b")], ["a and b"]),
        ([connected("c", a=4), connected("a", b=4, c=4), connected("b", a=4)], ["b and c"]),
        ([connected("a", b=4, c=4), connected("b", a=4, c=3), connected("c", a=4, b=3)], ["b and c"]),
        ([connected("a", "one", b=1), connected("b", "one", a=1), connected("c", "two")], []),
        (
            [
                connected("a", "one", b=4),
                connected("b", "one", a=4),
                connected("c", "two", d=2),
                connected("d", "two", c=2),
            ],
            [],
        ),
        # It is not there to be asked.
        ([connected("a", b=4, gone=9), connected("b", a=4)], []),
    ],
    ids=[
        "nobody",
        "alone",
        "apart",
        "together",
        "one side",
        "third",
        "one of four",
        "other",
        "fewer elsewhere",
        "gone",
    ],
)
def test_servers_are_parted_that_lack_a_connection_which_others_have(seen: list[Seen], expected: list[str]) -> None:
    assert expected == parted(seen, seen)


def test_a_server_that_does_not_answer_any_more_is_parted_from_those_that_do() -> None:
    found = [connected("a", b=4, c=4), connected("b", a=4, c=4), connected("c", a=4, b=4)]
    assert ["a and c", "b and c"] == parted(found, [connected("a", b=4), connected("b", a=4)])
    assert ["a and c", "b and c"] == parted(found, [connected("c")])


@pytest.mark.parametrize(
    ("tags", "expected"),
    [([], ""), (["az:1"], ""), (["az:1", NEW], NEW), (["natsmith:mine", NEW], NEW), ([f"{NEW}x"], "")],
    ids=str,
)
def test_our_tag_is_found_among_others(tags: list[str], expected: str) -> None:
    assert expected == tag_of(tags)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('/etc/nats/nats.conf:1:5: unknown field "x"\n', '/etc/nats/nats.conf:1:5: unknown field "x"'),
        (
            "error parsing include file 'A.u.conf', Parse error on line 1: 'hunter2'",
            "error parsing include file 'A.u.conf': its log says why",
        ),
        (
            "error parsing include file 'A.u.conf', open /etc/nats/A.u.conf: no such file or directory",
            "error parsing include file 'A.u.conf', open /etc/nats/A.u.conf: no such file or directory",
        ),
    ],
)
def test_a_refusal_is_told_without_what_a_password_file_holds(said: str, expected: str) -> None:
    assert expected == without_secrets(said)
