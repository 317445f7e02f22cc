"""What tells a large file from one that only makes its reader work: how much comes out of it for the time it takes."""

import time

from portal.errors import Fault

SECONDS = 15.0  # of a processor, for whatever is read
SECONDS_EACH = 20e-6  # for each row and each value that comes out of it: three times what an honest one takes


class Pace:
    """Of a workbook; who reads it counts in `found` the rows and values it holds."""

    def __init__(self) -> None:
        self.found = 0
        self._began = time.process_time()

    def check(self, part: str) -> None:
        """Raises `Fault('xlsx_swollen')` with the name of the part that is being read."""
        if time.process_time() - self._began > SECONDS + self.found * SECONDS_EACH:
            raise Fault("xlsx_swollen", part=part.rpartition("/")[2][:100])
