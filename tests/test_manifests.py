"""The image and the manifests in examples/: well formed, and they configure what they say.

No engine runs them here; what can be known without one is known: that every file parses, that names
agree with each other, and that the pool takes the configuration in them.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tests.support.web import ask
from trio_pool import cli
from trio_pool.config import Config, config_from_environment, load_config
from trio_pool.threaded import pool_in_thread

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
CONTAINER = EXAMPLES / "container"
MANIFESTS = sorted(EXAMPLES.rglob("*.yaml"))
# What the image has for its environment to begin with.
INSTRUCTIONS = ("FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "EXPOSE", "STOPSIGNAL")
INSTRUCTIONS += ("ENTRYPOINT", "CMD")


def documents(path: Path) -> list[dict]:
    return list(yaml.safe_load_all(path.read_text()))


def test_every_manifest_is_known_here() -> None:
    assert [path.name for path in MANIFESTS] == [
        "compose.yaml",
        "prometheus.yaml",
        "podmonitor.yaml",
        "pool.yaml",
    ]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_a_manifest_is_well_formed(path: Path) -> None:
    assert all(isinstance(document, dict) for document in documents(path))


def answers(config: Config, paths: Iterable[str]) -> dict[str, int]:
    """What a pool with this configuration answers to each path, on ports of its own."""
    own: dict[str, str | int] = {"listen_addr": "127.0.0.1", "http_listen_addr": "127.0.0.1"}
    own |= {"listen_port": 0, "http_listen_port": 0, "unix_socket_dir": ""}
    with pool_in_thread(config, **own) as pool:
        return {path: ask(pool, path).status for path in paths}


# Compose.


@pytest.fixture
def services() -> dict[str, dict]:
    (compose,) = documents(CONTAINER / "compose.yaml")
    return compose["services"]


def test_the_pool_of_compose_takes_its_environment(services: dict[str, dict]) -> None:
    pool, postgres = services["pool"], services["postgres"]["environment"]
    config = config_from_environment(pool["environment"])

    database = config.databases[postgres["POSTGRES_DB"]]
    assert database.host in services
    assert config.secrets[postgres["POSTGRES_USER"]] == postgres["POSTGRES_PASSWORD"]
    assert not config.notices
    port = config.settings.listen_port
    http = config.settings.http_listen_port
    assert pool["ports"] == [f"{port}:{port}", f"127.0.0.1:{http}:{http}"]
    assert config.settings.http_listen_addr == ("*",)


def test_compose_asks_the_pool_whether_it_is_ready(services: dict[str, dict]) -> None:
    config = config_from_environment(services["pool"]["environment"])
    program, *words = services["pool"]["healthcheck"]["test"][1:]
    (url,) = re.findall(r"http://[^']+", words[-1])

    assert (program, words[0]) == ("python", "-c")
    ast.parse(words[-1])
    assert urlsplit(url).port == config.settings.http_listen_port
    assert answers(config, [urlsplit(url).path]) == {"/readyz": 200}


def test_what_compose_names_is_there(services: dict[str, dict]) -> None:
    build = services["pool"]["build"]
    context = (CONTAINER / build["context"]).resolve()
    assert context == ROOT and (context / build["dockerfile"]).is_file()
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
        for volume in service.get("volumes", ()):
            assert (CONTAINER / volume.split(":")[0]).is_file()
    (prometheus,) = documents(CONTAINER / "prometheus.yaml")
    (job,) = prometheus["scrape_configs"]
    port = config_from_environment(services["pool"]["environment"]).settings.http_listen_port
    assert job["static_configs"][0]["targets"] == [f"pool:{port}"]


# Kubernetes.


@pytest.fixture
def objects() -> dict[str, dict]:
    return {document["kind"]: document for document in documents(EXAMPLES / "kubernetes/pool.yaml")}


@pytest.fixture
def configured(objects: dict[str, dict], tmp_path: Path) -> Config:
    """The ini file of the ConfigMap with the user list of the Secret."""
    users = tmp_path / "userlist.txt"
    users.write_text(objects["Secret"]["stringData"]["userlist.txt"])
    text = objects["ConfigMap"]["data"]["pgbouncer.ini"]
    listed = "/etc/userlist/userlist.txt"
    assert listed in text
    (tmp_path / "pgbouncer.ini").write_text(text.replace(listed, str(users)))
    return load_config(tmp_path / "pgbouncer.ini")


def containers(objects: dict[str, dict]) -> dict[str, dict]:
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    return {container["name"]: container for container in pod["containers"]}


def test_the_pool_of_kubernetes_takes_its_file(
    objects: dict[str, dict], configured: Config
) -> None:
    pool = containers(objects)["pool"]
    ports = {port["name"]: port["containerPort"] for port in pool["ports"]}

    assert configured.settings.listen_port == ports["postgres"]
    assert configured.settings.http_listen_port == ports["http"]
    assert configured.settings.http_listen_addr == ("*",)
    assert not configured.notices
    assert objects["Service"]["spec"]["ports"][0]["targetPort"] == "postgres"


def test_kubernetes_and_its_scrapers_ask_what_the_pool_answers(
    objects: dict[str, dict], configured: Config
) -> None:
    pool = containers(objects)["pool"]
    notes = objects["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    (monitor,) = documents(EXAMPLES / "kubernetes/podmonitor.yaml")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    probes = [pool[f"{kind}Probe"]["httpGet"] for kind in ("readiness", "liveness")]

    assert [probe["path"] for probe in probes] == ["/readyz", "/healthz"]
    assert {asker["port"] for asker in (*probes, endpoint)} == {"http"}
    assert notes["prometheus.io/port"] == str(configured.settings.http_listen_port)
    assert notes["prometheus.io/path"] == endpoint["path"]
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"] == labels
    paths = [*(probe["path"] for probe in probes), endpoint["path"]]
    assert answers(configured, paths) == dict.fromkeys(paths, 200)


def test_the_objects_of_kubernetes_know_each_other(objects: dict[str, dict]) -> None:
    deployment = objects["Deployment"]["spec"]
    pod = deployment["template"]
    labels = pod["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == objects["Service"]["spec"]["selector"] == labels
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert volumes["configuration"]["configMap"]["name"] == objects["ConfigMap"]["metadata"]["name"]
    assert volumes["users"]["secret"]["secretName"] == objects["Secret"]["metadata"]["name"]
    mounts = {m["name"]: m["mountPath"] for m in containers(objects)["pool"]["volumeMounts"]}
    assert set(mounts) == set(volumes)
    assert containers(objects)["pool"]["args"] == [f"{mounts['configuration']}/pgbouncer.ini"]
    assert pod["spec"]["securityContext"]["runAsUser"] == 70
    assert dict(dockerfile())["USER"] == "70:70"


# The image.


def dockerfile() -> Iterator[tuple[str, str]]:
    """Each instruction with its words."""
    text = (CONTAINER / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.strip().startswith("#")]
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        if line.strip():
            name, _, words = line.strip().partition(" ")
            yield name, words.strip()


def test_the_image_is_made_of_instructions_that_there_are() -> None:
    instructions = list(dockerfile())

    assert {name for name, _ in instructions} <= set(INSTRUCTIONS)
    stages = [words.split()[-1] for name, words in instructions if name == "FROM" and "AS" in words]
    sources = [found for _, words in instructions for found in re.findall(r"--from=(\w+)", words)]
    assert set(sources) == set(stages)


def test_the_image_starts_the_command_as_an_image_of_pgbouncer_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from trio_pool import command

    started: list[str] = []

    def run(*, target: str, **_: object) -> int:
        started.append(target)
        return 0

    monkeypatch.setattr(command, "run", run)
    instructions = dict(dockerfile())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (program,) = json.loads(instructions["ENTRYPOINT"])
    assert Path(program).name in project["scripts"]
    (extras,) = set(re.findall(r"\[([\w,]+)\]\"", instructions["RUN"]))
    assert extras.split(",") == ["ldap", "http"]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    words = json.loads(instructions["CMD"])
    # This machine may have a PgBouncer of its own.
    words[-1] = words[-1].replace("/etc/pgbouncer", "/nowhere")

    assert cli.main(words) == 0
    assert started == [command.ENVIRONMENT]
