"""Each limit, named once."""

from dataclasses import dataclass

MINUTE, HOUR, DAY = 60, 3600, 86400


@dataclass(frozen=True)
class Window:
    """At most `count` in any `seconds`."""

    count: int
    seconds: int


@dataclass(frozen=True)
class Share:
    """Of what is scarce in a process: `places` at work, `own` of them of one owner; `queue` may wait for no longer than
    `seconds`, `own_queue` of them of one owner. Whoever waits holds a thread: all queues together leave most free.
    """

    places: int
    own: int
    queue: int
    own_queue: int
    seconds: float


# Whoever opens five pages at once is never refused: one looks, four wait.
LOOKS_SHARE = Share(places=2, own=1, queue=6, own_queue=4, seconds=3.0)
TRANSFERS_SHARE = Share(places=8, own=3, queue=2, own_queue=1, seconds=0.5)
# Owners are networks. As many at work as leave the process able to answer others.
PASSWORDS_SHARE = Share(places=2, own=1, queue=4, own_queue=3, seconds=2.0)

SMS_PER_NUMBER = (Window(1, MINUTE), Window(5, HOUR), Window(10, DAY))
SMS_RESEND_SECONDS = SMS_PER_NUMBER[0].seconds
MAIL_PER_ADDRESS = (Window(1, MINUTE), Window(5, HOUR), Window(10, DAY))
TASK_MAIL_PER_ADDRESS = (Window(10, MINUTE), Window(60, HOUR), Window(200, DAY))
# Notices to owners take no share of a limit. Each kind of change is told at once; again, in one message, after:
NOTICE_AGAIN_SECONDS = {"mail": 15 * MINUTE, "sms": HOUR}
SIGN_UP_SECONDS = 10 * MINUTE  # so long every device is the one that signed up
TASK_MAIL_SHARE = 0.5  # of the mail budget; the rest is for links that somebody waits for
# Of the last so many codes to numbers with a common beginning, fewer than this share used: somebody is pumping.
PREFIX_SENDS, PREFIX_SHARE = 50, 0.3
PREFIX_DIGITS = 7

# Log-ins, counted before the password is compared; those that succeed give their place back.
LOGIN_PER_NAME = (Window(6, 5 * MINUTE),)
LOGIN_PER_ACCOUNT = (Window(10, 5 * MINUTE),)  # over all of its names; beyond it nothing is compared, and nothing told
LOGIN_PER_NETWORK = (Window(30, 5 * MINUTE),)
LOGIN_OVERALL = (Window(1000, 5 * MINUTE),)
LOGIN_WITHOUT_CAPTCHA = (Window(3, 5 * MINUTE),)  # after failures, while the captcha service is away
CAPTCHA_AFTER = (Window(3, 15 * MINUTE),)
CAPTCHA_AFTER_IN_NETWORK = (Window(10, 15 * MINUTE),)  # behind one address may be a whole office
CONFIRM_PER_USER = (Window(10, 5 * MINUTE),)
OTP_PER_USER = (Window(5, 5 * MINUTE), Window(20, HOUR), Window(50, DAY))
RESET_PER_NETWORK = (Window(5, HOUR), Window(20, DAY))  # of those without a captcha, from programs
SPRAYED_ACCOUNTS = (Window(21, 10 * MINUTE),)  # different ones that fail: more than twenty are no office on a Monday
REFUSALS_NOTED = (Window(300, 5 * MINUTE),)  # events of a kind, of what costs whoever causes them nothing
REFUSED_ADDRESSES = (Window(10, HOUR),)  # of one user: those inside, those that are nowhere
FRESH_SECONDS = 10 * MINUTE
LINK_SECONDS = {"verify_email": 3 * DAY, "reset_password": 30 * MINUTE}

JUDGED_PER_NETWORK = (Window(60, 5 * MINUTE),)  # new passwords, by those who may set one

GUESSES_PER_NETWORK = (Window(60, 5 * MINUTE),)
CODE_DIGITS = 6
CODE_SECONDS = 300
CODE_TRIES = 5
# Of one number, over all the codes sent to it; by when the code was sent, which may be guessed at for CODE_SECONDS.
WRONG_CODES_PER_NUMBER = Window(20, DAY + CODE_SECONDS)

ACCESS_SECONDS = 30 * MINUTE
REFRESH_SECONDS = 7 * DAY
REFRESH_GRACE_SECONDS = 10
BROWSER_SESSION_SECONDS = 14 * DAY

BODY_BYTES = 256 * 1024
FORM_PARTS = 1000
JSON_DEPTH, JSON_KEYS = 32, 500

TASK_RETRIES = 3  # after faults that can pass
TASK_LOSSES = 3  # so often a task may take its worker with it
TASK_SECONDS = 30 * MINUTE
TASK_BEAT_SECONDS = 1.0
TASK_GIVE_UP_SHARE = 0.75  # of the lease: without a good beat for so long a worker stops by itself
DOORBELL_SECONDS = 5
IDEMPOTENCY_SECONDS = DAY
POLLS_PER_MINUTE = 600  # of one log-in: a page asks once a second
BULK_MAX = 100
FORGOTTEN_AT_ONCE = 5000  # about, of old tasks in one transaction
STEPS_MAX = 200  # of a timeline
PLACES_MAX = 1000  # places in the queue are told to so many that wait

TRASH_SECONDS = 7 * DAY  # so long what was removed from the store lies in its trash
ORPHANS_AT_ONCE, ORPHANS_SHARE = 20, 0.01  # more files without a row than both are a fault somewhere, and stay

REQUEST_HEADERS_MAX, REQUEST_HEADER_CHARS = 20, 4000
DESCRIPTION_MAX = 2000

PAGE_SIZE = 20
PAGE_SIZE_MAX = 100
PAGE_BYTES = 4 * 1024**2  # about; one item is always on a page
PREVIEW_ROWS = 50
CELL_CHARS = 300  # of a text on a page of rows
CELL_CHARS_ALONE = 20_000  # of a text on the page of one row
ROWS_MAX = 1000

PASSWORD_MIN, PASSWORD_MAX = 8, 128
PASSWORD_SCORE = 3
