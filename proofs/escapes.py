"""What somebody might type to get out of the place it belongs in: as a value, a name, an order, a delimiter."""

ESCAPES = (
    # SQL
    "'", "\"", "''", "x' OR '1'='1", "x\" OR 1=1 --", "'; DROP TABLE data; --", "1; SELECT 1", "/* */ 1", "-- x",
    "city\"; COPY (SELECT 1) TO 'made.csv'; --", "'; COPY data TO 'made.parquet'; --", "'; EXPORT DATABASE 'made'; --",
    "'; ATTACH 'made.db' AS x; --", "'; CREATE TABLE x AS SELECT 1; --", "'; INSTALL httpfs; LOAD httpfs; --",
    "'; SET memory_limit = '100GB'; --", "'; PRAGMA database_list; --", "'; RESET enable_external_access; --",
    "'; CALL pragma_version(); --", "1 UNION SELECT * FROM duckdb_settings()", "$1", "?", ":name", "{{ city }}",
    # files and the network
    "/etc/passwd", "{secret}", "read_csv('{secret}')", "read_text('/etc/passwd')", "glob('/*')", "../../secret.csv",
    "read_parquet('http://127.0.0.1/x.parquet')", "http://127.0.0.1:1/x.csv", "s3://bucket/x", "file:///etc/passwd",
    "getenv('HOME')", "current_setting('temp_directory')", "duckdb_secrets()", "which_secret('s3://x', 's3')",
    # memory and time
    "range(1000000000000)", "repeat('x', 1000000000)", "(a+)+$", "%" * 1000, "x" * 5000, "[" * 5000, "9" * 5000, "1e400",
    "generate_series(1, 1e12)", "COLUMNS('.*')", "* EXCLUDE (city)", "count(*) OVER ()", "random()", "nextval('x')",
    # characters
    "\x00", "city\x00", "\ud800", "\n", "\r\n", "\u2019 OR 1=1", "\uff07", "\u202e", "ciTy", " city", "city ", "rowid", "file_row_number",
    "filename", "*", "", "null", "NaN", "true; --", "[]", "{}", "[{\"column\": \"city\"}]", "-", "--city", "-count; --",
)  # fmt: skip
