"""The version, declared here alone: the report, the data package and the installed package carry it."""

VERSION = "0.1.0"
