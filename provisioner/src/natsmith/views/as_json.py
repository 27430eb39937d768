"""Documents for machines: one object a run, with the version of its shape. docs/json.md describes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

from natsmith.errors import Exit
from natsmith.model.bringing import Brought
from natsmith.model.change import Change, Difference, Fate, Plan
from natsmith.model.loading import Seen
from natsmith.model.moving import Moving
from natsmith.model.observed import Found, Observed
from natsmith.model.outcome import Holder, Outcome, Past, Proof
from natsmith.model.resources import CONSUMER
from natsmith.model.units import Json

VERSION = 1


def document(kind: str, code: int, **parts: Json) -> dict[str, Json]:
    """Return a whole document; *code* is the exit code that goes with it."""
    return {"version": VERSION, "kind": kind, "exitCode": int(code), **parts}


def plans(made: Sequence[Plan], code: int) -> dict[str, Json]:
    """Return what would be done."""
    return document("plan", code, accounts=[_plan(each) for each in made])


def outcomes(each: Sequence[Outcome], code: int, problems: Sequence[str] = ()) -> dict[str, Json]:
    """Return what was done, and with several accounts what kept one of them from being served."""
    return document(
        "apply",
        code,
        problems=list(problems),
        accounts=[
            {
                **_plan(one.plan),
                "changes": [
                    *({**_change(change), "result": "done"} for change in one.done),
                    *({**_change(change), "result": "failed", "error": text} for change, text in one.failed),
                    *({**_change(change), "result": "not begun"} for change in one.left),
                ],
                "seconds": one.seconds,
            }
            for one in each
        ],
    )


def verified(made: Sequence[tuple[Plan, Iterable[Proof]]], code: int) -> dict[str, Json]:
    """Return whether everything is as the values say, and what was proved."""
    return document(
        "verify", code, accounts=[{**_plan(plan), "proofs": [_proof(each) for each in proofs]} for plan, proofs in made]
    )


def status(
    accounts: Iterable[tuple[str, Observed, Holder | None, Sequence[Past]]], code: int = Exit.DONE
) -> dict[str, Json]:
    """Return what is provisioned, who holds the lock, and the last run."""
    return document(
        "status",
        code,
        accounts=[
            {
                "account": account,
                "server": observed.version,
                "lockedBy": {"owner": holder.owner, "who": holder.who, "since": holder.since} if holder else None,
                "lastRun": pasts[0].as_json() if pasts else None,
                "limits": limits(observed),
                "objects": [_found(each) for each in observed.objects.values() if each.applied or each.moving],
            }
            for account, observed, holder, pasts in accounts
        ],
    )


def limits(observed: Observed) -> dict[str, Json]:
    """Return what the account uses and may use, -1 where there is no limit."""
    return {
        "storage": [observed.storage, observed.limits.storage],
        "memory": [observed.memory, observed.limits.memory],
        "streams": [observed.all_streams, observed.limits.streams],
        "consumers": [observed.all_consumers, observed.limits.consumers],
    }


def history(accounts: Iterable[tuple[str, Sequence[Past]]], code: int = Exit.DONE) -> dict[str, Json]:
    """Return the last runs."""
    return document(
        "history",
        code,
        accounts=[{"account": name, "runs": [each.as_json() for each in pasts]} for name, pasts in accounts],
    )


def reloaded(servers: Iterable[Seen], code: int) -> dict[str, Json]:
    """Return what servers have loaded, or why not."""
    told = [{"name": one.name, "version": one.version, "tag": one.tag, "refusal": one.refusal} for one in servers]
    return document("reload", code, servers=list(told))


def brought(
    kind: str, rows: Iterable[tuple[str, list[Brought]]], code: int, problems: Sequence[str] = ()
) -> dict[str, Json]:
    """Return what became of the streams of another server, or of a backup, and why not of all of them."""
    accounts: list[Json] = [{"account": account, "streams": [asdict(each) for each in some]} for account, some in rows]
    more: dict[str, Json] = {"problems": list(problems)} if problems else {}
    return document(kind, code, accounts=accounts, **more)


def error(kind: str, code: int, problems: Sequence[str]) -> dict[str, Json]:
    """Return why nothing more was done."""
    return document("error", code, command=kind, problems=list(problems))


def _plan(plan: Plan) -> dict[str, Json]:
    return {
        "account": plan.account,
        "owner": plan.owner,
        "digest": plan.digest,
        "changes": [_change(each) for each in plan.changes],
        "told": [_change(each) for each in plan.told],
        "warnings": list(plan.warnings),
        "unchanged": plan.unchanged,
    }


def _change(change: Change) -> dict[str, Json]:
    return {
        "action": change.action,
        "kind": change.kind.word,
        "name": change.label,
        "stream": change.id.stream,
        "fate": _fate(change.fate),
        "settings": dict(change.desired.settings) if change.desired else {},
        "differences": [_difference(each) for each in change.differences],
        "note": change.note,
        "seen": list(change.seen),
        "blocked": change.blocked,
        "consent": change.consent,
    }


def _difference(each: Difference) -> dict[str, Json]:
    return {
        "setting": each.path,
        "old": each.old,
        "new": each.new,
        "reason": each.reason,
        "fixed": each.fixed,
        "fate": _fate(each.fate),
    }


def _fate(fate: Fate) -> dict[str, Json]:
    return {"word": fate.word, "count": fate.count, "of": fate.noun, "atMost": fate.about}


def _proof(proof: Proof) -> dict[str, Json]:
    return {
        "object": proof.title,
        "how": proof.how,
        "result": proof.result,
        "ttlSeconds": proof.ttl,
        "seconds": proof.seconds,
        "text": proof.text,
    }


def _found(found: Found) -> dict[str, Json]:
    result: dict[str, Json] = {
        "kind": found.kind.word,
        "name": found.label,
        "stream": found.stream,
        "owner": found.applied.owner if found.applied else "",
        "settings": dict(found.settings),
    }
    if found.kind is CONSUMER:
        return {**result, "pending": found.pending, "unacknowledged": found.ack_pending}
    return {
        **result,
        "messages": found.messages,
        "bytes": found.bytes,
        "oldest": found.first_time if found.messages else None,
        "offline": list(found.offline),
        "moving": _moving(found.moving) if found.moving else None,
    }


def _moving(moving: Moving) -> dict[str, Json]:
    return {
        "stage": moving.stage.name.lower().replace("_", " "),
        "text": moving.stage.value,
        "messagesIn": moving.at,
        "copied": moving.copied,
        "writesFlow": moving.stage.writes_flow,
        "owner": moving.record.owner,
    }
