# lib-bench.sh - the server, the clients and the events that bench and
# bench-peers share.  Sourced, never run.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Start a server in the run directory, and put beside it in $run_dir/bench all
# that the programs of test/bench need.
prepare_bench()
{
	local program events

	export FLAVOR=plain FSYNC=on
	export CONF="
		shared_buffers = '1GB'
		max_wal_size = '8GB'
		min_wal_size = '2GB'
		checkpoint_timeout = '1h'
		synchronous_commit = on
		max_connections = 50
	"
	"$bin/cluster" init "$run_dir/server"
	"$bin/cluster" start "$run_dir/server"
	bindir=$(cat "$run_dir/server/bindir")
	as_user "$bindir/psql" -Xq -h "$run_dir/server/socket" -U postgres -c 'CREATE EXTENSION qtopic' postgres

	# the user of the server may not be able to read the checkout
	mkdir "$run_dir/bench"
	cp "$top"/test/bench/*.py "$run_dir/bench"
	for program in client consumer; do
		cc -O2 -Wall -Wextra -Werror -I"$("$PG_CONFIG" --includedir)" -o "$run_dir/bench/$program" \
			"$top/test/bench/$program.c" "$top/test/bench/util.c" -L"$("$PG_CONFIG" --libdir)" -lpq
	done

	events=${QTOPIC_EVENTS:-$top/../shared/data/events.ndjson.gz}
	if [ -r "$events" ]; then
		case $events in
			*.gz) gzip -dc "$events" ;;
			*) cat "$events" ;;
		esac >"$run_dir/bench/events.ndjson"
	elif [ -n "${QTOPIC_EVENTS:-}" ]; then
		die "cannot read $events"
	else
		"$top/test/demo/generate_events" 20000 >"$run_dir/bench/events.ndjson"
	fi
	chmod -R a+rX "$run_dir/bench"
	give_to_user "$run_dir/bench"
}

# take_json "$@": set $json to the file of --json FILE, and $shift to the number
# of arguments that took
take_json()
{
	json=
	shift=0
	if [ "${1:-}" = --json ]; then
		[ $# -ge 2 ] || die "--json needs a file"
		: >"$2" || die "cannot write to $2"
		json=$(realpath "$2")
		shift=2
	fi
}

# run_bench PROGRAM PART...: measure, and exit as the program does
run_bench()
{
	local program=$1 status=0

	shift
	as_user env PATH="$bindir:$PATH" PGHOST="$run_dir/server/socket" PGUSER=postgres PGDATABASE=postgres \
		PGDATA="$run_dir/server/data" PGCLIENTENCODING=UTF8 \
		python3 -B "$run_dir/bench/$program" ${json:+--json "$run_dir/bench/results.json"} \
		--events "$run_dir/bench/events.ndjson" "$@" || status=$?
	[ -z "$json" ] || cat "$run_dir/bench/results.json" >"$json"
	[ $status = 0 ] || keep_logs=1
	exit $status
}
