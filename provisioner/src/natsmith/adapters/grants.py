"""What to grant a user who was refused something."""

from __future__ import annotations

from natsmith.model.moving import ANSWERS, COPYING, PARKING

OURS = {PARKING: f"{PARKING}*", COPYING: f"{COPYING}.CONSUMER.CREATE.*", ANSWERS: f"{ANSWERS}*"}
"""What moves need, by how it begins."""

SNAPSHOTS = {"$JS.SNAPSHOT.ACK.": "$JS.SNAPSHOT.ACK.>", "$JS.SNAPSHOT.RESTORE.": "$JS.SNAPSHOT.RESTORE.*.*"}
"""What backups and streams that are brought need; the server names each run anew."""


def grant(subject: str) -> str:
    """Return *subject* as a permission: an API call's verb for every object, a key for every key of its bucket."""
    words = subject.split(".")
    for prefix, granted in (OURS | SNAPSHOTS).items():
        if subject.startswith(prefix):
            return granted
    if words[:1] == ["$KV"]:
        return ".".join([*words[:2], ">"])
    if words[:4] == ["$JS", "API", "DIRECT", "GET"]:
        return ".".join([*words[:5], ">"])
    if words[:2] != ["$JS", "API"]:
        return subject
    verb = 5 if words[2:4] == ["STREAM", "MSG"] else 4
    return ".".join([*words[:verb], *("*" for _ in words[verb:])])
