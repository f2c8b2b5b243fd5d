# lib.sh - what the scripts beside it share.  Sourced, never run.
#
# PostgreSQL refuses to run as root, and the unprivileged user may not be able
# to read the checkout, let alone write to it.  So whatever servers and tests
# need is copied to a run directory of their own (new_run_dir), and what root
# starts there runs as user postgres, else nobody (as_user).

set -euo pipefail
umask 022

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
bin=$top/test/bin

# A server of the caller's must not be reached by accident.
for name in $(compgen -e | grep '^PG' | grep -vE '^(PG_CONFIG|PG_TEST_.*)$' || true); do
	unset "$name"
done

# The version of reference, if it is there and the caller names no other.
if [ -z "${PG_CONFIG:-}" ]; then
	PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config
	[ -x "$PG_CONFIG" ] || PG_CONFIG=pg_config
fi

# Exit code 2: could not do the work at all; 1 is left to tests that failed.
die()
{
	echo "${0##*/}: $*" >&2
	exit 2
}

# Put into the array "unprivileged" what runs a command as an unprivileged user,
# at home in the run directory.
set_unprivileged()
{
	local user=postgres

	unprivileged=(env HOME="${run_dir:-/}")
	if [ "$(id -u)" = 0 ]; then
		id -u postgres >/dev/null 2>&1 || user=nobody
		unprivileged+=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups)
	fi
}

as_user()
{
	local unprivileged

	set_unprivileged
	"${unprivileged[@]}" "$@"
}

# Give a directory to the user of as_user.
give_to_user()
{
	if [ "$(id -u)" = 0 ]; then
		chown "$(as_user id -u):$(as_user id -g)" "$1"
	fi
}

# End the servers whose data directories are under $1, at once.  A postmaster
# is ours if it works in its data directory: a stale pid never is.
end_servers()
{
	local file pid
	find "$1" -name postmaster.pid 2>/dev/null | while read -r file; do
		read -r pid <"$file" || continue
		if [ "$(readlink "/proc/$pid/cwd")" = "$(dirname "$file")" ]; then
			kill -QUIT "$pid" || continue
			for _ in $(seq 100); do
				kill -0 "$pid" 2>/dev/null || break
				sleep 0.1
			done
		fi
	done
}

# Make $run_dir, which ends with the script, and its servers with it.  KEEP=1
# keeps all; if the script has set keep_logs, since tests failed, only the
# installation and the data directories go.
keep_logs=
new_run_dir()
{
	# short, since the path of a unix socket has 107 bytes at most
	local base=${TMPDIR:-/tmp}

	if [ ${#base} -gt 40 ] || ! as_user test -w "$base"; then
		base=/tmp
	fi
	run_dir=$(mktemp -d "$base/qtopic.XXXXXX")
	trap end_run_dir EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	give_to_user "$run_dir"
}

end_run_dir()
{
	trap '' INT TERM HUP
	cd /
	end_servers "$run_dir"
	if [ "${KEEP:-0}" = 1 ]; then
		echo "kept: $run_dir" >&2
	elif [ -n "$keep_logs" ]; then
		find "$run_dir" -type d -name global -prune -printf '%h\n' |
			while read -r data; do rm -rf "$data"; done
		rm -rf "$run_dir/pg" "$run_dir/tmp"
		echo "logs and results are in $run_dir; KEEP=1 keeps the data directories too" >&2
	else
		rm -rf "$run_dir"
	fi
}

# Where scratch keeps its builds, and check the results that ack accepts.
cache_dir()
{
	local cache
	cache=${QTOPIC_CACHE:-${TMPDIR:-/tmp}/qtopic-$(id -u)-$(printf %s "$top" | cksum | cut -d' ' -f1)}
	mkdir -p "$cache"
	[ -O "$cache" ] || die "$cache belongs to somebody else; set QTOPIC_CACHE to another directory"
	echo "$cache"
}
