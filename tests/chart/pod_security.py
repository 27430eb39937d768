"""The restricted Pod Security Standard, as https://kubernetes.io/docs/concepts/security/pod-security-standards/ says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

Spec: TypeAlias = Mapping[str, Any]

VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"),
}
SYSCTLS = {
    *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start"),
    *("net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports"),
    *("net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl"),
    *("net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"),
}
PROFILES = ("RuntimeDefault", "Localhost")


def containers(spec: Spec) -> Iterator[Spec]:
    """Yield every container of a pod."""
    for key in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(key, ())


def offences(metadata: Spec, spec: Spec) -> Iterator[str]:
    """Yield what of a pod the standard does not allow."""
    yield from _of_the_host(spec)
    yield from _of_volumes(spec)
    pod = spec.get("securityContext", {})
    yield from _of_context("pod", pod)
    if any("apparmor" in key for key in metadata.get("annotations", {})):
        yield "pod: an AppArmor profile of its own"
    if [each for each in pod.get("sysctls", ()) if each["name"] not in SYSCTLS]:
        yield "pod: unsafe sysctls"
    for each in containers(spec):
        yield from _of_a_container(each, pod)


def _of_the_host(spec: Spec) -> Iterator[str]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield f"pod: {key}"
    for each in containers(spec):
        if any(port.get("hostPort") for port in each.get("ports", ())):
            yield f"{each['name']}: hostPort"
        probes = [each.get(key, {}) for key in ("startupProbe", "readinessProbe", "livenessProbe")]
        probes += each.get("lifecycle", {}).values()
        if any("host" in probe.get(how, {}) for probe in probes for how in ("httpGet", "tcpSocket")):
            yield f"{each['name']}: a probe of another host"


def _of_volumes(spec: Spec) -> Iterator[str]:
    for each in spec.get("volumes", ()):
        if not each.keys() <= {"name"} | VOLUMES:
            yield f"volume {each['name']}: a kind that is not allowed"


def _of_context(whose: str, context: Spec) -> Iterator[str]:
    if context.get("runAsUser") == 0:
        yield f"{whose}: runs as root"
    if context.get("seLinuxOptions", {}).keys() & {"user", "role"}:
        yield f"{whose}: SELinux user or role"
    if context.get("windowsOptions", {}).get("hostProcess"):
        yield f"{whose}: hostProcess"
    if context.get("appArmorProfile", {"type": "RuntimeDefault"})["type"] not in PROFILES:
        yield f"{whose}: AppArmor off"


def _of_a_container(container: Spec, pod: Spec) -> Iterator[str]:
    name, own = container["name"], container.get("securityContext", {})
    yield from _of_context(name, own)
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield f"{name}: runAsNonRoot"
    if own.get("seccompProfile", pod.get("seccompProfile", {})).get("type") not in PROFILES:
        yield f"{name}: seccompProfile"
    if own.get("privileged") or own.get("allowPrivilegeEscalation") is not False:
        yield f"{name}: allowPrivilegeEscalation"
    if own.get("procMount", "Default") != "Default":
        yield f"{name}: procMount"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", ()) or set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield f"{name}: capabilities"
