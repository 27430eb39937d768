"""Connections that natsmith refuses: what cannot be sent, and what it does not do."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.contexts import connection, refused

# What cannot be sent


def test_text_that_is_not_utf8_is_refused_without_being_shown(tmp_path: Path) -> None:
    assert "the environment: password holds bytes that are not UTF-8: write it as UTF-8" == refused(
        tmp_path, {"NATS_USER": "u", "NATS_PASSWORD": "hunter2\udcff"}
    )


@pytest.mark.parametrize("key", ["creds", "ca", "inbox_prefix", "user"])
def test_a_null_character_is_refused(tmp_path: Path, key: str) -> None:
    assert "holds a null character: remove it" in refused(tmp_path, selected={key: "/a\0b"})


@pytest.mark.parametrize("prefix", ["a b", "a..b", ".a", "a.*", "a.>", "a\tb", "."])
def test_an_inbox_prefix_must_be_the_beginning_of_a_subject(tmp_path: Path, prefix: str) -> None:
    assert "the flags: inbox prefix is not the beginning of a subject" in refused(tmp_path, inbox_prefix=prefix)


@pytest.mark.parametrize("prefix", ["_INBOX", "_INBOX_me.", "a.b"])
def test_an_inbox_prefix_may_end_with_a_dot(tmp_path: Path, prefix: str) -> None:
    assert prefix == connection(tmp_path, inbox_prefix=prefix).inbox_prefix


# What natsmith does not do


@pytest.mark.parametrize("name", ["NATS_JWT", "NATS_SEED", "NATS_SOCKS_PROXY"])
def test_a_variable_that_would_lead_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    problem = refused(tmp_path, {name: "hunter2"})

    assert problem.startswith(f"{name} is set, but natsmith does not use it: unset it, and ")
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    "key",
    [
        "user_jwt",
        "user_seed",
        "nsc",
        "socks_proxy",
        "tls_first",
        "jetstream_domain",
        "jetstream_api_prefix",
        "windows_cert_store",
    ],
)
def test_a_key_of_a_context_that_would_lead_elsewhere_is_refused(tmp_path: Path, key: str) -> None:
    problem = refused(tmp_path, selected={key: "hunter2"})

    assert f"main.json: natsmith does not use {key}: take it out, and " in problem
    assert "hunter2" not in problem


def test_another_way_in_of_a_context_is_left_alone_where_the_way_is_settled(tmp_path: Path) -> None:
    assert "x.creds" == connection(tmp_path, selected={"user_jwt": "x"}, creds="x.creds").creds


def test_references_to_secrets_are_refused(tmp_path: Path) -> None:
    assert "password is a reference, which natsmith does not follow: set NATS_PASSWORD instead" in refused(
        tmp_path, selected={"user": "u", "password": "env://SECRET"}
    )
    assert "op: references to credentials are not followed: name a file" == refused(tmp_path, creds="op://vault/x")


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b"])
def test_a_context_must_have_a_name(tmp_path: Path, name: str) -> None:
    assert "which is not the name of a context: see `nats context ls`" in refused(tmp_path, {"NATS_CONTEXT": name})


def test_a_context_must_exist(tmp_path: Path) -> None:
    assert "--context or NATS_CONTEXT says 'no', but " in refused(tmp_path, {"NATS_CONTEXT": "no"})


@pytest.mark.parametrize(
    "text", ['{"password": "hunter2"', '["hunter2"]', '{"password": ["hunter2"]}', "\xff", "[" * 100_000]
)
def test_a_broken_context_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(text, encoding="latin-1")

    problem = refused(tmp_path, {"NATS_CONTEXT": str(file)})

    assert problem.startswith(str(file))
    assert "hunter2" not in problem
