# Makefile - builds qtopic with PGXS, and gives developers their targets.
#
#   make && sudo make install      build and install for the server of PG_CONFIG
#   make check                     everything that must pass, on throw-away servers
#   make help                      the developers' targets

EXTENSION = qtopic
EXTVERSION = 0.1
MODULE_big = qtopic

# Explicit and sorted: a stray file must not enter the build.
OBJS = \
	src/api_consume.o \
	src/api_fetch.o \
	src/api_group.o \
	src/api_member.o \
	src/api_produce.o \
	src/api_record_batch.o \
	src/api_rows.o \
	src/api_topic.o \
	src/api_view.o \
	src/append.o \
	src/assignor.o \
	src/batch_packer.o \
	src/catalog.o \
	src/codec.o \
	src/consume.o \
	src/consume_portal.o \
	src/debug_point.o \
	src/deferred.o \
	src/event_topic.o \
	src/fdw_analyze.o \
	src/fdw_handler.o \
	src/fdw_modify.o \
	src/fdw_plan.o \
	src/fdw_scan.o \
	src/fetch.o \
	src/group.o \
	src/group_activity.o \
	src/group_catalog.o \
	src/group_lock.o \
	src/group_state.o \
	src/guc.o \
	src/launcher.o \
	src/member_catalog.o \
	src/member_state.o \
	src/membership.o \
	src/notify.o \
	src/offset_commit.o \
	src/offset_reset.o \
	src/offset_sequence.o \
	src/partition_scan.o \
	src/partitioner.o \
	src/poll.o \
	src/position.o \
	src/produce.o \
	src/qtopic.o \
	src/record_batch.o \
	src/record_headers.o \
	src/record_row.o \
	src/segment_store.o \
	src/shmem.o \
	src/stop_set.o \
	src/topic.o \
	src/topic_cache.o \
	src/topic_config.o \
	src/topic_reader.o \
	src/topic_view.o \
	src/waits.o \
	src/wakeup.o \
	src/worker.o \
	src/worker_hooks.o \
	src/worker_slots.o

# The order is the order in which CREATE EXTENSION runs them.
SQL_FRAGMENTS = \
	sql/10_schema.sql \
	sql/20_catalog.sql \
	sql/25_group_catalog.sql \
	sql/27_member_catalog.sql \
	sql/30_fdw.sql \
	sql/40_topic.sql \
	sql/45_record_batch.sql \
	sql/50_produce.sql \
	sql/60_fetch.sql \
	sql/62_consume.sql \
	sql/64_group.sql \
	sql/65_view.sql \
	sql/66_member.sql \
	sql/70_views.sql \
	sql/72_group_views.sql \
	sql/75_event_triggers.sql \
	sql/80_grants.sql

DATA_built = $(EXTENSION)--$(EXTVERSION).sql
DATA = $(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/sql/$(EXTENSION)--*--*.sql))

PG_CPPFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers
ifeq ($(WERROR),1)
PG_CPPFLAGS += -Werror
endif
SHLIB_LINK = -llz4 -lzstd

# installcheck runs these on a server that is there and has qtopic preloaded.
REGRESS = $(patsubst test/sql/%.sql,%,$(wildcard test/sql/*.sql))
REGRESS_OPTS = --inputdir=test --load-extension=qtopic
ISOLATION = $(patsubst test/specs/%.spec,%,$(wildcard test/specs/*.spec))
ISOLATION_OPTS = --inputdir=test --outputdir=. --load-extension=qtopic

PG_CONFIG ?= pg_config

DEV_TARGETS = help deps demo check check-regress check-isolation check-pgtap \
	check-tap lint cluster bench bench-peers stress mutants ack format typedefs

ifneq ($(filter $(DEV_TARGETS),$(MAKECMDGOALS)),)

# These work before PostgreSQL is installed, so they stay away from PGXS: the
# scripts install what is missing and build in a scratch directory.  T=name
# (or several names) selects tests.

.PHONY: $(DEV_TARGETS) all install uninstall installcheck clean distclean
.NOTPARALLEL:

select = $(if $(T),$(addprefix $(1):,$(T)),$(1))

help:
	@sed -n 's/^#: //p' Makefile

#: make deps                install the packages that building and testing need
deps:
	@test/bin/deps

#: make demo                show what qtopic does, on a throw-away server
demo: deps
	@test/bin/demo

#: make check               build both flavors, then lint and all tests
check: deps
	@test/bin/check

#: make check-regress       pg_regress tests: test/sql                    [T=name]
check-regress: deps
	@test/bin/check $(call select,regress)

#: make check-isolation     isolation tests: test/specs                   [T=name]
check-isolation: deps
	@test/bin/check $(call select,isolation)

#: make check-pgtap         pgTAP tests: test/pgtap                       [T=name]
check-pgtap: deps
	@test/bin/check $(call select,pgtap)

#: make check-tap           processes and crashes: test/t                 [T=name]
check-tap: deps
	@test/bin/check $(call select,tap)

#: make check-headers       compile each header alone
#: make lint                layers, symbols, fragments, tests, sizes
lint: deps
	@test/bin/lint

#: make cluster             psql on a throw-away server                   [FSYNC=on]
cluster: deps
	@test/bin/cluster run

#: make bench               speed, as ratios to plain PostgreSQL          [T=part]
bench: deps
	@test/bin/bench $(T)

#: make bench-peers         speed, beside a Kafka broker and PgQ          [T=part ROUNDS=5]
bench-peers: deps
	@test/bin/bench-peers $(T)

#: make stress              long random tests of test/stress              [T=name STRESS_SECONDS=60]
stress: deps
	@test/bin/check $(call select,stress)

#: make mutants             break rules on purpose: test/mutants          [T=name]
mutants: deps
	@test/bin/mutants $(T)

#: make ack                 accept the results of the last failed tests   [T=name]
ack:
	@test/bin/ack $(T)

#: make format              indent src/ as PostgreSQL does
format: deps
	@test/bin/format

#: make typedefs            print the type names that the formatter must know
typedefs: deps
	@test/bin/format --typedefs

# So that `make clean check` works too.
all install uninstall installcheck clean distclean:
	+@$(MAKE) --no-print-directory $@

else

PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(PGXS),)
$(error $(PG_CONFIG) not found: install postgresql-server-dev-15, or give PG_CONFIG=path)
endif

# No bitcode, so clang is not needed.
override with_llvm = no

include $(PGXS)

# A header that changes rebuilds everything; a VPATH build needs its own src/.
$(OBJS): $(wildcard $(srcdir)/src/*.h) | $(CURDIR)/src

$(CURDIR)/src:
	mkdir -p $@

$(DATA_built): $(SQL_FRAGMENTS) $(srcdir)/Makefile
	{ printf '%s\n' '\echo Use "CREATE EXTENSION $(EXTENSION)" to load this file. \quit' && \
	  cat $(filter %.sql,$^); } >$@.tmp
	mv $@.tmp $@

# A header must include what it needs, besides postgres.h, and stand being included twice.
.PHONY: check-headers clean-scratch
check-headers:
	@for header in $(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/src/*.h)); do \
	  printf '#include "postgres.h"\n#include "%s"\n#include "%s"\n' $$header $$header | \
	    $(CC) $(CFLAGS) $(CPPFLAGS) -Werror -fsyntax-only -x c - || { echo "$$header: does not compile alone"; exit 1; }; \
	done

clean: clean-scratch
clean-scratch:
	@$(srcdir)/test/bin/scratch clean

endif
