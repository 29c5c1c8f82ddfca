#!/bin/busybox sh
# The first process of a test machine: mounts what the tests expect, runs them, switches the machine off.
# Standard output of the tests goes to the second serial line, so that no kernel message gets between their lines.
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /var/log /var/run /usr/bin
/bin/busybox --install -s /usr/bin
export PATH=/usr/sbin:/sbin:/usr/bin:/bin HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t debugfs debugfs /sys/kernel/debug
mkdir -p /run/netns
# What tests make at the same time: of two first users of a module one may be told that there is no such thing.
for module in veth bridge vxlan 8021q dummy bonding vrf macvlan tun sch_ingress cls_bpf nf_tables nf_conntrack sctp ipip sit; do
    modprobe $module
done
ip link set lo up
stty raw -F /dev/ttyS1

. /fairlead/plan >/dev/ttyS1 2>&1

sync
# The machine is started so that a reboot ends it.
reboot -f
