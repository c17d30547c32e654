"""Names of the stages, in the order in which data flow: they are sections of a config, and packages."""

STAGES = ("device_sims", "calibration", "network")
