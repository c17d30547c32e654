"""Files of data sets: where they come from, and how untrusted bytes become arrays."""
