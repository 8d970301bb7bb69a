#!/usr/bin/env bash
# First process of the box's namespaces: usage namespaces.sh FOLDER COMMAND... It makes the network and the folders that
# only the box shall see, then runs COMMAND. Everything in the namespaces ends with it.
set -euo pipefail
box=$1
shift

# The API server wants an address that is not loopback and a default route. Nothing leaves through them.
ip link set lo up
ip link add up0 type veth peer name up1
ip addr add 192.0.2.77/24 dev up0
ip link set up0 up
ip link set up1 up
ip route add default dev up0
# CoreDNS binds to the bridge's address before the first pod would have made the bridge.
ip link add cni0 type bridge
ip addr add 10.244.0.1/24 dev cni0
ip link set cni0 up

# Sockets, process ids and network namespaces of an earlier run mean nothing here.
mount -t tmpfs tmpfs /run
# Paths that kubelet, CNI and the volume provisioner have built in.
own() { # own FOLDER PATH
  mkdir -p "$box/$1" "$2"
  mount --bind "$box/$1" "$2"
}
own log /var/log
own cni-state /var/lib/cni
own volumes /tmp/hostpath_pv
chmod 0755 /tmp/hostpath_pv

# No name server can be reached from here: with none named, a lookup fails at once instead of after ten seconds.
: >"$box/resolv.conf"
mount --bind "$box/resolv.conf" /etc/resolv.conf

# Not exec: this shell stays process 1, which reaps what containers leave behind.
"$@"
