"""An authority and a certificate for a release's servers, with the names that docs/tls.md lists and no other."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

from e2e.cluster import run
from e2e.release import Release


def certificate(folder: Path, full: str, namespace: str) -> dict[str, bytes]:
    """Make an authority and a certificate of its; return the files."""
    names = (full, f"{full}.{namespace}", f"{full}.{namespace}.svc", f"*.{full}-headless", "localhost")
    (folder / "names").write_text(
        f"subjectAltName={','.join(f'DNS:{name}' for name in names)}\nextendedKeyUsage=serverAuth,clientAuth\n"
    )
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"]
    for words in (
        ["req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=tests"],
        ["req", *key, "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=nats"],
        ["x509", "-req", "-in", "tls.csr", *signed, "-days", "2", "-extfile", "names", "-out", "tls.crt"],
    ):
        made = run(["env", "-C", str(folder), "openssl", *words])
        assert made.code == 0, made.err
    return {name: (folder / name).read_bytes() for name in ("tls.crt", "tls.key", "ca.crt")}


def trusted(release: Release, folder: Path, secret: str) -> ssl.SSLContext:
    """Make the Secret for a release's `nats.tls.existingSecret`; return what a client trusts."""
    files = certificate(folder, release.fullname, release.namespace.name)
    release.namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": secret},
            "data": {name: base64.b64encode(content).decode() for name, content in files.items()},
        }
    )
    return ssl.create_default_context(cadata=files["ca.crt"].decode())
