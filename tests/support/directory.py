"""An LDAP directory of our own: OpenLDAP's slapd on a free port, with two people in it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

from tests.support.certificates import certificate

BASE = "dc=example,dc=org"
ADMIN, ADMIN_PASSWORD = f"cn=admin,{BASE}", "the keys"
PEOPLE = {"ursula": "sesame", "twice": "double"}
_PATIENCE_SECONDS = 60.0
_TRIES = 5

_CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {folder}/ldap.crt
TLSCertificateKeyFile {folder}/ldap.key
database mdb
suffix "{base}"
rootdn "{admin}"
rootpw "{password}"
directory {folder}/data
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{admin}" read by * none
"""


@attrs.frozen
class Directory:
    """Where it listens, and the certificate it has for `localhost`."""

    port: int
    certificate: Path


def slapd() -> str | None:
    """The program, where it is installed."""
    return shutil.which("slapd", path="/usr/sbin:/usr/local/libexec:/usr/libexec")


@contextlib.contextmanager
def directory(program: str, folder: Path) -> Iterator[Directory]:
    """Serve PEOPLE below `ou=people` until the block ends."""
    (folder / "data").mkdir()
    chain, _ = certificate("rsa", "sha256").write(folder, "ldap")
    config = folder / "slapd.conf"
    config.write_text(
        _CONFIG.format(folder=folder, base=BASE, admin=ADMIN, password=ADMIN_PASSWORD)
    )
    subprocess.run(
        [program, "-T", "add", "-f", str(config)],
        input=_entries(),
        text=True,
        check=True,
        capture_output=True,
    )
    process, port = _start(program, config)
    try:
        yield Directory(port, chain)
    finally:
        process.terminate()
        process.wait(_PATIENCE_SECONDS)


def _entries() -> str:
    blocks = [
        f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: x\ndc: example",
        f"dn: ou=people,{BASE}\nobjectClass: organizationalUnit\nou: people",
    ]
    for name, password in PEOPLE.items():
        person = f"objectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}"
        blocks.append(f"dn: uid={name},ou=people,{BASE}\n{person}\nuserPassword: {password}")
    blocks.append(
        f"dn: cn=another,ou=people,{BASE}\nobjectClass: inetOrgPerson\n"
        "uid: twice\ncn: another\nsn: another\nuserPassword: double"
    )
    return "\n\n".join(blocks) + "\n"


def _start(program: str, config: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A port that looks free may be gone when it is bound; then another is tried."""
    for _ in range(_TRIES):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        command = [program, "-d", "0", "-f", str(config), "-h", f"ldap://127.0.0.1:{port}"]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        if _answers(process, port):
            return process, port
    raise AssertionError("slapd does not start")


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        time.sleep(0.02)
    process.kill()
    process.wait()
    return False
