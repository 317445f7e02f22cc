# One target per wish; `./dev` does the work. Arguments go through ARGS: make test ARGS='-k tasks'

.DEFAULT_GOAL := help
.PHONY: help run test lint fix lock migrate messages shell clean admin prove-codes prove-sms prove-tokens
.PHONY: prove-limits prove-silence
.PHONY: prove-once prove-cancel prove-fair prove-shares prove-submit prove-degraded prove-start prove-lists prove-scale prove-data prove-api prove-bombs prove-clients

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## Install what is needed and start everything; Ctrl-C stops it
	@./dev run $(ARGS)

test: ## Run the tests, real browser and databases included
	@./dev test $(ARGS)

lint: ## Check style, types and the import contracts
	@./dev lint

fix: ## Let ruff repair and format what it can
	@./dev fix $(ARGS)

lock: ## Pin requirements*.in into requirements*.txt (ARGS=--upgrade)
	@./dev lock $(ARGS)

migrate: ## Bring the database at DATABASE_URL up to date
	@./dev flask db upgrade $(ARGS)

messages: ## Collect the texts to translate, and the error codes into docs/errors.md
	@./dev messages

shell: ## Open a Python shell inside the application
	@./dev flask shell $(ARGS)

clean: ## Remove caches and the virtualenv; data stays
	@./dev clean

admin: ## Create an administrator (of the portal that `make run` runs, or of DATABASE_URL)
	@./dev flask users create-admin $(ARGS)

prove-codes: ## Guesses on one code at once: five compared, one wins (SHORT=1: quick)
prove-sms: ## Thousands of requests: no SMS more than the limits allow (SHORT=1: quick)
prove-limits: ## 1,000 wrong log-ins in every spelling: ten compared, nobody else limited (SHORT=1: quick)
prove-tokens: ## Two tabs never log out, a stolen token always does (SHORT=1: quick)
prove-silence: ## Nothing tells whether an account exists, time included (SHORT=1: quick)
prove-once: ## Parts are killed 150 times: each accepted task is done, once (SHORT=1: quick)
prove-cancel: ## 200 cancels at any moment: kept within 5 s, nothing left (SHORT=1: quick)
prove-fair: ## One user's 1,000 tasks and a storm of polls hold nobody up (SHORT=1: quick)
prove-shares: ## One member, or 16 strangers, at full tilt: others are answered as before (SHORT=1: quick)
prove-submit: ## 50 equal submits and a kill: one task, one run, equal answers (SHORT=1: quick)
prove-degraded: ## Redis and PostgreSQL fail in every way: no 500, nothing lost (SHORT=1: quick)
prove-start: ## From submit to start on an idle system, beside a bare queue (SHORT=1: quick)
prove-lists: ## A million tasks: the last page costs what the first does (SHORT=1: quick)
prove-scale: ## Two of everything, disks of their own: either may go (SHORT=1: quick)
prove-api: ## 5,000 calls from the API's description: each answer is what it says (SHORT=1: quick)
prove-clients: ## Strangers' generators and linters read the description without a warning
prove-bombs: ## Files made to swell: each fails with its reason, in 600 MB, once (SHORT=1: quick)
prove-data: ## Files in and out: speed, memory, kills, equal values, guards (SHORT=1: quick; ARGS: parts)
prove-front: ## Nobody stops the web: thousands of slow, silent, broken connections (SHORT=1: quick)
prove-front prove-codes prove-sms prove-limits prove-tokens prove-silence \
prove-once prove-cancel prove-fair prove-shares prove-submit prove-degraded prove-start prove-lists prove-scale prove-data prove-api prove-bombs prove-clients:
	@./dev prove $(@:prove-%=%) $(ARGS)
