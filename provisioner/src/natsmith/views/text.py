"""Plans, outcomes and proofs as lines of text, each of which makes sense alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from natsmith.model.change import Change, Difference, Fate, Plan
from natsmith.model.loading import Seen
from natsmith.model.outcome import AS_APPLICATION, Outcome, Past, Proof

LONGEST_SHOWN = 60
TOLD_SHOWN = 10
ONE_OF = {"entries": "entry", "messages": "message", "chunks": "chunk"}
"""What a fate counts, when it is one."""

FAILURES_SHOWN = 5
"""When a server is gone, one line for each of the requests under way would hide the reason."""


@dataclass(frozen=True, slots=True)
class Row:
    """One aligned line of a table."""

    cells: tuple[str, ...]
    tone: str = ""
    """How it should look where there is colour: good, careful, bad, or quiet."""

    lead: int = 1
    """How many cells name what the line is about."""

    @property
    def sentence(self) -> str:
        """The row as a line that makes sense alone."""
        rest = "; ".join(cell for cell in self.cells[self.lead :] if cell)
        return " ".join(self.cells[: self.lead]) + (f": {rest}" if rest else "")


def rows(plan: Plan, *, only: Sequence[Change] | None = None, several: bool = False) -> Iterator[Row]:
    """Yield one row per difference of every change, or of *only* some; what is fine has no row.

    With *several* accounts, their names lead. Orphans beyond the first few are counted.
    """
    for change in plan.changes if only is None else only:
        yield from change_rows(plan, change, several=several, seen=only is None)
    if only is None:
        yield from told_rows(plan, several=several)


def told_rows(plan: Plan, *, several: bool = False) -> Iterator[Row]:
    """Yield the rows of what a plan only tells about."""
    for change in plan.told[:TOLD_SHOWN]:
        yield from change_rows(plan, change, several=several)
    if len(plan.told) > TOLD_SHOWN:
        more = plural(len(plan.told) - TOLD_SHOWN, "more object")
        yield Row(("and", more, "that only --output json lists"), "quiet", 2)


def change_rows(plan: Plan, change: Change, *, several: bool = False, seen: bool = False) -> Iterator[Row]:
    """Yield one row per difference of one change, and where it matters still, what is *seen* of it."""
    account = (plan.account,) if several else ()
    tone = "bad" if change.blocked else "quiet" if not change.writes else "good" if change.fate.harmless else "careful"
    lead = (*account, change.action, change.kind.word, change.label)
    shown = [(created(change), _remark(change))] if change.action == "create" else [*_differences(change)]
    for difference, remark in shown or [("", _remark(change))]:
        yield Row((*lead, difference, remark), tone, len(lead))
    for sentence in change.seen if seen and (change.consent or not change.blocked) else ():
        yield Row((*lead, "", sentence), "quiet", len(lead))


def at_most(room: int | None, changes: Iterable[Iterable[Row]], where: str) -> Iterator[Row]:
    """Yield the rows of *changes* as long as there is *room* for a whole one, then how many more there are, and *where*."""
    groups = [group for each in changes if (group := list(each))]
    used = 0
    for number, group in enumerate(groups):
        used += len(group)
        if room is not None and used > room and number:
            yield Row(("and", plural(len(groups) - number, "more change"), where), "quiet", 2)
            return
        yield from group


def created(change: Change) -> str:
    """Return what a new object will be, defaults left out."""
    if change.desired is None:
        return ""
    known = change.desired.kind.by_name
    shown = [f"{name} {_short(known[name].type.show(value))}" for name, value in change.desired.settings.items()]
    return ", ".join(
        [*shown, *(f"config.{name} {_short(str(value))}" for name, value in change.desired.config.items())]
    )


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


def _differences(change: Change) -> Iterator[tuple[str, str]]:
    last = len(change.differences) - 1
    for index, each in enumerate(change.differences):
        remark = [each.fixed or each.reason]
        if not each.fate.harmless and change.action == "update":
            remark.append(fate(each.fate))
        if index == last:
            remark.append(_remark(change, with_fate=change.action != "update"))
        yield setting(each), "; ".join(part for part in remark if part)


def _remark(change: Change, *, with_fate: bool = True) -> str:
    note = "" if any(each.fixed and each.fixed in change.note for each in change.differences) else change.note
    losing = with_fate and change.fate.word != "keeps"
    return "; ".join(
        part for part in (note, fate(change.fate) if losing else "", "blocked" if change.blocked else "") if part
    )


def setting(difference: Difference) -> str:
    """Return a difference as ``ttlSeconds 60 -> 20``."""
    if difference.field:
        show = difference.field.type.show
        return f"{difference.path} {show(difference.old)} -> {show(difference.new)}"
    return f"{difference.path} {_raw(difference.old)} -> {_raw(difference.new)}"


def _raw(value: object) -> str:
    return "the server's default" if value is None else str(value)


def fate(each: Fate) -> str:
    """Return a fate as ``expires 812 entries``."""
    if each.word == "keeps" or (each.word == "moves" and not each.count):
        return ""
    if each.noun == "its position":
        return "loses its position" if each.word == "drops" else f"{each.word} its position"
    about = "at most " if each.about and each.word != "moves" else ""
    return f"{each.word} {about}{plural(each.count, ONE_OF[each.noun], each.noun)}"


def summary(plans: Sequence[Plan], command: str) -> str:
    """Return the last line of a plan: what it comes to, and what to do next."""
    changes = sum(len(plan.changes) for plan in plans)
    unchanged = sum(plan.unchanged for plan in plans)
    blocked = sum(len(plan.blocked) for plan in plans)
    counted = f"{plural(changes, 'change')}, {unchanged} unchanged."
    if blocked:
        return f"{counted} Nothing was applied: {blocked} of them {'needs' if blocked == 1 else 'need'} a decision, named above."
    if not changes:
        return f"{counted} Everything is as the values say."
    digest = f" --expect {plans[0].digest}" if len(plans) == 1 else ""
    return f"{counted} Nothing was applied: run `{command}{digest}`."


def blocked(plans: Iterable[Plan]) -> Iterator[str]:
    """Yield a sentence for each change that apply refuses."""
    for plan in plans:
        for change in plan.blocked:
            yield f"{change.title}: {change.blocked}"


def done(outcomes: Sequence[Outcome]) -> str:
    """Return the last line of an apply that did everything."""
    changes = sum(len(each.done) for each in outcomes)
    unchanged = sum(each.plan.unchanged for each in outcomes)
    if not changes:
        return f"Nothing to do: {unchanged} unchanged."
    seconds = sum(each.seconds for each in outcomes)
    return f"{plural(changes, 'change')} applied in {seconds:.2f} s, {unchanged} unchanged."


def failures(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Yield why changes failed; a reason that several share is told once."""
    shared: dict[str, list[str]] = {}
    for outcome in outcomes:
        for change, why in outcome.failed:
            shared.setdefault(why, []).append(change.title)
    for number, (why, titles) in enumerate(shared.items()):
        if number == FAILURES_SHOWN:
            yield f"and {plural(len(shared) - number, 'more error')} like these"
            return
        yield f"{titles[0]}{f' and {len(titles) - 1} more' if len(titles) > 1 else ''}: {why}"


