"""The chapters of a search's page that are tables and sentences."""

from __future__ import annotations

from urllib.parse import quote

import pandas as pd

from report.design.found import STANDS, Found, Goal
from report.evidence import commit, listing, software
from report.parts import Link, Section, Table, text, words


def lead(found: Found) -> str:
    """Return the sentence below the title."""
    trials = found.tables["trials"]
    return (
        f"{len(trials)} points of {len(found.variables)} variables ({', '.join(map(words, found.variables))}), "
        "chosen by "
        f"{found.about['design']['sampler']}; {len(found.full)} of them were made at full fidelity."
    )


def tiles(found: Found) -> list[tuple[str, str]]:
    """Return the headline numbers."""
    trials = found.tables["trials"]
    told = [(f"{len(trials)}", "points"), (f"{int(trials['front'].sum())}", "on the front")]
    failed = int(trials["failed"].notna().sum())
    if failed:
        told.append((f"{failed}", "failed"))
    if found.about["refused"]:
        told.append((f"{found.about['refused']}", "refused before they ran"))
    return told


def ends(found: Found) -> Section:
    """Return the chapter on the points that were made again: searched against fresh, and the test."""
    table = found.tables["final"]
    if not len(table):
        return Section("final", "Made again", "No point of the front was made again.")
    rows = []
    for row in table.to_dict("records"):
        name = STANDS if pd.isna(row["number"]) else str(int(row["number"]))
        cells: list[str | Link] = [Link(name, _folder(str(row["fresh_point"]))), *_values(found, row)]
        for goal in found.goals:
            cells += [
                goal.told(row[f"{goal.name}_{kind}"], row[f"{goal.name}_{kind}_error"])
                for kind in ("searched", "fresh")
            ]
        cells.append(f"{100 * row['test_accuracy']:.2f} ± {100 * row['test_accuracy_sd']:.2f} % ({row['seeds']})")
        rows.append([*cells, text(None if pd.isna(row["failed"]) else row["failed"])])
    heads = ["point", *map(words, found.variables)]
    heads += [f"{words(goal.name)}: {kind}" for goal in found.goals for kind in ("searched", "fresh")]
    heads += ["test accuracy ± sd (n)", "failed"]
    sentence = (
        "The best of many measured points is in part the luckiest. These points of the front were made again at full "
        "fidelity with fresh seeds and fresh devices, and only then tested, once, on the test images. The study as it "
        "stands, without what the search changes, was made with the same seeds. "
        + " ".join(filter(None, (curse(goal, table) for goal in found.goals)))
    )
    note = (
        "Values ± standard error of the mean over seeds. A point's number leads to the folder of what was made again."
    )
    return Section("final", "Made again", sentence, [Table("Searched against fresh", heads, rows, note)])


def curse(goal: Goal, table: pd.DataFrame) -> str:
    """Return the sentence on by how much what was searched looks better than what was made again."""
    pairs = table[[f"{goal.name}_searched", f"{goal.name}_fresh"]].dropna()
    if len(pairs) < 2:
        return ""
    searched, fresh = pairs.to_numpy(float).T
    if goal.linear:
        loss, unit = 100 * goal.sign * (searched - fresh), "percentage points"
    else:
        loss, unit = 100 * goal.sign * (searched - fresh) / fresh, "%"
    error = loss.std(ddof=1) / len(loss) ** 0.5
    return (
        f"{words(goal.name).capitalize()}: what was searched looks better than what was made again by "
        f"{loss.mean():.2g} ± "
        f"{error:.1g} {unit} (mean ± standard error of {len(loss)} points)."
    )


def points(found: Found) -> Section:
    """Return the chapter with all points."""
    rows = []
    for row in found.tables["trials"].to_dict("records"):
        name = (
            Link(str(row["number"]), _folder(str(row["point"])))
            if isinstance(row["point"], str)
            else str(row["number"])
        )
        values = [goal.told(row[goal.name], row[f"{goal.name}_error"]) for goal in found.goals]
        became = row["failed"] if isinstance(row["failed"], str) else "front" if row["front"] else ""
        rows.append([name, str(row["generation"] + 1), text(row["fidelity"]), *_values(found, row), *values, became])
    heads = ["point", "generation", "fidelity", *map(words, found.variables)]
    heads += [*(words(goal.name) for goal in found.goals), "what became of it"]
    sentence = (
        "All points that were tried, at the highest fidelity that each reached. No test image was looked at: "
        "objectives are "
        "of validation images."
    )
    blocks = [Table("Points", heads, rows, "A number leads to the point's folder.", closed=len(rows) > 40)]
    return Section("points", "All points", sentence, blocks)


def worth(found: Found) -> Section:
    """Return the chapter on what the cheap fidelities are worth and whether more points are."""
    blocks, told = [], []
    correlations = found.tables["fidelities"]
    if len(correlations):
        rows = [
            [
                f"{row['cheap']} → {row['dear']}", words(row["objective"]), str(row["points"]),
                "–" if pd.isna(row["spearman"])
                else f"{row['spearman']:.2f} ({row['spearman_low']:.2f} to {row['spearman_high']:.2f})",
            ]
            for row in correlations.to_dict("records")
        ]  # fmt: skip
        note = "Of the promoted points, which were chosen to be good, and one by chance in each generation. 80 % "
        "intervals."
        heads = ["fidelities", "objective", "points in both", "Spearman's rank correlation"]
        blocks.append(Table("What a cheap form of the study is worth", heads, rows, note))
        told.append("A cheap form of the study is worth what it ranks alike.")
    noise = found.tables["noise"]
    if len(noise):
        rows = [
            [words(row["objective"]), row["scale"], *(text(float(row[name]), 2) for name in
             ("gap_median", "seeds_error_median", "card_sd_median")), row["worth_more"]]
            for row in noise.to_dict("records")
        ]  # fmt: skip
        heads = [
            "objective", "scale", "gap between neighbours", "error by seeds", "error by few writes",
            "what is worth more",
        ]  # fmt: skip
        note = (
            "Medians over the front. Where the error of a point is larger than its distance from the next, another "
            "point "
            "tells less than more seeds or writes. The error by few writes is known with network.card_samples alone."
        )
        blocks.append(Table("How sure the front is", heads, rows, note))
    return Section("worth", "What the measurements are worth", " ".join(told) or "One fidelity was used.", blocks)


def provenance(found: Found) -> Section:
    """Return the chapter on what the search was made of."""
    about = found.about
    rows = [
        ["study", found.name], ["seed", str(about["seed"])], ["git commit", commit()],
        ["sampler", f"{about['design']['sampler']} of Optuna {about['optuna']}"],
        ["fidelities", " → ".join(about["levels"])],
    ]  # fmt: skip
    rows += [[f"design/{name}", digest] for name, digest in found.hashes.items()]
    sentence = (
        "The same config gives the same points and the same tables. Everything in this page is read from the tables in "
        "design/; each point is a whole study in points/, from whose card the way leads on to its trajectories. "
        "design/optuna.db can be opened with optuna-dashboard."
    )
    blocks = [Table("What went in", ["what", "which"], rows), listing("The whole config", about["config"]), software()]
    return Section("provenance", "Provenance", sentence, blocks)


def _values(found: Found, row: dict) -> list[str]:
    return [text(None if pd.isna(row[name]) else row[name]) for name in found.variables]


def _folder(point: str) -> str:
    return quote(f"points/point={point}/", safe="/=,+")
