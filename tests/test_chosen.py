"""Streams that a command line names, and that are not there."""

from __future__ import annotations

from natsmith.cli.chosen import slip


def test_what_is_there_is_to_be_named() -> None:
    expected = "--leave names s, but the server has S, T: name one of these"
    assert expected == slip("--leave", ["S", "s"], {"T", "S"}, "the server")


def test_where_nothing_is_there_is_nothing_to_name() -> None:
    assert "--leave names s, but the server has nothing: leave it out" == slip("--leave", ["s"], (), "the server")
