# One target per wish; `./dev` does the work. Arguments go through ARGS: make test ARGS='-k tasks'

.DEFAULT_GOAL := help
.PHONY: help run test lint fix lock migrate messages shell clean admin prove-codes prove-sms prove-tokens prove-silence

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

messages: ## Collect the texts to translate into portal/translations
	@./dev messages

shell: ## Open a Python shell inside the application
	@./dev flask shell $(ARGS)

clean: ## Remove caches and the virtualenv; data stays
	@./dev clean

admin: ## Create an administrator (of the portal that `make run` runs, or of DATABASE_URL)
	@./dev flask users create-admin $(ARGS)

prove-codes: ## Guesses on one code at once: five compared, one wins (SHORT=1: quick)
prove-sms: ## Thousands of requests: no SMS more than the limits allow (SHORT=1: quick)
prove-tokens: ## Two tabs never log out, a stolen token always does (SHORT=1: quick)
prove-silence: ## Nothing tells whether an account exists, time included (SHORT=1: quick)
prove-codes prove-sms prove-tokens prove-silence:
	@./dev prove $(@:prove-%=%)
