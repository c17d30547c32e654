"""The wells of a study's devices at rest: what is to be searched, the search, and the table of all devices."""
