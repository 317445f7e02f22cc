"""Cases that do not come out right yet, and whose they are. One that comes right fails until its line is gone."""

NOT_YET = {
    "nested-signs": "json",
    "null-column-suffix": "json",
    "array-newline": "json",
    "comma-first": "json",
    "one-line-ndjson": "json",
    "keys-beside-array": "json",
    "nul-in-key": "json",
    "deep-32": "json",
}

# Of these, what would hold a process for ever: not even run.
HELD = {"deep-32"}
