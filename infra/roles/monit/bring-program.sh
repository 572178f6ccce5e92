# shellcheck shell=sh
# Run on the running monit by `pulumi up`, as root, through ssh: brings the environment of its service (on standard input: it may
# hold secrets) and the program. A machine that the group launches has the one from its user data, and fetches the other.
set -eu
env=${BARTON_MONITOR_ENV:-/etc/barton/monitor.env} # tests have it elsewhere
fetch=${BARTON_FETCH_PROGRAM:-/usr/local/lib/barton/fetch-program}

new=$(mktemp "$env.XXXXXX")
trap 'rm -f "$new"' EXIT
cat >"$new"
if ! [ -s "$new" ]; then
  echo "nothing of $env arrived on standard input: it is left as it was; run up again" >&2
  exit 1
fi

# With the new environment, which may be needed to reach the bucket. A machine that boots at this moment fetches the program as well:
# one waits for the other and then has nothing to do.
BARTON_MONITOR_ENV=$new "$fetch" '{{bucket}}' '{{key}}' '{{sha256}}' '{{hash}}'

# This is last, so that an `up` that ends before this line does everything again.
if cmp -s "$new" "$env"; then
  systemctl start barton-monitor.service
else
  mv "$new" "$env"
  systemctl restart barton-monitor.service
fi
