"""What is printed: a line for each run that failed, and at the end a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

from chaos.report import Report
from chaos.scenario import CONTROLLED, FAULT_WORDS, OBJECTS


def failure(report: Report, flags: str) -> str:
    """Return a line for a run that broke a truth, and how to play it again."""
    scenario = report.scenario
    flags = (" --cluster" if report.cluster else "") + flags
    first = report.violations[0]
    truths = Counter({name[7:]: count for name, count in report.counts.items() if name.startswith("broken ")})
    others = ", ".join(f"{count} {name}" for name, count in sorted(truths.items()))
    killed = f", killed at {'; '.join(report.killed)}" if report.killed else ""
    lines = [
        f"FAILED seed {scenario.seed}: {scenario.what}, {FAULT_WORDS[scenario.fault]}{killed}, {scenario.version}: "
        f"{first.truth}: {first.sentence} (in all {others}). "
        f"Again: .venv/bin/python tests/chaos/run.py --only {scenario.seed}{flags}"
    ]
    lines += [f"       {each.truth}: {each.sentence}" for each in report.violations[1:]]
    return "\n".join(lines)


def summary(reports: Sequence[Report], seconds: float) -> str:
    """Return what all runs together showed."""
    counts: Counter[str] = Counter()
    for report in reports:
        counts.update(report.counts)
    failed = sum(bool(report.violations) for report in reports)
    return "\n".join(
        ["", _matrix(reports), "", *_clients(reports, counts), *_kills(reports), _end(reports, failed, seconds)]
    )


def _matrix(reports: Sequence[Report]) -> str:
    """Return runs by object and fault; of how many that failed, where some did."""
    rows = [(what, cluster) for what in [*OBJECTS, *CONTROLLED] for cluster in (False, True)]
    cells = [["", *FAULT_WORDS.values()]]
    for what, cluster in rows:
        row = [f"{what}, three servers" if cluster else what]
        for fault in FAULT_WORDS:
            some = [
                each
                for each in reports
                if (each.scenario.what, each.cluster, each.scenario.fault) == (what, cluster, fault)
            ]
            bad = sum(bool(each.violations) for each in some)
            row.append(f"{len(some)}, {bad} failed" if bad else str(len(some) or "-"))
        if any(cell != "-" for cell in row[1:]):
            cells.append(row)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)
    return "\n".join(lines)


def _clients(reports: Sequence[Report], counts: Counter[str]) -> list[str]:
    def pauses(cluster: bool, faults: Sequence[str]) -> str:
        some = [each for each in reports if each.pause and each.cluster == cluster and each.scenario.fault in faults]
        if not some:
            return "not measured"
        longest = max(some, key=lambda each: each.pause)
        middle = median(each.pause for each in some) * 1e3
        return f"median {middle:.0f} ms, longest {longest.pause * 1e3:.0f} ms (seed {longest.scenario.seed}) in {len(some)} runs"

    calm = [each.calm * 1e3 for each in reports if each.calm]
    violations = sum(counts[f"broken {truth}"] for truth in ("not found", "stale", "ttl"))
    lines = [
        f"longest gap between a writer's acknowledgements: {pauses(False, ['none'])} without a fault; "
        f"{pauses(False, ['step', 'instant'])} with natsmith killed; {pauses(False, ['server', 'both'])} with the server killed",
        f"the same on three servers: {pauses(True, ['none'])}; {pauses(True, ['step', 'instant'])}; {pauses(True, ['server'])}",
        f"before any move: median {median(calm):.0f} ms, longest {max(calm):.0f} ms"
        if calm
        else "no writer before any move",
        f"writes {counts['writes']:,}, tried again {counts['retries']:,}, without an answer {counts['time-outs']:,}, "
        f"stored and never acknowledged {counts['stored unacknowledged']:,}",
        f"direct reads {counts['reads']:,}, errors {counts['read errors']:,}, wrong {violations:,}, "
        f"of a replica that was behind its leader for a moment {counts['reads behind']:,}",
        f"shown to watchers {counts['watched']:,}; delivered to the durable {counts['delivered']:,}, "
        f"again {counts['duplicates']:,}",
    ]
    refused = {name: count for name, count in counts.items() if name.startswith("refused with")}
    return lines + [f"writes {name}: {count}" for name, count in sorted(refused.items())]


def _kills(reports: Sequence[Report]) -> list[str]:
    where = Counter(each for report in reports for each in report.killed if not each[0].isdigit())
    anytime = sum(each[0].isdigit() for report in reports for each in report.killed)
    meant = [each for each in reports if each.scenario.fault in ("step", "instant", "both")]
    spared = sum(not each.killed for each in meant)
    lines = [f"natsmith killed {count} times at {step}" for step, count in sorted(where.items())]
    return [
        *lines,
        f"natsmith killed {anytime} times at any time; in {spared} of {len(meant)} runs it ended before it was killed; "
        f"servers killed {sum(each.crashed for each in reports)} times",
    ]


def _end(reports: Sequence[Report], failed: int, seconds: float) -> str:
    slowest = max((each.seconds for each in reports), default=0)
    applies = sum(each.counts.get("applies", 0) for each in reports)
    return f"{len(reports)} runs, {applies} applies, {failed} failed, {seconds:.0f} s in all, the longest run {slowest:.0f} s"
