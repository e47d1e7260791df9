"""The entry point: help without loading anything, errors as sentences, exit codes as documented."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import pytest
import typer

from hoopcli import errors
from hoopcli.cli import main as entry
from hoopcli.cli.commands import COMMANDS, CommandInfo
from hoopcli.cli.crash import report
from hoopcli.cli.main import build, main
from tests.cli.conftest import Hoop

TREE = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.HoopError)]
DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


def test_help_names_every_command(hoop: Hoop) -> None:
    for argv in ((), ("--help",), ("-h",), ("help",)):
        done = hoop(*argv)
        assert done.code == 0
        assert all(f"\n  {command.name} " in done.out for command in COMMANDS)
        assert max(map(len, done.out.splitlines())) <= 80


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from hoopcli.cli.main import main; main(['--help']);"
        "sys.exit(any(m in sys.modules for m in ('typer', 'rich', 'pydantic', 'asyncio', 'msal', 'cryptography')))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)
def test_every_command_registers_itself_and_has_help(hoop: Hoop, command: CommandInfo) -> None:
    name = command.name
    done = hoop(name, "--help")
    assert done.code == 0
    assert f"hoop {name}" in done.out


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)
def test_a_command_module_imports_nothing_heavy(command: CommandInfo) -> None:
    program = (
        f"import sys, {command.module};"
        "heavy = {'pydantic', 'msal', 'cryptography', 'sqlglot', 'uvloop', 'keyring'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_leaf_command_takes_json() -> None:
    app = typer.main.get_command(build(COMMANDS))
    leaves = []

    def walk(command: object) -> None:
        for child in getattr(command, "commands", {}).values():
            walk(child)
        if not hasattr(command, "commands"):
            leaves.append(command)

    walk(app)
    assert len(leaves) > 15
    for leaf in leaves:
        options = {option for parameter in leaf.params for option in parameter.opts}  # type: ignore[attr-defined]
        assert "--json" in options, leaf


def test_the_version(hoop: Hoop) -> None:
    assert re.fullmatch(r"hoop \d+\.\d+\.\d+\n", hoop("--version").out)
    assert hoop("version").out.startswith("hoop ")
    assert set(hoop("version", "--json").json) == {"hoop", "python"}


def test_a_misspelt_command(hoop: Hoop) -> None:
    done = hoop("conections")
    assert done.code == 2
    assert done.err == "error: there is no command 'conections'\n  hint: did you mean: hoop connections\n"
    assert hoop("zzzzz").err.endswith("hint: hoop --help\n")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("connections", "ad"), "no such command 'ad'"),
        (("connections", "show"), "missing argument 'name'"),
        (("doctor", "--jsn"), "no such option"),
        (("connect", "x", "--port", "high"), "should be a valid integer"),
        (("--nope",), "no such option"),
    ],
)
def test_mistakes_are_sentences_with_the_next_step(hoop: Hoop, argv: tuple[str, ...], said: str) -> None:
    done = hoop(*argv)
    assert done.code == 2
    assert said in done.err.lower()
    assert "hint: run: hoop " in done.err
    assert "Traceback" not in done.err


def test_errors_as_json(hoop: Hoop) -> None:
    done = hoop("connections", "show", "x", "--json")
    assert done.code == 2
    assert done.out == ""
    assert done.error == {
        "kind": "UsageError",
        "message": "there is no connection 'x'",
        "hint": "add it: hoop connections add x --server HOST",
        "code": 2,
    }


def test_json_of_the_command_inside_is_not_ours(hoop: Hoop) -> None:
    assert hoop("connect", "x", "--", "tool", "--json").err.startswith("error: ")


def test_exit_codes_are_documented() -> None:
    text = DOCS.read_text()
    documented = dict(re.findall(r"^\| (\d+) \| .*?`(\w+)`", text, re.MULTILINE))
    assert documented == {str(e.exit_code): e.__name__ for e in TREE if e is not errors.ProtocolError}


@pytest.mark.parametrize("error", TREE)
def test_an_error_ends_with_its_code(
    hoop: Hoop, monkeypatch: pytest.MonkeyPatch, error: type[errors.HoopError]
) -> None:
    def fail(_argv: list[str]) -> int:
        raise error("it \x1b[31mfailed", "do this\u202e")

    monkeypatch.setattr(entry, "_run", fail)
    done = hoop("version")
    assert done.code == error.exit_code
    assert done.err == "error: it ␛[31mfailed\n  hint: do this\\u202e\n"


def test_interrupts_and_closed_pipes_are_quiet(hoop: Hoop, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_argv: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "_run", interrupt)
    assert hoop("version").code == 130

    def abort(_commands: object) -> typer.Typer:
        app = typer.Typer()

        @app.command()
        def version() -> None:
            raise typer.Abort

        @app.callback()
        def root() -> None: ...

        return app

    monkeypatch.undo()
    monkeypatch.setattr(entry, "build", abort)
    assert hoop("version").code == 130


def test_a_closed_pipe_is_quiet() -> None:
    program = f"{sys.executable} -m hoopcli.cli.main --help | true"
    for _ in range(3):
        done = subprocess.run(program, shell=True, capture_output=True, text=True, check=False)
        assert done.stderr == ""
    full = subprocess.run(
        f"{sys.executable} -m hoopcli.cli.main --help > /dev/full", shell=True, capture_output=True, check=False
    )
    assert full.returncode != 0


def test_a_broken_pipe_is_swallowed(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    def closed(_argv: list[str]) -> int:
        raise BrokenPipeError

    class Stdout:
        def fileno(self) -> int:
            return self.file

        def __init__(self) -> None:
            self.file = os.open(os.devnull, os.O_WRONLY)

    monkeypatch.setattr(entry, "_run", closed)
    monkeypatch.setattr(sys, "stdout", Stdout())
    assert main(["version"]) == 1


def test_a_defect_is_one_line_and_a_report_without_data(
    hoop: Hoop, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_argv: list[str]) -> int:
        secret = "hunter2"
        try:
            int(secret)
        except ValueError as error:
            raise RuntimeError("password=hunter2") from error
        return 0

    monkeypatch.setattr(entry, "_run", fail)
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    done = hoop("version")
    assert done.code == 1
    assert done.err.count("\n") == 2
    assert "hunter2" not in done.err
    [path] = home.glob("hoop-crash-*.txt")
    assert str(path) in done.err
    text = path.read_text()
    assert "builtins.RuntimeError" in text
    assert "builtins.ValueError" in text
    assert "test_main.py" in text
    assert "hunter2" not in text
    monkeypatch.setenv("HOOP_DEBUG", "1")
    with pytest.raises(RuntimeError):
        hoop("version")


def test_a_report_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert "no report" in report(ValueError("x")).hint


def test_the_program_itself() -> None:
    done = subprocess.run([sys.executable, "-m", "hoopcli.cli.main", "nope"], capture_output=True, check=False)
    assert done.returncode == 2


def test_completion_knows_the_commands(home: Path) -> None:
    environ = os.environ | {"_HOOP_COMPLETE": "complete_bash", "COMP_WORDS": "hoop conn", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from hoopcli.cli.main import main; sys.exit(main([]))"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["connect", "connections"]


def test_the_modules_of_commands_exist() -> None:
    for command in COMMANDS:
        assert callable(import_module(command.module).register)


def test_the_documentation_and_the_help_agree() -> None:
    text = DOCS.read_text("utf-8")
    app = typer.main.get_command(build(COMMANDS))
    known: set[str] = {"--help", "--json", "--install-completion", "--show-completion"}

    def walk(command: object, path: str) -> None:
        known.update(o for p in command.params for o in (*p.opts, *p.secondary_opts))  # type: ignore[attr-defined]
        for name, child in getattr(command, "commands", {}).items():
            assert re.search(rf"\bhoop {name}\b" if path == "hoop" else rf"`{name}\b", text), f"{path} {name}"
            walk(child, f"{path} {name}")

    walk(app, "hoop")
    unknown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - known
    assert not unknown
