"""Sentences about data: what is being done to it, and why something could not be. See `wording`."""

from typing import Any

from flask_babel import lazy_gettext

_ = lazy_gettext

_LOG_IN_PAGE = _(
    "A web page came instead of data: the server wants a log-in (%(login)s). Use an address that needs none, or give "
    "what lets you in as a request header."
)
_SHARE_PAGE = _("This is a web page about the file, not the file. The file itself is at: %(offered)s")
_ENCODINGS = {
    "gb18030": "GB18030 (GBK)",
    "big5": "Big5",
    "shift_jis": "Shift_JIS",
    "windows-874": "Windows-874 (TIS-620)",
    "ibm866": "IBM 866 (DOS)",
    "ibm850": "IBM 850 (DOS)",
    "ibm852": "IBM 852 (DOS)",
    "macintosh": "Mac Roman",
    "x-mac-cyrillic": "Mac Cyrillic",
}


def encoding_name(encoding: str) -> str:
    """As people know it."""
    return _ENCODINGS.get(encoding) or (encoding.title() if encoding.startswith("windows") else encoding.upper())


DATA_SENTENCES: dict[str, Any] = {
    # what a fetch is doing
    "connecting": _("Connecting"),
    "downloading": _("Fetching: %(bytes)s of %(total)s, %(rate)s a second, done in %(left)s"),
    "downloading?": _("Fetching: %(bytes)s so far, %(rate)s a second"),
    "stalled": _("Waiting for the server: %(bytes)s of %(total)s so far"),
    "stalled?": _("Waiting for the server: %(bytes)s so far"),
    "unpacking": _("Unpacking: %(bytes)s, done in %(left)s"),
    "unpacking?": _("Unpacking: %(bytes)s"),
    "converting": _("Reading rows and finding types: %(share)s%%, done in %(left)s"),
    "converting?": _("Reading rows and finding types"),
    "decoding": _("Turning the text into UTF-8: %(share)s%%, done in %(left)s"),
    "decoding?": _("Turning the text into UTF-8"),
    "profiling": _("Looking at each column: %(share)s%%, done in %(left)s"),
    "profiling?": _("Looking at each column"),
    "exporting": _("Writing rows: %(share)s%%, done in %(left)s"),
    "exporting?": _("Writing rows"),
    "packing": _("Packing and checking: %(share)s%%, done in %(left)s"),
    "packing?": _("Packing and checking"),
    "storing": _("Storing"),
    # an address that cannot be fetched
    "url_malformed": _("This is not a web address. It should look like https://example.com/data.csv."),
    "url_scheme": _("Only http and https addresses can be fetched, not %(scheme)s."),
    "url_credentials": _("Leave user name and password out of the address."),
    "url_hidden": _(
        "A part of this address is hidden (…), as signatures and tokens are wherever addresses are shown. Enter the "
        "address as you were given it."
    ),
    "url_port": _("Port %(port)s may not be fetched from. Ask your administrator to allow it."),
    "url_not_allowed": _(
        "This address may not be fetched: it is not on the public internet. An administrator can allow servers of your "
        "network."
    ),
    "host_unresolvable": _(
        "There is no public server by the name %(host)s. Check the address; an administrator can allow servers of your "
        "network."
    ),
    "addresses_too_many": _(
        "Too many of your addresses led to no public server, so none is fetched for %(wait)s. Check them; files can be "
        "sent meanwhile."
    ),
    "connection_failed": _("The server could not be reached. Check the address, or try again later."),
    "connection_closed": _("The server broke off after %(received)s of %(total)s. Try again later."),
    "connection_closed?": _("The server broke off before the file was whole. Try again later."),
    "tls_failed": _("The server's certificate cannot be trusted (%(reason)s)."),
    "bad_answer": _("The server's answer is not HTTP as we know it."),
    "http_not_found": _("The server has nothing at this address (%(status)s). Check the address."),
    "http_forbidden": _("The server does not give this to us (%(status)s). Use an address that needs no log-in."),
    "http_forbidden.expired": _(
        "The server does not give this to us (%(status)s). The link is signed and may have expired: ask for a new one."
    ),
    "http_status": _("The server answered with an error (%(status)s)."),
    "http_status.expired": _(
        "The server answered with an error (%(status)s). The link is signed and may have expired: ask for a new one."
    ),
    "http_status.partial": _(
        "The server sent only a part of the file (%(status)s) although all of it was asked for. Try again later, or "
        "use another address."
    ),
    "parts_disagree": _(
        "The server's answers do not fit together: the file changed on the way, or its parts are not what they are "
        "said to be. Try again later."
    ),
    "redirect_insecure": _("The server leads from https to http, which we do not follow."),
    "too_many_redirects": _("The server leads in circles: more than %(limit)s redirects."),
    "no_answer": _("The server did not answer in time. Try again later."),
    "too_slow": _("The server stopped sending, or sends too slowly. Try again later."),
    "too_long": _("The fetch took more than %(seconds)s seconds."),
    "too_large": _("The file is larger than the limit of %(limit)s."),
    "bomb": _("The file unpacks to more than %(ratio)s times its size; such a file is not accepted."),
    # a file that cannot be read
    "file_empty": _("The file is empty."),
    "gzip_corrupt": _("The gzip file is damaged or cut off. Fetch it again, or have it made anew."),
    "not_data": _("This is no data file (%(found)s). Look for the address of the data itself."),
    "not_data.html": _("This is a web page, not data. Look on it for the address of the data itself."),
    "not_data.text": _(
        "This is a line of text, not a table: “%(text)s”. If it holds the names of columns, say that the format is CSV."
    ),
    "not_data.login": _LOG_IN_PAGE,
    "not_data.share_page": _SHARE_PAGE,
    "format_not_supported": _(
        "Files of this format (%(found)s) are not read. Use CSV, TSV, JSON, NDJSON, Parquet or Excel."
    ),
    "format_not_supported.xls": _(
        "This is a workbook of an old kind (.xls). Open it in a spreadsheet program and save it as .xlsx."
    ),
    "format_not_supported.xlsb": _(
        "This is a binary workbook (.xlsb). Open it in a spreadsheet program and save it as .xlsx."
    ),
    "format_not_supported.ods": _(
        "This is an OpenDocument workbook (.ods). Open it in a spreadsheet program and save it as .xlsx."
    ),
    "format_not_supported.numbers": _("This is a workbook of Numbers. Export it as Excel or CSV."),
    "format_not_supported.encrypted": _(
        "The workbook needs a password. Open it in a spreadsheet program and save it without one."
    ),
    "not_what_it_says": _("You said %(said)s, but the file is %(found)s. Choose that format, or leave it open."),
    "not_what_it_says.login": _LOG_IN_PAGE,
    "not_what_it_says.share_page": _SHARE_PAGE,
    "not_utf8": _(
        "Line %(line)s is not UTF-8 text: byte %(byte)s of the file (%(hex)s). Choose the file's encoding, or have "
        "such bytes replaced."
    ),
    "not_text_in": _(
        "Line %(line)s is not %(encoding)s text: byte %(byte)s of the file (%(hex)s). Choose another encoding, or have "
        "such bytes replaced."
    ),
    "csv_broken_row": _("Rows that cannot be read: %(broken)s. The first is at line %(line)s."),
    "csv_broken_row.columns": _(
        "Rows that cannot be read: %(broken)s. The first is at line %(line)s: it has %(found)s values where "
        "%(expected)s are expected."
    ),
    "csv_broken_row.quote": _(
        "Rows that cannot be read: %(broken)s. The first is at line %(line)s: it has a quotation mark that is never "
        "closed."
    ),
    "csv_broken_row.after_quote": _(
        "Rows that cannot be read: %(broken)s. The first is at line %(line)s: text goes on behind a closing quotation "
        "mark. Quotation marks inside of a text have to be doubled."
    ),
    "csv_broken_row.unreadable": _("Near line %(line)s a row cannot be read. Export the CSV again, as UTF-8."),
    "csv_broken_row.too_long": _(
        "Rows that cannot be read: %(broken)s. The first is at line %(line)s: it is too long."
    ),
    "csv_broken_row.encoding": _(
        "Rows that cannot be read: %(broken)s. The first is at line %(line)s: it is not UTF-8 text."
    ),
    "csv_rows_lost": _(
        "The file has %(rows)s rows, but %(read)s were read. Export the CSV again, as UTF-8; if it stays, tell your "
        "administrator."
    ),
    "lines_skipped_all": _("The file has only %(lines)s lines. Leave out fewer of them."),
    "ndjson_broken_line": _("Lines that cannot be read: %(broken)s. The first is line %(line)s: it is not JSON."),
    "ndjson_broken_line.not_object": _(
        "Lines that cannot be read: %(broken)s. The first is line %(line)s: it is no object."
    ),
    "ndjson_broken_line.too_deep": _(
        "Lines that cannot be read: %(broken)s. The first is line %(line)s: it is nested too deeply."
    ),
    "ndjson_broken_line.too_long": _(
        "Lines that cannot be read: %(broken)s. The first is line %(line)s: it is too long."
    ),
    "ndjson_broken_line.encoding": _(
        "Lines that cannot be read: %(broken)s. The first is line %(line)s: it is not UTF-8 text."
    ),
    "json_broken": _("The JSON is broken at line %(line)s. Correct it at the source, then fetch again."),
    "json_broken.value": _(
        "The JSON is broken (near value %(value)s of the array). Correct it at the source, then fetch again."
    ),
    "json_broken.cut": _("The JSON ends before its array is closed. Fetch it again, or have it made anew."),
    "parquet_corrupt": _("The Parquet file is damaged or cut off. Fetch it again, or have it made anew."),
    "parquet_corrupt.text": _("A text in the Parquet file is not UTF-8. Have the file made anew."),
    "parquet_not_supported": _(
        "The Parquet file holds what is not read here: %(what)s, in the column “%(column)s”. Have it written otherwise."
    ),
    "parquet_not_supported?": _("The Parquet file holds what is not read here (%(what)s). Have it written otherwise."),
    "parquet_encrypted": _("The Parquet file is encrypted. Have it made without encryption."),
    "xlsx_corrupt": _("The workbook is damaged. Open it in a spreadsheet program and save it again."),
    "xlsx_swollen": _(
        "The workbook is far larger inside than workbooks are (%(part)s). Copy the data into a new workbook, or save "
        "the sheet as CSV."
    ),
    "sheets_hidden": _(
        "All that can be seen in the workbook is empty. It has hidden sheets: %(names)s. Name the one to be read."
    ),
    "sheet_unknown": _("There is no sheet “%(sheet)s”. The workbook has: %(names)s."),
    "zstd_corrupt": _("The zstd file is damaged or cut off. Fetch it again, or have it made anew."),
    "zip_corrupt": _("The zip archive is damaged or cut off. Fetch it again, or have it made anew."),
    "zip_encrypted": _("The zip archive needs a password. Have it packed without one."),
    "zip_empty": _("There is no file in the zip archive."),
    "too_many_members": _("The file is packed in more than %(limit)s pieces. Pack it anew, as a whole."),
    "zip_too_many": _("There are more than %(limit)s files in the zip archive. Pack only what you need."),
    "zip_choose": _("There are %(count)s files in the zip archive. Choose one: %(names)s."),
    "zip_no_member": _("There is no file “%(member)s” in the zip archive. It has: %(names)s."),
    "too_many_columns": _("The file has %(columns)s columns, more than the limit of %(limit)s."),
    "too_much_memory": _(
        "Working on this file takes more memory than one task may hold (%(limit)s). Split the file, or send it as CSV; "
        "it was not tried again."
    ),
    "took_too_long": _(
        "Working on this file took more than %(seconds)s seconds, far longer than files of its size do, and was "
        "stopped. Split it, or send it in a plainer format, such as CSV."
    ),
    "reader_crashed": _(
        "The program that reads files broke down on this one, so it was not tried again. Save the file anew, or in "
        "another format; if it stays, tell your administrator."
    ),
    "rows_too_big": _("Single rows are too large. Split columns or shorten their texts, then try again."),
    # storage
    "disk_full": _("The disk is full. Your administrator has to make room; then try again."),
    "storage_failed": _("The file could not be kept (%(reason)s). Tell your administrator if it stays."),
    "store_foreign": _("Files cannot be taken in right now: the store is not this portal's. Tell your administrator."),
    "bucket_shared": _("Others keep files in this bucket (%(key)s). Name a prefix of its own: S3_PREFIX."),
    "file_damaged": _("The file is not what it was when it was stored. Tell your administrator."),
    "file_missing": _("The file of this dataset cannot be read right now."),
    # files that people send, and what may be kept
    "source_busy": _("Another attempt is still at this download. It will be tried again."),
    "source_gone": _("What this was made of is gone. Send the file again."),
    "source_twice": _("Give an address or a file, not both."),
    "upload_gone": _("The file you sent was kept for a day and is gone. Send it again."),
    "upload_incomplete": _("The file did not arrive whole. Send it again."),
    "file_missing_in_form": _("Choose a file."),
    "file_in_form": _("Send the file itself as the body (curl --data-binary @FILE), not in a form."),
    "length_required": _("Say how long the file is: Content-Length."),
    "transfers_too_many": _("Too many files are being sent and fetched at the moment. Try again in a few seconds."),
    "transfers_too_many.own": _("You send or fetch as many files as you may at once. Try again when one is through."),
    "quota_kept": _("You keep as much as you may (%(limit)s). Delete some datasets or exports first."),
    "quota_fetched": _("You have taken in as much as you may in a day (%(limit)s). Go on tomorrow."),
    # how a file is to be read, and made
    "headers_invalid": _("Give at most %(most)s headers, a name and a value each."),
    "header_name_invalid": _("This is no name of a header. Write one header a line, Name: value."),
    "header_value_invalid": _("The value of the header %(name)s has characters that cannot be sent."),
    "headers_erased": _(
        "The request headers of this task were erased when your account was switched off. Submit it anew with them."
    ),
    "header_not_allowed": _("The header %(name)s is ours to send. Leave it out."),
    "encoding_unknown": _("Choose one of %(choices)s, or leave it empty."),
    "quote_unknown": _("Choose a double or a single quotation mark, or none."),
    "delimiter_invalid": _("Give one character that no value contains, such as , or ;."),
    "text_invalid": _("Give a text of at most 500 characters."),
    "flag_invalid": _("Say true or false."),
    "count_invalid": _("Give a whole number from %(least)s to %(most)s."),
    "header_row_denied": _("Say in which line the names stand, or that there are none, not both."),
    "header_row_skipped": _("The line with the names lies among those that are left out at the top."),
    "uuid_invalid": _("This is no id."),
    "description_invalid": _("Use at most %(most)s characters."),
    "dataset_gone": _("The dataset was deleted. Nothing can be exported of it."),
    "export_format_unknown": _("Choose one of %(choices)s."),
    "export_choice_invalid": _("This format cannot be made so. Choose another %(choice)s."),
    "packing_unknown": _("Choose one of %(choices)s, or leave it empty."),
    "columns_invalid": _("Give a list of names of columns."),
    "column_missing": _("Choose the column that the value is to be compared with."),
    "column_unknown": _("There is no column “%(column)s”."),
    "xlsx_cell_too_long": _(
        "The text in column “%(column)s”, row %(row)s is longer than a cell of Excel may be. Choose another format."
    ),
    # looking at rows
    "conditions_too_many": _("Use at most %(limit)s conditions."),
    "condition_invalid": _("The condition on column “%(column)s” cannot be understood."),
    "condition_invalid?": _("Write conditions as a list of objects with column, op and value."),
    "condition_invalid.integer": _("Compare column “%(column)s” with a number."),
    "condition_invalid.number": _("Compare column “%(column)s” with a number."),
    "condition_invalid.boolean": _("Compare column “%(column)s” with true or false."),
    "condition_invalid.date": _("Compare column “%(column)s” with a date such as 2026-01-31."),
    "condition_invalid.timestamp": _("Compare column “%(column)s” with a moment such as 2026-01-31 08:00."),
    "condition_invalid.timestamp_with_time_zone": _(
        "Compare column “%(column)s” with a moment such as 2026-01-31 08:00."
    ),
    "condition_invalid.text": _("Compare column “%(column)s” with a text of at most 1000 characters."),
    "condition_invalid.list": _("Give a list of 1 to 100 values for column “%(column)s”."),
    "condition_invalid.nested": _(
        "Column “%(column)s” holds several values: only “contains” and “is empty” work on it."
    ),
    "condition_invalid.op": _("There is no such comparison for column “%(column)s”."),
    "sort_invalid": _("Sort by at most %(limit)s columns."),
    "sort_invalid.nested": _("Column “%(column)s” holds several values and cannot be sorted by."),
    "look_busy": _("Many people are looking at data right now. Try again in a few seconds."),
    "look_busy.own": _("Several of your pages are looking at data already. Try again when one of them is there."),
    "look_too_slow": _("This search takes too long. Use fewer or simpler conditions."),
    "look_too_large": _("These rows are too large to be shown. Export them instead."),
}
