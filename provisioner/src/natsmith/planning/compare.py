"""What differs between an object as it is wanted and as it was found, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from natsmith.model.change import Difference, Reason
from natsmith.model.desired import Resource
from natsmith.model.observed import Found
from natsmith.model.units import Json

DERIVED_FROM = {
    "duplicateWindowSeconds": ("ttlSeconds", "maxAgeSeconds"),
    "allowMessageTTL": ("markerSeconds",),
    "allowRollup": ("markerSeconds", "allowMessageSchedules"),
}
"""Settings that follow from others: not worth a line when those changed too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The differences of one object, and the latches that were asked off in vain."""

    differences: tuple[Difference, ...] = ()
    latched: tuple[Difference, ...] = ()


SAME = Comparison()


def compare(desired: Resource, found: Found, *, level: int = 99) -> Comparison:
    """Return how *found* differs from *desired*; on a server of API *level* some changes are impossible."""
    if desired.settings == found.settings and not desired.config and not found.config and not desired.off:
        return SAME
    latches = [name for name, value in found.settings.items() if value is True and desired.kind.by_name[name].latch]
    latched = [_setting(desired, found, name, level) for name in latches if name in desired.off]
    desired = desired.with_latches(latches)
    differences = []
    for name in sorted({*desired.settings, *found.settings}, key=list(desired.kind.by_name).index):
        # Unless it is asked for, a mirror takes this from its origin.
        origins = name == "mirrorDirect" and desired.get("mirror") and not desired.get(name)
        if name not in desired.overridden and not origins:
            each = _metadata(desired, found) if name == "metadata" else _setting(desired, found, name, level)
            differences += [each] if each else []
    differences += _raw(desired, found, level)
    changed = {each.path for each in differences}
    shown = [
        each
        for each in differences
        if each.fixed or not any(cause in changed for cause in DERIVED_FROM.get(each.path, ()))
    ]
    return Comparison(differences=tuple(shown), latched=tuple(each for each in latched if each))


def _setting(desired: Resource, found: Found, name: str, level: int) -> Difference | None:
    field = desired.kind.by_name[name]
    old, new = found.get(name), desired.get(name)
    if old == new:
        return None
    applied = found.applied
    known = applied is not None and not (applied.config.keys() & {field.api})
    before = desired.kind.get(desired.name, applied.settings, name) if applied and known else None
    reason = why(known=applied is not None, before=before, old=old, new=new)
    fixed = field.fixed if field.refuses(old, new, level) else ""
    return Difference(path=name, old=old, new=new, field=field, reason=reason, fixed=fixed)


def why(*, known: bool, before: Json, old: Json, new: Json) -> Reason:
    """Return why a setting that was applied as *before* is *old* now while the values say *new*."""
    if not known:
        return "not set by natsmith before"
    if before == new:
        return "drift"
    return "values changed" if before == old else "drift, and values changed"


def _metadata(desired: Resource, found: Found) -> Difference | None:
    """Compare only the keys that the values name now or named when they were applied: the others are not ours."""
    old, new = found.get("metadata"), desired.get("metadata")
    before = found.applied.settings.get("metadata", {}) if found.applied else {}
    ours = {*new, *before}
    old = {key: value for key, value in old.items() if key in ours}
    if old == new:
        return None
    reason = why(known=found.applied is not None, before=before, old=old, new=new)
    return Difference(path="metadata", old=old, new=new, field=desired.kind.by_name["metadata"], reason=reason)


def _raw(desired: Resource, found: Found, level: int) -> list[Difference]:
    """Compare the raw fields that the values pass on, and those that they passed on when they were applied."""
    before = found.applied.config if found.applied else {}
    result = []
    for key in sorted({*desired.config, *before}):
        old, new = found.config.get(key), desired.config.get(key)
        if key not in desired.config and key in desired.kind.by_api:
            continue  # the setting of that name speaks for it again
        if as_given(new, old):
            continue
        reason = why(known=found.applied is not None, before=before.get(key), old=old, new=new)
        field = desired.kind.by_api.get(key)
        if field:
            # A raw field that the model knows as well: its rules hold, in its own units.
            try:
                old, new = field.type.decode(old), field.type.decode(new)
            except (TypeError, AttributeError):
                field = None  # not of the field's type: the server will say so
            if field and key in desired.config and key in found.config and old == new:
                continue  # the same, written in another way
        fixed = field.fixed if field and field.refuses(old, new, level) else ""
        result.append(Difference(path=f"config.{key}", old=old, new=new, field=field, reason=reason, fixed=fixed))
    return result


def as_given(given: Json, found: Json) -> bool:
    """Return whether *found* says what was given; a server leaves out what is empty and may add what was not."""
    if isinstance(given, Mapping):
        return isinstance(found, Mapping) and all(as_given(value, found.get(key)) for key, value in given.items())
    if isinstance(given, list) and isinstance(found, list) and len(given) == len(found):
        return all(as_given(one, other) for one, other in zip(given, found, strict=True))
    if given in (None, False, 0, "", []):
        return found in (None, False, 0, -1, "", [], {})
    return bool(given == found)
