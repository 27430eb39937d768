"""Bare scalars of YAML, of which readers take some for different things, and whether two readers agree."""

from __future__ import annotations

import random

from natsmith.model.units import Json

NASTY = """
yes Yes YES yEs no No NO n N nO y Y on On ON off Off OFF oFF true True TRUE tRue false False FALSE null Null NULL nULL ~
12:30 1:2:3 1:60 12:30:45.5 -1:30 00:30 08:30 1:30. 127.0.0.1:4222 0o17 0o18 -0o17 +0o17 0O17 017 018 08 0 00 -0 +0 -017 0777
1_000 _1 1__0 1_ -_1 0_17 .5_0 1_000.5 1e1_0 _ -_ 0x1F 0X1F 0xg -0x1F +0x1F 0x_1 0x 0xFFFFFFFFFFFFFFFFFF 0b11 0B11 -0b11 0b-1 0b2
1e3 1E3 1e+3 1.0e3 1.5e3 1e-3 .5 5. 5.e3 -.5 +.5 1.0 1.10 01.5 01e3 00.5 inf nan Infinity NaN +.nan 1e-400 1e400 -1e999
2026-01-31 2026-01-31T12:00:00Z 2001-12-14t21:59:43.10-05:00 2026-1-1 2026-13-45 99999-01-01 20260131 = << +12 -12 . .. + -- 1e 1e+ e3 .e3
9007199254740991 9007199254740992 9007199254740993 9223372036854775807 9223372036854775808 18446744073709551615
-9223372036854775809 99999999999999999999999 1e20 1e21 1000000000000000000000 123456 12345678901 0.1 123456789.5 0.0 -0.0
0777 1,000 1.2.3 4e5a abc 0xAp1 0x1p4 1.5:30 1i 100% 1Gi 10Mi 5m 3h a:b http://x $KV.b.> messages.> é 猫 a#b x=y
"""
REFUSED_BY_HELM = [".inf", "-.Inf", "+.INF", ".nan", ".NaN"]


def generated(count: int) -> list[str]:
    """Return bare scalars made of what numbers, times and booleans are made of."""
    chance = random.Random(7)  # noqa: S311 - a fixed seed makes the same scalars in every run
    found: set[str] = set()
    while len(found) < count:
        word = "".join(chance.choices("0123456789" * 2 + "01" * 3 + "+-._:eExXobOBTZnyf", k=chance.randint(1, 7)))
        if (
            word[-1] != ":"
            and word != "-"
            and not word.startswith("---")
            and word.lower().lstrip("+-") not in (".inf", ".nan")
        ):
            found.add(word)
    return sorted(found)


SCALARS = [*NASTY.split(), *generated(1500)]


def same(ours: Json, helms: Json) -> bool:
    """Tell whether both are the same JSON; Helm has one kind of number."""
    if isinstance(ours, bool) or isinstance(helms, bool):
        return ours is helms
    if isinstance(ours, int | float) and isinstance(helms, int | float):
        return float(ours) == float(helms)
    return type(ours) is type(helms) and bool(ours == helms)
