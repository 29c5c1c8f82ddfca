#!/bin/bash
# Runs Fairlead as the service proxy of one node, in that node's namespaces: `node.sh FAIRLEAD MODE`.
#
# Wants NODE_NAME, KUBECONFIG, POD_CIDR and CGROUP2_ROOT in the environment. /run and /sys/fs/bpf are the node's own.
set -euo pipefail
fairlead=$1 mode=$2
cat > /run/fairlead.yaml <<CONFIGURATION
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: $mode
hostnameOverride: $NODE_NAME
clientConnection:
  kubeconfig: $KUBECONFIG
clusterCIDR: $POD_CIDR
detectLocalMode: ClusterCIDR
healthzBindAddress: 0.0.0.0:10256
metricsBindAddress: 0.0.0.0:10249
CONFIGURATION
exec "$fairlead" run --config /run/fairlead.yaml --state /sys/fs/bpf/fairlead --cgroup "$CGROUP2_ROOT"
