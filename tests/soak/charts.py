"""The chart as it is, and as it is not: without what it does for a restart, and with a disk that can be filled."""

from __future__ import annotations

import shutil
from pathlib import Path

from e2e.release import CHART

UNTUNED = """
{{- $_ := unset .spec "podManagementPolicy" }}
{{- $_ := unset .spec "minReadySeconds" }}
{{- $_ := unset .spec.template.spec "terminationGracePeriodSeconds" }}
{{- range $container := .spec.template.spec.containers }}
{{- range list "lifecycle" "startupProbe" "readinessProbe" "livenessProbe" }}
{{- $_ := unset $container . }}
{{- end }}
{{- end }}
"""

SMALL_DISK = """
{{- range .spec.template.spec.volumes }}
{{- if eq .name "data" }}
{{- $_ := set .emptyDir "medium" "Memory" }}
{{- end }}
{{- end }}
"""
"""A volume in memory ends where it says; what it holds is gone with its pod, and not with its container."""


def chart(folder: Path, *, tuned: bool, small_disk: bool) -> Path:
    """Return the chart: not *tuned*, it has no preStop, no probes, no budget, and Kubernetes' own grace and order."""
    if tuned and not small_disk:
        return CHART
    copy = Path(shutil.copytree(CHART, folder / "natsmith"))
    template = copy / "templates" / "nats-statefulset.yaml"
    changes = ("" if tuned else UNTUNED) + (SMALL_DISK if small_disk else "")
    template.write_text(
        '{{- define "soak.statefulset" -}}\n'
        + template.read_text()
        + '\n{{- end -}}\n{{- with include "soak.statefulset" . | fromYaml }}'
        + changes
        + "{{ toYaml . }}\n{{- end }}\n"
    )
    if not tuned:
        (copy / "templates" / "nats-pdb.yaml").unlink()
    return copy
