"""What happens to three servers while clients use them: each operation ends when Kubernetes says that it is over."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from soak.place import Place, routes

CALM, CUT = 10.0, 20.0
"""Seconds in which nothing happens, and that two servers do not reach each other, or one has a full disk."""


@dataclass(frozen=True, kw_only=True)
class Images:
    """The server's image before and after an upgrade."""

    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One row of the table."""

    what: str
    run: Callable[[Place, Images], None]
    planned: bool
    """Whether clients must not notice it: a person wants it, and nothing has failed."""

    small_disk: bool = False
    """Whether it needs servers of its own, whose disk can be filled."""

    alike: bool = False
    """Whether it restarts nothing, so that an untuned StatefulSet would tell nothing else."""

    sabotage: bool = False
    """Whether it breaks a truth on purpose: the soak has to see that, and it happens only where it is asked for."""


def _calm(place: Place, images: Images) -> None:
    time.sleep(CALM)


def _version(place: Place, images: Images) -> None:
    place.upgrade(image=images.after)


def _users(place: Place, images: Images) -> None:
    place.upgrade("accounts.app.users.another.permissions.publish.allow={another}", image=images.after)


def _renewal(place: Place, images: Images) -> None:
    place.sets.extend(["credentials.generation=2", "credentials.overlap=true"])
    place.upgrade(image=images.after)


def _password_of_routes(place: Place, images: Images) -> None:
    password = secrets.token_hex(16)
    place.release.namespace.apply(routes(password, place.release.fullname))
    place.loaded("/etc/nats/routes.conf", password)


def _configuration(place: Place, images: Images) -> None:
    place.upgrade("nats.config.merge.jetstream.sync_interval=1m", image=images.after)


def _restart(place: Place, images: Images) -> None:
    place.release.namespace.kubectl("rollout", "restart", f"statefulset/{place.release.fullname}")
    place.rolled_out()


def _rollback(place: Place, images: Images) -> None:
    back = place.release.run("rollback", place.release.name, "1")
    assert back.code == 0, back.text
    place.rolled_out()


def _empty(place: Place, images: Images) -> None:
    place.clients.ask(f"fill {place.fill}")
    # What filling does to others is another question.
    place.clients.ask("begin")
    last = f"{place.release.fullname}-2"
    # Kubernetes keeps the volume until its pod is gone, and makes another with the next pod.
    place.release.namespace.kubectl("delete", "pvc", f"data-{last}", "--wait=false")
    _restart(place, images)


def _delete(place: Place, images: Images) -> None:
    leader = place.leader()
    before = place.server(leader)["metadata"]["uid"]
    place.release.namespace.kubectl("delete", "pod", leader)
    place.release.namespace.wait(f"pod/{leader}", "create")
    place.release.namespace.wait(f"pod/{leader}", "condition=Ready", seconds=300)
    assert before != place.server(leader)["metadata"]["uid"]


def _kill(place: Place, images: Images) -> None:
    leader = place.leader()
    path = "{.status.containerStatuses[?(@.name=='nats')].restartCount}"
    counted = int(place.release.namespace.kubectl("get", "pod", leader, "-o", f"jsonpath={path}").out)
    place.by_hand(leader, "kill")
    place.release.namespace.wait(f"pod/{leader}", f"jsonpath={path}={counted + 1}")
    place.release.namespace.wait(f"pod/{leader}", "condition=Ready", seconds=300)


def _cut(place: Place, images: Images) -> None:
    leader = place.leader()
    names = [f"{place.release.fullname}-{number}" for number in range(3)]
    other = next(each for each in names if each != leader)
    addresses = {pod: place.server(pod)["status"]["podIP"] for pod in (leader, other)}
    place.by_hand(leader, "cut", addresses[other])
    place.by_hand(other, "cut", addresses[leader])
    time.sleep(CUT)
    place.by_hand(leader, "mend", addresses[other])
    place.by_hand(other, "mend", addresses[leader])


def _disk(place: Place, images: Images) -> None:
    leader = place.leader()
    place.by_hand(leader, "fill")
    time.sleep(CUT)
    place.by_hand(leader, "free")


def _erase(place: Place, images: Images) -> None:
    time.sleep(3)
    place.clients.ask("erase")


OPERATIONS = {
    "calm": Operation(what="nothing, for 10 s", run=_calm, planned=True),
    "version": Operation(what="another version of the server", run=_version, planned=True),
    "users": Operation(what="another user", run=_users, planned=True, alike=True),
    "renewal": Operation(what="all passwords renewed: the overlap begins", run=_renewal, planned=True, alike=True),
    "routes": Operation(what="another password for the routes", run=_password_of_routes, planned=False, alike=True),
    "config": Operation(what="another configuration", run=_configuration, planned=True),
    "restart": Operation(what="rolling restart", run=_restart, planned=True),
    "empty": Operation(what="the same, the first with an empty volume", run=_empty, planned=False),
    "delete": Operation(what="the leader's pod deleted", run=_delete, planned=True),
    "kill": Operation(what="the leader killed (SIGKILL)", run=_kill, planned=False),
    "cut": Operation(what="leader and another cut off, 20 s", run=_cut, planned=False),
    "disk": Operation(what="the leader's disk full, 20 s", run=_disk, planned=False, small_disk=True),
    "rollback": Operation(what="helm rollback to the first revision", run=_rollback, planned=True),
    "erase": Operation(what="an acknowledged write erased by hand", run=_erase, planned=True, sabotage=True),
}
