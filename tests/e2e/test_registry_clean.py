"""Row C: a CronJob removes what is stale from a registry whose bucket expires nothing, and nothing that lives."""

from __future__ import annotations

from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from e2e.cluster import Manifest
from e2e.release import MakeRelease, Release
from natsmith.registry import Registry
from waiting import eventually

BUCKET = "old_registry"
STALE_SECONDS = 35
"""So old an entry gets at most that says nothing of its time to live: 30 seconds, and 5 of grace."""


def sets(**clean: str) -> list[str]:
    """Return values of a registry from before entries had a time to live, which only a test cleans."""
    return [
        f"buckets.{BUCKET}.profile=serviceRegistry",
        f"buckets.{BUCKET}.ttlSeconds=0",
        "registry.clean.enabled=true",
        f"registry.clean.bucket={BUCKET}",
        # Once a year: a test does not wait for a clock.
        "registry.clean.schedule=0 0 1 1 *",
        "nats.networkPolicy.clients[0].podSelector.matchLabels.nats=client",
        *(f"registry.clean.{key}={value}" for key, value in clean.items()),
    ]


def cleaned(registry: Release, job: str) -> str:
    """Make a Job of the CronJob, as NOTES tell it, and return what it printed."""
    registry.namespace.kubectl("create", "job", f"--from=cronjob/{registry.fullname}-registry-clean", job)
    registry.namespace.wait(f"job/{job}", "condition=complete")
    return registry.namespace.kubectl("logs", f"job/{job}").out


async def there(bucket: KeyValue, key: str) -> bool:
    """Whether the server has an entry, whatever readers think of it."""
    try:
        await bucket.get(key)
    except KeyNotFoundError:
        return False
    return True


async def test_a_stale_entry_goes_and_a_live_one_stays(release: MakeRelease) -> None:
    """A dry run tells of it, a run removes it, and who is heard meanwhile stays registered as the same process."""
    registry = release("registry")
    notes = registry.installed("registry.yaml", sets=sets(dryRun="true")).out
    assert f"--from=cronjob/{registry.fullname}-registry-clean" in notes

    async with (
        registry.client() as client,
        Registry(client, bucket=BUCKET) as reader,
        reader.instance("orders", id="live") as live,
    ):
        bucket = await client.jetstream().key_value(BUCKET)
        # As a script of long ago wrote it, with no time to live anywhere.
        await bucket.put("orders.dead", b'{"status": "UP"}')
        assert {"dead", "live"} == {each.id for each in await reader.instances("orders")}

        async def stale() -> bool:
            return ["live"] == [each.id for each in await reader.instances("orders")]

        await eventually(stale, within=STALE_SECONDS + 10)
        assert await there(bucket, "orders.dead"), "readers know better, but the server would keep it for ever"

        told = cleaned(registry, "look")
        assert "orders dead: stale since" in told
        assert "orders live" not in told
        assert await there(bucket, "orders.dead")

        registry.installed("registry.yaml", sets=sets())
        told = cleaned(registry, "clean")
        assert "orders dead: stale since" in told
        assert "orders live" not in told
        assert [False, True] == [await there(bucket, f"orders.{each}") for each in ("dead", "live")]
        assert not live.replaced
        assert await stale()
        assert "orders" not in cleaned(registry, "again")


def container(registry: Release) -> Manifest:
    """Return how the container of the only pod of a Job ended that a test made."""
    [pod] = registry.pods("registry-clean")
    found: Manifest = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return found


async def test_a_run_that_cannot_clean_says_why(release: MakeRelease) -> None:
    """It fails once, is not repeated, and its reason is on the pod; the release stays as it is."""
    registry = release("registry")
    registry.installed(sets=[*sets(), "provisioner.mode=none"])
    registry.namespace.kubectl("rollout", "status", f"statefulset/{registry.fullname}", "--timeout=60s")

    registry.namespace.kubectl("create", "job", f"--from=cronjob/{registry.fullname}-registry-clean", "early")
    registry.namespace.wait("job/early", "condition=failed")

    ended = container(registry)
    assert 3 == ended["exitCode"]
    assert f"no bucket {BUCKET}" in ended["message"]