def proof_row(proof: Proof) -> Row:
    """Return one proof as a row."""
    tone = {"holds": "good", "fails": "bad", "not observed": "quiet"}[proof.result]
    return Row((proof.result, proof.title, proof.text), tone, 2)


def verdict(differ: int, proofs: Sequence[Proof], *, told: int = 0, active: bool = False) -> str:
    """Return the last line of a verify."""
    count = Counter((proof.how == AS_APPLICATION, proof.result) for proof in proofs)
    failed, useless = count[False, "fails"], count[True, "fails"]
    if differ or failed or useless:
        parts = [f"{plural(differ, 'object')} not as the values say"] if differ else []
        parts += [f"{plural(failed, 'expiry', 'expiries')} not at work"] if failed else []
        parts += [f"{plural(useless, 'bucket')} of no use to an application"] if useless else []
        cure = "See `natsmith plan`, or `natsmith apply` to restore it." if differ or failed else ""
        cure = cure or "Mend the user's rights or the bucket's limits, as named above."
        return f"Not as it should be: {' and '.join(parts)}. {cure}"
    but = f", but for {plural(told, 'object')} named above that only a person can change" if told else ""
    held, used = count[False, "holds"], count[True, "holds"]
    observed = f" Expiry holds in {plural(held, 'proof')}." if held else ""
    useful = f" Applications put and get in {plural(used, 'bucket')}." if used else ""
    unseen = count[False, "not observed"] + count[True, "not observed"]
    open_ = f" {unseen} not observed." if unseen else ""
    advice = " Add --prove to see an expiry happen." if count[False, "not observed"] and not active else ""
    return f"Everything is as the values say{but}.{observed}{useful}{open_}{advice}"


def past_row(past: Past) -> Row:
    """Return one earlier run as a row."""
    rows_ = ", ".join(past.rows[:3]) + (f" and {past.count - 3} more" if past.count > 3 else "")
    tone = "good" if past.result == "done" else "bad"
    return Row((past.time, past.result, f"{past.owner} ({past.who})", plural(past.count, "change"), rows_), tone, 2)


def server_row(server: Seen, expected: str) -> Row:
    """Return what one server has loaded, or why not."""
    if server.refusal:
        return Row(("refused", server.name, server.refusal), "bad", 2)
    if expected and server.tag != expected:
        return Row(("restarts", server.name, "what changed needs a restart, which Kubernetes gives it"), "careful", 2)
    return Row(("loaded", server.name, server.tag), "good", 2)


def loaded(servers: Sequence[Seen], expected: str) -> str:
    """Return how many servers have what they should have."""
    have = sum(each.tag == expected for each in servers) if expected else len(servers)
    loaded = (
        f"{plural(have, 'server')} of {len(servers)} {'has' if have == 1 else 'have'} loaded the files that are there."
    )
    if expected:
        return loaded
    # A tag tells nothing of passwords and certificates, which have no words of their own.
    return f"{loaded} A Secret that changed within the last two minutes may not be among them: run it again then."


def aligned(table: Iterable[Row]) -> list[str]:
    """Return rows as lines with their columns under each other."""
    listed = list(table)
    width = max((len(row.cells) for row in listed), default=0)
    widths = [
        max((len(row.cells[column]) for row in listed if column < len(row.cells)), default=0) for column in range(width)
    ]
    return ["  ".join(cell.ljust(widths[column]) for column, cell in enumerate(row.cells)).rstrip() for row in listed]


def plural(count: int, noun: str, nouns: str = "") -> str:
    """Return ``1 change``, ``2 changes``."""
    return f"{count} {noun}" if count == 1 else f"{count} {nouns or noun + 's'}"
