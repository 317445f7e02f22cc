"""Whether a dispatcher's store is its database's: found out by the reaper's thread, since a store may be slow."""

import time

from loguru import logger

from portal.errors import Fault
from portal.extensions import db, gateways
from portal.services import store_identity, tidying
from portal.services.store_identity import Found, Reason

LOOK_SECONDS = 60  # while it is ours; as long as it is not, in each round
SURVEY_SECONDS = 600  # between two looks through all files of one that is not tied to any database


class StoreWatch:
    """`is_ours` and `reason` may be asked by any thread; `look` is for one."""

    def __init__(self) -> None:
        self.reason: Reason | None = None  # nobody has looked yet
        self._looked = self._surveyed = float("-inf")
        self._begun = False
        self._untied: Reason = "unmarked"

    @property
    def is_ours(self) -> bool:
        return self.reason == ""

    @property
    def is_foreign(self) -> bool:
        return self.reason not in (None, "", "new")

    def look(self) -> None:
        """Tie a store that is new, count up the generation of one that is ours; while it is away nothing changes."""
        if self.is_ours and time.monotonic() - self._looked < LOOK_SECONDS:
            return
        try:
            found = store_identity.look()
            if found.reason in ("new", "unmarked"):
                found = self._tied(found)
            if not found.reason:
                mark = store_identity.renew(starts=not self._begun)
                db.session.commit()
                store_identity.write(mark)
                self._begun = True
                self._looked = time.monotonic()
        except (Fault, OSError) as error:
            logger.warning("store: {}", type(error).__name__)
        else:
            self._note(found.reason)

    def _tied(self, found: Found) -> Found:
        """As it is once it has been tied, if nothing can be lost by that."""
        if time.monotonic() - self._surveyed < SURVEY_SECONDS:
            return Found(self._untied)
        survey, is_shared = tidying.survey(), gateways().store.stranger()
        if is_shared or not store_identity.may_tie(found, survey):
            self._untied, self._surveyed = "shared" if is_shared else "unmarked", time.monotonic()
            logger.warning("store: {}", survey)
            return Found(self._untied)
        mark = store_identity.tie(found)
        db.session.commit()
        if mark:
            store_identity.write(mark)
        return store_identity.look()

    def _note(self, reason: Reason) -> None:
        if reason == self.reason:
            return
        if reason:
            logger.error("store: not of this database ({}): nothing is tidied, no task starts", reason)
        else:
            logger.info("store: ours")
        self.reason = reason
