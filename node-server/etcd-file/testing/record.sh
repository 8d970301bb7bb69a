#!/usr/bin/env bash
# Records fixture/: a snapshot of a real etcd with something of everything in it, and what etcd and etcdutl say of it.
# Usage: record.sh DIRECTORY, which has etcd, etcdctl and etcdutl.
set -euo pipefail
programs=$1
cd "$(dirname "$0")/fixture"
work=$(mktemp -d)
"$programs/etcd" --data-dir "$work/data" --listen-client-urls http://127.0.0.1:23791 \
  --advertise-client-urls http://127.0.0.1:23791 --listen-peer-urls http://127.0.0.1:23801 \
  --initial-advertise-peer-urls http://127.0.0.1:23801 --initial-cluster default=http://127.0.0.1:23801 2> "$work/log" &
etcd=$!
trap 'kill $etcd; wait $etcd || true; rm -r "$work"' EXIT
ctl() { "$programs/etcdctl" --endpoints http://127.0.0.1:23791 "$@" > /dev/null; }
until ctl endpoint health 2> /dev/null; do sleep 0.1; done
for version in 1 2 3; do ctl put compacted "$version"; done
ctl put gone 1
ctl del gone
ctl compaction 4
ctl put kept "$(head -c 9000 /dev/zero | tr '\0' 'v')" # of several pages
ctl put kept again
ctl put again 1
ctl del again
ctl put again 2
ctl lease grant 1000 # without keys
lease=$("$programs/etcdctl" --endpoints http://127.0.0.1:23791 lease grant 3600 | awk '{print $2}')
ctl put --lease="$lease" leased 1
ctl put --lease="$lease" released 1
ctl put released 2
ctl put --lease="$lease" deleted 1
ctl del deleted
ended=$("$programs/etcdctl" --endpoints http://127.0.0.1:23791 lease grant 3600 | awk '{print $2}')
ctl put --lease="$ended" revoked 1
ctl lease revoke "$ended"
printf 'create("none") = "0"\n\nput txn-a 1\nput txn-b 2\ndel leased-not\ndel kept\n\n\n' | ctl txn
for i in $(seq -w 1 60); do ctl put "many/$i" "$i"; done
ctl del --prefix many/1
"$programs/etcdctl" --endpoints http://127.0.0.1:23791 snapshot save "$work/snapshot.db" > /dev/null 2>&1
gzip -9n < "$work/snapshot.db" > snapshot.db.gz
"$programs/etcdutl" snapshot status "$work/snapshot.db" -w json > status.json
"$programs/etcdctl" --endpoints http://127.0.0.1:23791 endpoint hashkv -w json > hashkv.json
"$programs/etcdctl" --endpoints http://127.0.0.1:23791 get '' --prefix -w json > keys.json
