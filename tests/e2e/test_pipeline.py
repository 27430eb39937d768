"""Row E: a pipeline whose workers and scaler find everything there."""

from __future__ import annotations

import contextlib
import json
import re
from urllib.parse import urlencode

import yaml

from e2e.cluster import Manifest
from e2e.release import MakeRelease, Release
from waiting import eventually


def trigger(notes: str) -> Manifest:
    """Return KEDA's trigger as NOTES print it, ready to be copied."""
    found = re.search(r"^  triggers:\n(?:    .*\n)+", notes, re.MULTILINE)
    assert found, notes
    (only,) = yaml.safe_load(found[0])["triggers"]
    assert "nats-jetstream" == only["type"]
    assert {str} == {type(value) for value in only["metadata"].values()}, "KEDA's metadata are strings"
    metadata: Manifest = only["metadata"]
    return metadata


def asked(pipeline: Release, endpoint: str, **query: str) -> Manifest:
    """Ask the monitoring endpoint for /jsz inside the cluster, where the scaler is."""
    url = f"http://{endpoint}/jsz?{urlencode(query)}"
    script = f"import urllib.request; print(urllib.request.urlopen({url!r}, timeout=10).read().decode())"
    pipeline.namespace.wait(f"deployment/{pipeline.fullname}-toolbox", "condition=Available")
    ran = pipeline.namespace.kubectl("exec", f"deploy/{pipeline.fullname}-toolbox", "--", "python", "-c", script)
    answer: Manifest = json.loads(ran.out)
    return answer


def find(things: list[Manifest], name: str) -> Manifest:
    """Return the only thing of that name."""
    (found,) = [each for each in things if each["name"] == name]
    return found


async def test_a_refused_message_is_a_dead_letter(release: MakeRelease) -> None:
    """A worker that starts when helm has returned finds its durable and the dead letters' stream; three refusals are one letter."""
    pipeline = release("pipeline")
    ran = pipeline.installed("pipeline.yaml")
    assert "create consumer MESSAGES/workers" in ran.text
    async with pipeline.client() as client:
        stream = client.jetstream()
        durable = await stream.consumer_info("MESSAGES", "workers")
        assert (0, 3) == (durable.num_waiting, durable.config.max_deliver)
        assert 0 == (await stream.stream_info("MESSAGES_DEAD")).state.messages
        worker = await stream.pull_subscribe_bind("workers", "MESSAGES")
        acknowledged = await stream.publish("messages.ingest.orders", b"bad")
        for _ in range(3):
            (message,) = await worker.fetch(1, timeout=5)
            await message.nak()

        async def noted() -> bool:
            # The advisory follows the delivery that does not happen any more, so somebody has to ask for it.
            with contextlib.suppress(TimeoutError):
                await worker.fetch(1, timeout=0.2)
            return (await stream.stream_info("MESSAGES_DEAD")).state.messages == 1

        await eventually(noted, within=10)
        letter = json.loads((await stream.get_msg("MESSAGES_DEAD", seq=1)).data or b"")

    assert (acknowledged.seq, 3) == (letter["stream_seq"], letter["deliveries"])


async def test_kedas_trigger_names_what_the_server_shows(release: MakeRelease) -> None:
    """Endpoint, account, stream and consumer, where a scaler would look for them."""
    pipeline = release("pipeline")
    keda = trigger(pipeline.installed("pipeline.yaml", sets=["toolbox.enabled=true"]).out)

    everything = asked(
        pipeline,
        keda["natsServerMonitoringEndpoint"],
        accounts="true",
        streams="true",
        consumers="true",
        config="true",
    )

    account = find(everything["account_details"], keda["account"])
    stream = find(account["stream_detail"], keda["stream"])
    consumer = find(stream["consumer_detail"], keda["consumer"])
    assert (0, 0) == (consumer["num_pending"], consumer["num_ack_pending"])
    assert ("100", "10") == (keda["lagThreshold"], keda["activationLagThreshold"])


async def test_kedas_trigger_shows_the_lag(release: MakeRelease) -> None:
    """With the scaler's own question, what waits is what was published."""
    pipeline = release("pipeline")
    keda = trigger(pipeline.installed("pipeline.yaml", sets=["toolbox.enabled=true"]).out)
    async with pipeline.client() as client:
        for number in range(7):
            await client.jetstream().publish("messages.ingest.orders", str(number).encode())

    # As KEDA's nats_jetstream_scaler.go asks.
    answer = asked(pipeline, keda["natsServerMonitoringEndpoint"], acc=keda["account"], consumers="true", config="true")

    stream = find(find(answer["account_details"], keda["account"])["stream_detail"], keda["stream"])
    assert 7 == find(stream["consumer_detail"], keda["consumer"])["num_pending"]
