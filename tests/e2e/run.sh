#!/bin/bash
# Runs Kubernetes' own end-to-end tests with kube-proxy and with Fairlead on one cluster, and puts the results side by side.
#
#   tests/e2e/run.sh [-s SUITE] [-m MODE] [-p N] [-f FAIRLEAD] [-k] K8S_NETNS
#
#   K8S_NETNS    a checkout of k8s-netns, which makes the cluster in namespaces of this machine
#   -s SUITE     which of its suites; may be given several times (default: conformance)
#   -m MODE      nftables or iptables, for both (default: nftables)
#   -p N         tests at a time (default: 3)
#   -f FAIRLEAD  the program (default: target/release/fairlead)
#   -k           leave the cluster up; one that was up before is left up in any case
#
# The table is printed and left in $WORKDIR/reports/side-by-side.md. The exit status is 0 if Fairlead passed what kube-proxy
# passed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
suites=() mode=nftables at_once=3 fairlead=$here/../../target/release/fairlead keep=
while getopts s:m:p:f:k option; do
  case $option in
    s) suites+=("$OPTARG") ;;
    m) mode=$OPTARG ;;
    p) at_once=$OPTARG ;;
    f) fairlead=$OPTARG ;;
    k) keep=1 ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ $# = 1 ] && [ -x "$1/up.sh" ] || { sed -n '2,15s/^# \?//p' "$0" >&2; exit 2; }
netns=$(cd "$1" && pwd)
fairlead=$(realpath "$fairlead")
[ -x "$fairlead" ] || { echo "$fairlead: no such program; cargo xtask build" >&2; exit 2; }
[ ${#suites[@]} -gt 0 ] || suites=(conformance)

# in_node, node_ip, NODES, RUN and WORKDIR.
. "$netns/env.sh"
export WORKDIR PREFIX

# Waits until a page of every node answers with 200.
answers() {
  local node
  for node in $NODES; do
    in_node "$node" curl --silent --fail --output /dev/null --retry 60 --retry-delay 1 --retry-all-errors \
      "http://127.0.0.1:10256/$1" || { tail -n 5 "$RUN/node$node/proxy.log" >&2; return 1; }
  done
}

# What Fairlead leaves outlives it, as it should: it is removed before another proxy comes.
clean() {
  local node
  "$netns/proxy.sh" stop
  for node in $NODES; do
    in_node "$node" "$fairlead" cleanup --state /sys/fs/bpf/fairlead
  done
}

# Runs all suites; tests that fail are the result and no error.
measure() {
  local suite
  for suite in "${suites[@]}"; do
    "$netns/e2e.sh" -p "$at_once" -n "$1-$suite" "$suite" || true
  done
}

if ! alive "$RUN/apiserver.pid"; then
  [ -n "$keep" ] || trap '"$netns/down.sh"' EXIT
  PROXY_MODE=none "$netns/up.sh"
  # The cluster's settings are known only now.
  . "$netns/env.sh"
fi
clean
"$netns/proxy.sh" start "$mode"
answers healthz
measure kube-proxy
clean
"$netns/proxy.sh" start exec -- "$here/node.sh" "$fairlead" "$mode"
answers readyz
measure fairlead
for node in $NODES; do
  cp "$RUN/node$node/proxy.log" "$WORKDIR/reports/fairlead-node$node.log"
done
clean

results=()
for suite in "${suites[@]}"; do
  results+=("$WORKDIR/reports/kube-proxy-$suite/result.tsv" "$WORKDIR/reports/fairlead-$suite/result.tsv")
done
python3 "$here/table.py" "kube-proxy ($mode)" Fairlead "${results[@]}" | tee "$WORKDIR/reports/side-by-side.md"
