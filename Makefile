# One target per wish; `./dev` does the work. Arguments go through ARGS: make test ARGS='-k tasks'

.DEFAULT_GOAL := help
.PHONY: help run test lint fix lock migrate messages shell clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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
	@./dev migrate $(ARGS)

messages: ## Collect the texts to translate into portal/translations
	@./dev messages

shell: ## Open a Python shell inside the application
	@./dev shell $(ARGS)

clean: ## Remove caches and the virtualenv; data stays
	@./dev clean
