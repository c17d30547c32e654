"""Spinloom in a clone. A folder of your own gets a Snakefile like this one from `spinloom init` (docs/install.md)."""


module spinloom:
    snakefile:
        "workflow/Snakefile"
    config:
        config


use rule * from spinloom
