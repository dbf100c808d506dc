"""The pages of a study and of the scorecard."""

from __future__ import annotations

from matropy.reporting import Column, Facts, Link, Page, Section, Table
from matropy.studies._result import StudyResult
from matropy.studies._scorecard import Scorecard

__all__ = ["scorecard_page", "study_page"]


def study_page(result: StudyResult) -> Page:
    """Verdicts first, then what was measured, then how."""
    sections = [
        Section("", (_facts(result),)),
        Section(
            "Claims",
            (result.claims_table(),),
            lead="Written down before anything ran; refuted as recorded means that an earlier run found the same.",
        ),
        Section("Plots", (*result.plots, *result.heat_maps)),
        Section("Tables", tuple(result.tables)),
        Section(
            "Departures", (_departures(result),), lead="Where this setting differs from the published one."
        ),
        Section("Not measured", (_skipped(result),)),
        Section("Values", (_values(result),)),
        Section("Environment", (_environment(result),)),
    ]
    return Page(
        result.title,
        subtitle=_citation(result),
        sections=tuple(section for section in sections if any(map(_has_content, section.blocks))),
        footer=f"matropy {result.matropy}, {result.created}. Regenerate with: matropy study {result.name} "
        f"--scale {result.scale} --seed {result.seed}",
    )


def scorecard_page(scorecard: Scorecard) -> Page:
    """One row a method, each with its page."""
    results = scorecard.results
    holds = sum(result.count("holds", "paper", "theory") for result in results)
    refuted = sum(result.count("refuted", "paper", "theory") for result in results)
    facts = Facts(
        (
            ("Studies run", len(results), f"of {len(scorecard.methods_table().rows)} methods"),
            ("Claims that hold", holds, f"of {holds + refuted} of the papers and of theory"),
            ("Verdicts changed", sum(verdict.changed for result in results for verdict in result.verdicts)),
        )
    )
    return Page(
        "Scorecard",
        subtitle="What 27 papers claim, and what came out on this machine",
        sections=(Section("", (facts,)), Section("Methods", (scorecard.methods_table(),))),
        footer=f"matropy {scorecard.matropy}. Regenerate with: matropy study all --scale {scorecard.scale}",
    )


def _facts(result: StudyResult) -> Facts:
    holds, refuted = (result.count(outcome, "paper", "theory") for outcome in ("holds", "refuted"))
    guards, broken = (result.count(outcome, "own", "peer") for outcome in ("holds", "refuted"))
    changed = sum(verdict.changed for verdict in result.verdicts)
    items: list[tuple[str, object] | tuple[str, object, str]] = [
        ("Claims that hold", f"{holds} of {holds + refuted}", "of the paper and of theory"),
        ("Our guards", f"{guards} of {guards + broken}", "earlier figures that came out again"),
        ("Not measured", result.count("not measured"), "for want of data, a model or time"),
        ("Changed verdicts", changed if result.scale != "smoke" else None, "against the recorded ones"),
        ("Scale", result.scale, f"{result.seconds:,.0f} s"),
    ]
    if result.paper.url:
        items.append(("Paper", Link(f"arXiv {result.paper.arxiv}", result.paper.url)))
    return Facts(tuple(items))


def _citation(result: StudyResult) -> str:
    paper = result.paper
    return f"{paper.authors}: {paper.title}, {paper.venue or 'arXiv'}, {paper.year}"


def _departures(result: StudyResult) -> Table:
    return Table(
        "",
        (Column("Claim"), Column("How this setting differs")),
        tuple((verdict.claim, verdict.departs) for verdict in result.verdicts if verdict.departs),
    )


def _skipped(result: StudyResult) -> Table:
    return Table("", (Column("What"), Column("Why")), tuple(result.skipped.items()))


def _values(result: StudyResult) -> Table:
    return Table("", (Column("Name"), Column("Value", digits=6)), tuple(sorted(result.values.items())))


def _environment(result: StudyResult) -> Table:
    return Table("", (Column("What"), Column("Which")), tuple(result.environment.items()))


def _has_content(block: object) -> bool:
    return not isinstance(block, Table) or bool(block.rows)
