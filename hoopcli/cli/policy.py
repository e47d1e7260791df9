"""``hoop policy``: what is allowed, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hoopcli.cli import output, revisions
from hoopcli.cli.options import Agent, AsJson, Reason

if TYPE_CHECKING:
    from rich.text import Text

    from hoopcli.model.decision import Decision, Obligation, Statement
    from hoopcli.policy.explain import Explanation, Verdict

EFFECT_STYLES = {"allow": "green", "require_approval": "yellow", "deny": "bold red"}

Policy = Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="Another policy than the configured.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What is allowed, and why.", no_args_is_help=True, rich_markup_mode=None)
    group.command("check")(check)
    group.command("explain")(explain)
    group.command("test")(run_cases)
    group.command("schema")(schema)
    revisions.register(group)
    app.add_typer(group, name="policy")


def check(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="The policy; else the configured one.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 on warnings too.")] = False,
    as_json: AsJson = False,
) -> int:
    """Say what is wrong or suspicious in a policy."""
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415
    from hoopcli.policy.lint import Level  # noqa: PLC0415
    from hoopcli.policy.lint import check as lint  # noqa: PLC0415
    from hoopcli.settings import connectors  # noqa: PLC0415 - completion imports this module

    path = file or Workspace.open().policy_path()
    verbs = frozenset().union(*(connectors.load(kind).verbs for kind in connectors.kinds()))
    findings = lint(path, verbs)
    if as_json:
        found = [{"level": str(f.level), "rule": f.rule, "place": f.place, "message": f.message} for f in findings]
        output.document({"policy": str(path), "findings": found})
    else:
        for finding in findings:
            about = f" {finding.rule}:" if finding.rule else ""
            output.say(f"{finding.place}: {finding.level}:{about} {finding.message}")
        output.say(f"{path} is valid" + (f", {len(findings)} remarks" if findings else ""))
    return int(strict and any(finding.level is Level.WARNING for finding in findings))


def explain(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The connection.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What would be run, e.g. a SQL batch.")],
    agent: Agent = None,
    reason: Reason = "",
    policy: Policy = None,
    as_json: AsJson = False,
) -> None:
    """Say what would be decided, by which rule, and why the others did not match. Nothing is run."""
    from hoopcli.cli.workspace import Workspace, now  # noqa: PLC0415

    workspace = Workspace.open(agent, {"policy": policy})
    connector, connection = workspace.connector(name)
    engine = workspace.engine()
    statement = connector.explain(text, connection)
    explanation = engine.explain(workspace.principal, connection, statement, now(), reason=reason)
    if as_json:
        output.document(_document(statement, explanation))
    else:
        _print(statement, explanation)


def run_cases(
    cases: Annotated[Path, typer.Argument(metavar="CASES", help="A table of cases (YAML).")],
    policy: Policy = None,
    as_json: AsJson = False,
) -> int:
    """Run a table of cases. Ends with 1 if one fails."""
    from hoopcli.cli.workspace import Workspace  # noqa: PLC0415
    from hoopcli.policy.cases import run  # noqa: PLC0415
    from hoopcli.settings import connectors  # noqa: PLC0415

    engine = Workspace.open(flags={"policy": policy}).engine()
    results = run(cases, engine, lambda text, connection: connectors.load(connection.kind).explain(text, connection))
    failed = [result for result in results if not result.passed]
    if as_json:
        output.document(
            {
                "passed": len(results) - len(failed),
                "failed": len(failed),
                "cases": [
                    {
                        "name": r.name,
                        "place": r.place,
                        "passed": r.passed,
                        "differences": list(r.differences),
                        "decision": _decision(r.decision),
                    }
                    for r in results
                ],
            }
        )
    else:
        for result in failed:
            output.say(f"✗ {result.place}: {result.name}")
            for difference in result.differences:
                output.say(f"    {difference}")
        output.say(f"{len(results) - len(failed)} of {len(results)} cases passed")
    return int(bool(failed))


def schema(as_json: AsJson = False) -> None:
    """Print the JSON Schema of the policy, for editors."""
    from hoopcli.policy.schema import json_schema  # noqa: PLC0415

    output.document(json_schema())


def effect_text(effect: str) -> Text:
    """An effect in its colour."""
    from rich.text import Text  # noqa: PLC0415

    return Text(effect, style=EFFECT_STYLES.get(effect, ""))


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "effect": str(decision.effect),
        "rule": decision.rule,
        "reason": decision.reason,
        "obligations": [_obligation(obligation) for obligation in decision.obligations],
        "revision": decision.revision,
    }


def _obligation(obligation: Obligation) -> dict[str, Any]:
    from dataclasses import asdict  # noqa: PLC0415

    told = {"kind": obligation.kind, **asdict(obligation)}
    if "expires" in told:
        told["expires"] = told["expires"].total_seconds()
    return told


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {"id": verdict.id, "kind": verdict.kind, "matched": verdict.matched, "why": verdict.why}


def _document(statement: Statement, explanation: Explanation) -> dict[str, Any]:
    return {
        "decision": _decision(explanation.decision),
        "actions": [{"verb": a.verb, "resources": list(a.resources)} for a in statement.actions],
        "facts": dict(statement.facts),
        "rules": [_verdict(verdict) for verdict in explanation.rules],
        "masks": [_verdict(verdict) for verdict in explanation.masks],
    }


def _columns(statement: Statement, explanation: Explanation) -> list[Any]:
    """Each column of the result with its sources and the masks that cover them, if the connector tells."""
    from rich.text import Text  # noqa: PLC0415

    columns = statement.facts.get("columns")
    if not isinstance(columns, list) or not columns:
        return []
    rows = [
        (
            each["name"] or "(no name)",
            "not known" if each["sources"] is None else ", ".join(each["sources"]) or "no table",
            ", ".join(_masks_of(each["sources"], explanation)) or "none",
        )
        for each in columns
    ]
    return [output.table(("COLUMN", "COMES FROM", "MASKS"), rows), Text()]


def _masks_of(sources: list[str] | None, explanation: Explanation) -> list[str]:
    """The masks whose columns these may be; those by the look of values are not known beforehand."""
    from hoopcli.masking.masker import names_column  # noqa: PLC0415

    names = ["*"] if sources is None else sources
    return [mask.id for mask in explanation.in_force if any(names_column(mask, name) for name in names)]


def _print(statement: Statement, explanation: Explanation) -> None:
    from rich.text import Text  # noqa: PLC0415

    decision = explanation.decision
    does = [f"{action.verb} {', '.join(filter(None, action.resources))}".strip() for action in statement.actions]
    statements = statement.facts.get("statements", ())
    if isinstance(statements, list) and len(statements) > 1:
        does = [f"{n}. {'; '.join(each['does'])}" for n, each in enumerate(statements, 1)]
    output.show(
        output.fields(
            {
                "decision": effect_text(str(decision.effect)),
                "rule": decision.rule,
                "reason": decision.reason,
                "does": "\n".join(does),
                "masks": ", ".join(mask.id for mask in decision.masks) or "none",
            }
        ),
        Text(),
        *_columns(statement, explanation),
        output.table(
            ("RULE OR MASK", "EFFECT", "", "WHY"),
            [
                (
                    Text(output.safe_line(verdict.id), style="bold" if verdict.id == decision.rule else ""),
                    effect_text(verdict.kind),
                    Text("✓", style="green") if verdict.matched else Text("·", style="dim"),
                    verdict.why,
                )
                for verdict in (*explanation.rules, *explanation.masks)
            ],
        ),
    )
