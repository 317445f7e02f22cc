"""How long a client may take, and how much it may send; seconds and bytes."""

TARGET_BYTES = 8 * 1024
HEAD_BYTES = 64 * 1024
HEADERS = 100
CHUNKED_SHARE = 8  # times a body, of all its chunks as they are sent: each byte may be a chunk of its own
HEAD_SECONDS = 10.0  # from the first byte of a request, or from the connection, to the end of its headers
BODY_SECONDS = 30.0  # of a body that is held in memory
IDLE_SECONDS = 75.0  # longer than proxies keep a connection for another request
FAREWELL_SECONDS = 2.0  # what a client still sends is read away so long: else it would not see why it was refused
FAREWELL_BYTES = 1024 * 1024
LEAST_RATE = 1024  # bytes a second, of large bodies and of answers, over the setting FETCH_STALL_SECONDS
ANSWER_SECONDS = 3600.0  # a download is resumed by Range
STOP_SECONDS = 5.0

PIECE_BYTES = 256 * 1024  # of a large body or answer in memory
HELD_BYTES = 64 * 1024 * 1024  # bodies and answers in memory, all together
CONNECTIONS = 4000
UNFINISHED = 64  # requests of one network that have not come in full
YOUNG_SECONDS = 2.0  # an honest request is complete by then: only older ones make room for others
PIPELINED = 16

THREADS = 16
THREADS_OF_ONE = 6  # network, at work at once
FEW = 2  # unfinished requests: so many has a browser that sends something; who has more is in no hurry
THREADS_OF_MANY = 4  # for all networks together that have more
WAITING = 500  # requests that are complete and wait for a thread
WAITING_OF_ONE = 250  # of them of one network: a whole office may come at once
HUNG_SECONDS = 12.5  # all threads at one step each, for longer than a request waits for PostgreSQL
STUCK_SECONDS = 120.0  # a thread that takes longer for one step is given up, and another takes its place
BEAT_SECONDS = 1.0
LATE_SECONDS = 9.0  # a process without a beat for so long is replaced
