"""Names of a sweep's files, for those who read the workflow's rules and nothing else of this stage."""

TABLES = (
    "events.parquet", "events.csv", "trajectories.parquet", "pulses.csv", "summary.csv", "points.csv", "device.json",
)  # fmt: skip
PICTURES = (".npz", "_strip.webp", ".webp")  # of a write event: the snapshots, their strip, their animation
