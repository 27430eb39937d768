"""What is wrong between objects, or between them and the server: told before anything is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from natsmith.model.desired import Desired, Resource
from natsmith.model.observed import Observed
from natsmith.model.resources import BUCKET, CONSUMER, STREAM
from natsmith.model.units import Json, Size
from natsmith.planning.subjects import SubjectIndex, meet, within

VERSION_OF_LEVEL = {1: "2.11", 2: "2.12", 3: "2.12", 4: "2.14", 5: "2.15"}


def check(desired: Desired) -> list[str]:
    """Return what is wrong in the values by themselves."""
    problems: list[str] = []
    for account in dict.fromkeys(each.account for each in desired.resources):
        resources = desired.of(account)
        streams = {each.stream: each for each in resources if each.kind is not CONSUMER}
        for each in resources:
            if each.kind is CONSUMER:
                problems += _consumer(each, streams[each.stream])
            elif each.kind is STREAM:
                problems += _stream(each)
            elif each.kind is BUCKET:
                problems += _bucket(each)
        problems += _overlaps(streams.values())
        problems += _work_queues(resources, streams)
        problems += _dead_letters(resources)
        problems += _too_many_consumers(resources, streams)
    return problems


def warnings(resources: Iterable[Resource]) -> Iterator[str]:
    """Yield what is allowed but may surprise."""
    for each in resources:
        if each.kind is BUCKET and each.get("perKeyTTL") and each.get("history") > 1:
            yield (
                f"{each.where}: perKeyTTL with history {each.get('history')}: a key whose newest value expires by its own "
                "time shows the value before it again; let such a bucket expire by ttlSeconds alone, or set history: 1"
            )


def check_against(desired: Desired, observed: Observed, *, account: str, owner: str) -> list[str]:
    """Return what the server or the account cannot do."""
    resources = desired.of(account)
    pruned = owner if desired.policy.prune else ""
    problems = [problem for each in resources for problem in _against_server(each, observed)]
    problems += [problem for each in resources for problem in _against_latches(each, observed)]
    problems += _against_limits(resources, observed)
    problems += _against_others(resources, observed, pruned)
    return problems


def _against_latches(resource: Resource, observed: Observed) -> Iterator[str]:
    """Yield what does not go together with what stays on for ever."""
    found = observed.objects.get(resource.id)
    if not found or resource.kind is not STREAM or resource.get("denyPurge") or resource.get("markerSeconds"):
        return
    if found.get("denyPurge") and resource.get("allowRollup"):
        yield (
            f"{_at(resource, 'allowRollup')} is true, but the stream's denyPurge is on, which cannot be turned off, and a "
            "rollup purges: leave allowRollup out, or give the stream another name"
        )


def _at(resource: Resource, name: str) -> str:
    if name in resource.overridden:
        return f"{resource.where}.config.{resource.kind.by_name[name].api}"
    return f"{resource.where}.{name}"


def _bucket(bucket: Resource) -> Iterator[str]:
    if bucket.get("markerSeconds") and bucket.get("history") > 1:
        yield (
            f"{_at(bucket, 'markerSeconds')} is {bucket.get('markerSeconds')} with history {bucket.get('history')}, "
            "but markers bring old values back unless history is 1: set history: 1, or leave markerSeconds out"
        )


def _stream(stream: Resource) -> Iterator[str]:
    get = stream.get
    origin = get("mirror") or stream.config.get("mirror")
    sources = get("sources") or stream.config.get("sources")
    if origin and get("subjects"):
        yield f"{_at(stream, 'subjects')} is {_shown(get('subjects'))}, but a mirror has no subjects: leave them out"
    if not get("subjects") and not origin and not sources and "subjects" not in stream.config:
        yield f"{stream.where} has no subjects: set {stream.where}.subjects to what it stores, or give it a mirror or sources"
    for subject in get("subjects"):
        if not _legal(subject):
            yield f"{_at(stream, 'subjects')} has {subject!r}, which is no subject: tokens parted by dots, * for one, > for the rest"
    age, window = get("maxAgeSeconds"), get("duplicateWindowSeconds")
    if age and window > age:
        yield (
            f"{_at(stream, 'duplicateWindowSeconds')} is {window}, but must not be above maxAgeSeconds, which is {age}: "
            "lower it, or leave it out"
        )
    if get("sealed") and get("maxAgeSeconds"):
        yield f"{_at(stream, 'maxAgeSeconds')} is {get('maxAgeSeconds')}, but a sealed stream keeps everything: leave one out"
    if get("mirrorDirect") and not origin:
        yield f"{_at(stream, 'mirrorDirect')} is for mirrors, but this stream is none: leave it out"
    if get("allowRollup") and get("denyPurge"):
        yield f"{_at(stream, 'allowRollup')} and denyPurge exclude each other, since a rollup purges: leave one out"
    if get("discardNewPerSubject") and (get("discard") != "new" or not get("maxMessagesPerSubject")):
        yield f"{_at(stream, 'discardNewPerSubject')} needs discard: new and maxMessagesPerSubject: set both, or leave it out"


def _legal(subject: str) -> bool:
    tokens = subject.split(".")
    plain = all(token and not any(c in token for c in " \t\r\n") for token in tokens)
    wild = all(token in {"*", ">"} or not set(token) & {"*", ">"} for token in tokens)
    return plain and wild and ">" not in tokens[:-1]


def _overlaps(streams: Iterable[Resource]) -> Iterator[str]:
    held: SubjectIndex[str] = SubjectIndex()
    for stream in streams:
        for subject in stream.effective("subjects"):
            if not isinstance(subject, str) or not _legal(subject):
                continue
            for other, theirs in held.meeting(subject):
                yield (
                    f"{_at(stream, 'subjects')} has {subject}, but {other} has {theirs}: "
                    "a subject belongs to one stream; narrow one of them"
                )
            held.add(subject, stream.title)


def _consumer(consumer: Resource, stream: Resource) -> Iterator[str]:
    get = consumer.get
    subjects = [] if stream.overridden & {"subjects", "mirror"} else stream.get("subjects")
    filters = get("filterSubjects")
    for subject in filters:
        if not _legal(subject):
            yield f"{_at(consumer, 'filterSubjects')} has {subject!r}, which is no subject"
        elif subjects and not stream.get("sources") and not any(within(subject, each) for each in subjects):
            yield (
                f"{_at(consumer, 'filterSubjects')} has {subject}, but stream {stream.name} stores only "
                f"{_shown(subjects)}: no message would ever match; widen the stream or correct the filter"
            )
    for index, subject in enumerate(filters):
        for other in filters[:index]:
            if _legal(subject) and _legal(other) and meet(subject, other):
                yield f"{_at(consumer, 'filterSubjects')} has {other} and {subject}, which meet: keep the wider one"
    yield from _consumer_settings(consumer)


def _consumer_settings(consumer: Resource) -> Iterator[str]:
    get = consumer.get
    if get("backoffSeconds") and get("maxDeliver") and get("maxDeliver") <= len(get("backoffSeconds")):
        yield (
            f"{_at(consumer, 'maxDeliver')} is {get('maxDeliver')}, but must be above the number of backoffSeconds, "
            f"which is {len(get('backoffSeconds'))}"
        )
    if get("backoffSeconds") and get("ackWaitSeconds") != get("backoffSeconds")[0]:
        yield (
            f"{_at(consumer, 'ackWaitSeconds')} is {get('ackWaitSeconds')}, but backoffSeconds begins with "
            f"{get('backoffSeconds')[0]} and takes its place: leave ackWaitSeconds out"
        )
    if get("deliverSubject") and get("maxWaiting"):
        yield f"{_at(consumer, 'maxWaiting')} is for pull consumers: leave it out, or leave deliverSubject out"
    if get("ackPolicy") == "none" and (get("ackWaitSeconds") or get("maxAckPending")):
        yield f"{_at(consumer, 'ackPolicy')} is none, so ackWaitSeconds and maxAckPending say nothing: leave them out"
    for name in ("deliverGroup", "flowControl", "idleHeartbeatSeconds", "rateLimitBitsPerSecond"):
        if get(name) and not get("deliverSubject"):
            yield f"{_at(consumer, name)} is for push consumers: set deliverSubject, or leave {name} out"
    for name, policy in (("startSequence", "by_start_sequence"), ("startTime", "by_start_time")):
        if bool(get(name)) != (get("deliverPolicy") == policy):
            yield f"{_at(consumer, name)} and deliverPolicy: {policy} belong together: set both or neither"
    if (get("priorityPolicy") != "none") != bool(get("priorityGroups")):
        yield f"{_at(consumer, 'priorityGroups')} and priorityPolicy belong together: set both or neither"
    if get("ackPolicy") == "none" and get("maxDeliver"):
        yield f"{_at(consumer, 'maxDeliver')} is {get('maxDeliver')}, but without acknowledgements nothing is delivered twice: set ackPolicy"


def _dead_letters(resources: Iterable[Resource]) -> Iterator[str]:
    """Yield consumers whose messages would never become dead letters, since nothing bounds their deliveries."""
    streams = {each.where for each in resources if each.kind is STREAM}
    for each in resources:
        if each.kind is CONSUMER and f"{each.where}.deadLetter" in streams and not each.get("maxDeliver"):
            yield f"{_at(each, 'maxDeliver')} is 0, so no message ever becomes a dead letter by it: set how often to try"


def _too_many_consumers(resources: Iterable[Resource], streams: dict[str, Resource]) -> Iterator[str]:
    counts = Counter(each.stream for each in resources if each.kind is CONSUMER)
    for name, count in counts.items():
        most = streams[name].get("maxConsumers")
        if 0 < most < count:
            yield f"{_at(streams[name], 'maxConsumers')} is {most}, but the values give it {count} consumers: raise it"


def _work_queues(resources: Iterable[Resource], streams: dict[str, Resource]) -> Iterator[str]:
    """Yield consumers that a work queue cannot have: each message there goes to exactly one of them."""
    seen: dict[str, list[Resource]] = {}
    for each in resources:
        if each.kind is not CONSUMER or streams[each.stream].get("retention") != "workqueue":
            continue
        if each.get("ackPolicy") != "explicit":
            yield f"{_at(each, 'ackPolicy')} is {each.get('ackPolicy')}, but a work queue needs explicit"
        if each.get("deliverPolicy") != "all":
            yield f"{_at(each, 'deliverPolicy')} is {each.get('deliverPolicy')}, but a work queue needs all"
        for other in seen.get(each.stream, []):
            ours, theirs = each.get("filterSubjects") or [">"], other.get("filterSubjects") or [">"]
            if any(meet(one, two) for one in ours for two in theirs):
                yield (
                    f"{_at(each, 'filterSubjects')} meets that of {other.title}, "
                    "but in a work queue a message goes to one consumer: make the filters apart"
                )
        seen.setdefault(each.stream, []).append(each)


def _against_server(resource: Resource, observed: Observed) -> Iterator[str]:
    for name, value in resource.settings.items():
        field = resource.kind.by_name[name]
        if field.level > observed.level and value != field.default:
            yield (
                f"{_at(resource, name)} needs nats-server {VERSION_OF_LEVEL.get(field.level, 'newer')}, but the server is "
                f"{observed.version}: upgrade it, or leave {name} out"
            )
    if resource.kind is STREAM and resource.get("sealed") and resource.id not in observed.objects:
        yield f"{_at(resource, 'sealed')} is true, but a stream cannot begin sealed: leave it out until the stream is there"
    if resource.get("replicas") > 1 and not observed.clustered:
        yield (
            f"{_at(resource, 'replicas')} is {resource.get('replicas')}, but the server is alone: "
            "set replicas: 1, or run a NATS cluster"
        )


def _against_limits(resources: Iterable[Resource], observed: Observed) -> Iterator[str]:
    limits = observed.limits
    new = [each for each in resources if each.id not in observed.objects]
    streams = sum(1 for each in new if each.kind is not CONSUMER)
    have = len(observed.streams) + observed.own
    streams += 0 if observed.own or not streams else 1  # the state bucket comes with the first of them
    if 0 <= limits.streams < have + streams and streams:
        yield (
            f"the values ask for {streams} new streams, buckets and object stores, natsmith's own included, on top of {have}, "
            f"but the account may have {limits.streams}: raise the account's limit or ask for fewer"
        )
    for storage, whole, single in (
        ("file", limits.storage, limits.storage_stream),
        ("memory", limits.memory, limits.memory_stream),
    ):
        stored = [each for each in resources if each.kind is not CONSUMER and each.get("storage") == storage]
        total = 0
        for each in stored:
            size = each.get("maxBytes")
            total += size * each.get("replicas")
            if 0 <= single < size:
                yield f"{_at(each, 'maxBytes')} is {_size(size)}, but the account allows {_size(single)} for one in {storage}: lower it"
            if limits.max_bytes_required and not size:
                yield f"{_at(each, 'maxBytes')} is not set, but the account requires it: set the most bytes it may hold"
        if 0 <= whole < total:
            yield (
                f"maxBytes of everything in {storage} storage is {_size(total)} in all, "
                f"but the account may hold {_size(whole)}: lower some, or raise the account's limit"
            )
    for each in resources:
        if each.kind is CONSUMER and 0 < limits.ack_pending < each.get("maxAckPending"):
            yield f"{_at(each, 'maxAckPending')} is {each.get('maxAckPending')}, but the account allows {limits.ack_pending}: lower it"


def _against_others(resources: tuple[Resource, ...], observed: Observed, pruned: str) -> Iterator[str]:
    """Yield subjects that a stream which nobody here names holds already; what *pruned* owns will be gone."""
    named = {each.stream for each in resources} | {each.renamed_stream for each in resources}
    held: SubjectIndex[str] = SubjectIndex()
    for found in observed.objects.values():
        ours = pruned and found.applied and found.applied.owner == pruned
        if found.kind is not CONSUMER and found.stream not in named and not ours:
            for subject in found.get("subjects"):
                held.add(subject, found.title)
    for each in resources:
        if each.kind is CONSUMER or (each.id in observed.objects and each.kind is not STREAM):
            continue
        for subject in each.get("subjects"):
            for other, theirs in held.meeting(subject):
                yield (
                    f"{_at(each, 'subjects')} has {subject}, but {other}, which the values do not name, holds {theirs}: "
                    "a subject belongs to one stream; name that one in the values too, or narrow one of them"
                )


def _shown(subjects: Json) -> str:
    return ", ".join(subjects)


def _size(value: int) -> str:
    return Size().show(value)
