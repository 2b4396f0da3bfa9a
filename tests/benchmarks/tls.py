"""A certificate for one run, signed by itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

from trio_pool.embedded.account import hand_over, server_account


def certificate(directory: Path) -> tuple[Path, Path]:
    """Key and certificate in `directory`, made once. Raises FileNotFoundError without openssl."""
    key, cert = directory / "tls.key", directory / "tls.crt"
    if not cert.exists():
        command = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        command += ["-keyout", str(key), "-out", str(cert)]
        subprocess.run(command, check=True, capture_output=True)
        for path in (key, cert):
            hand_over(path, server_account())
    return key, cert
