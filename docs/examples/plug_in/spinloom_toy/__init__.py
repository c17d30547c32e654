"""Plug-ins of Spinloom: a learning rule, an importer and a data set."""
