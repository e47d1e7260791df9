"""What deploys the server says only what the server knows."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hoopcli.server.config import ServerSettings

DEPLOY = Path(__file__).parents[2] / "deploy"
CHART = DEPLOY / "helm" / "hoop"
NEEDED = {
    "publicUrl": "https://hoop.example.com",
    "database.url": "postgresql://hoop@db/hoop",
    "existingSecret": "hoop",
    "policy": "version: 1",
}


@pytest.mark.parametrize("file", [p for p in sorted(DEPLOY.rglob("*")) if p.is_file()], ids=lambda p: p.name)
def test_every_variable_is_a_setting(file: Path) -> None:
    named = re.findall(r"\bHOOP_SERVER_([A-Z_]+)\b", file.read_text())
    assert {name.lower() for name in named} <= ServerSettings.model_fields.keys()


def test_no_secret_is_written_down() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    secrets = [
        value
        for service in services.values()
        for name, value in service["environment"].items()
        if name.endswith(("PASSWORD", "KEY"))
    ]
    assert len(secrets) == 5
    assert all(re.match(r"\$\{\w+:\?|env:", value) for value in secrets)


def test_the_locks_agree() -> None:
    def pins(path: Path) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", path.read_text(), re.MULTILINE))

    deployed, tested = pins(DEPLOY / "requirements.lock"), pins(DEPLOY.parent / "requirements.lock")
    assert {"fastapi", "uvicorn", "sqlalchemy", "alembic", "psycopg", "cryptography"} <= deployed.keys()
    assert deployed.items() <= tested.items()
    assert "pytest" not in deployed


def rendered(**values: str) -> list[dict[str, Any]]:
    program = shutil.which("helm")
    if program is None:
        pytest.skip("no helm here")
    options = [f"--set={name}={value}" for name, value in (NEEDED | values).items()]
    done = subprocess.run(
        [program, "template", "t", str(CHART), *options], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def test_the_chart_runs_without_privileges() -> None:
    objects = {each["kind"]: each for each in rendered(**{"ingress.enabled": "true"})}
    assert {"Deployment", "Service", "Ingress", "NetworkPolicy", "ConfigMap", "PodDisruptionBudget"} <= objects.keys()
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["automountServiceAccountToken"] is False
    assert objects["Ingress"]["spec"]["rules"][0]["host"] == "hoop.example.com"
