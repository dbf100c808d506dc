"""The pages of a study and of the scorecard."""

from __future__ import annotations

from matropy.reporting import Column, Facts, Grid, Link, Page, Section, Table
from matropy.studies._result import StudyResult
from matropy.studies._scorecard import Scorecard

__all__ = ["scorecard_page", "study_page"]


def study_page(result: StudyResult) -> Page:
    """Verdicts first, then what was measured, then how."""
    sections = [
        Section("", (_facts(result),)),
        Section(
            "Claims",
            (result.claims_table("paper", "theory"),),
            lead="Of the paper and of theory, written down before the run; refuted as recorded means that an earlier run found the same.",
        ),
        Section(
            "Guards",
            (result.claims_table("peer", "own"),),
            lead="Earlier findings of ours, or a peer's claims, that should come out as recorded.",
        ),
        Section("Plots", (Grid((*result.plots, *result.heat_maps)),)),
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
            ("Verdicts changed", sum(len(result.changes) for result in results), "against the recorded ones"),
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
    return Facts(
        (
            ("Claims that hold", f"{holds} of {holds + refuted}", "of the paper and of theory"),
            ("Our guards", "{} of {}".format(*result.guards), "earlier findings that came out again"),
            ("Not measured", result.count("not measured"), "for want of data, a model or time"),
            ("Verdicts changed", len(result.changes), "against the recorded ones"),
            ("Scale", result.scale, f"{result.seconds:,.0f} s"),
        )
    )


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
    rows: list[tuple[object, ...]] = list(result.environment.items())
    if result.paper.url:
        rows.insert(0, ("paper", Link(f"arXiv {result.paper.arxiv}", result.paper.url)))
    return Table("", (Column("What"), Column("Which")), tuple(rows))


def _has_content(block: object) -> bool:
    if isinstance(block, Table):
        return bool(block.rows)
    return not isinstance(block, Grid) or bool(block.figures)
