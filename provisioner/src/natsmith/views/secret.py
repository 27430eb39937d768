"""The Secret with the credentials of the chart's users, as a manifest for Kubernetes."""

from __future__ import annotations

import json
from collections.abc import Mapping


def secret(files: Mapping[str, str], *, name: str, namespace: str = "") -> str:
    """Return the manifest of the Secret *name* with *files*."""
    # JSON's strings are YAML's double-quoted ones; what is inside is ours: letters, digits, addresses.
    lines = ["apiVersion: v1", "kind: Secret", "metadata:", f"  name: {json.dumps(name)}"]
    lines += [f"  namespace: {json.dumps(namespace)}"] if namespace else []
    lines += ["type: Opaque", "stringData:", *(f"  {key}: {json.dumps(text)}" for key, text in files.items())]
    return "\n".join(lines) + "\n"


def user_files(key: str, password: str) -> dict[str, str]:
    """Return the two files of one user: what the server includes, and what a client reads."""
    return {f"{key}.conf": f"password: {_quoted(password)}\n", f"{key}.password": password}


def routes_file(fullname: str, servers: int, password: str) -> dict[str, str]:
    """Return what the servers called *fullname* include to speak to each other."""
    routes = [
        _quoted(f"nats-route://routes:{password}@{fullname}-{number}.{fullname}-headless:6222")
        for number in range(servers)
    ]
    text = (
        f'authorization: {{user: "routes", password: {_quoted(password)}}}\nroutes: [\n  '
        + ",\n  ".join(routes)
        + "\n]\n"
    )
    return {"routes.conf": text}


def _quoted(text: str) -> str:
    r"""Return *text* as nats.conf quotes it; it knows no ``\u`` escapes."""
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        text = text.replace(plain, escaped)
    return f'"{text}"'
