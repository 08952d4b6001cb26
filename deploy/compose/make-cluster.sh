#!/bin/bash
# make-cluster.sh
#
# Run once by the service `setup` of deploy/compose.yaml, before the nodes: makes an authority, a certificate and a data
# directory for each of three nodes below /var/lib/etebar, and an admin key, which it prints. What is there already is left as
# it is. All three on one machine: for a look at Etebar, and not for production, where a node has a machine of its own.
set -euo pipefail

NODES=3
cd /var/lib/etebar
[[ -s cluster-id ]] || { cat /proc/sys/kernel/random/uuid >cluster-id.new && mv cluster-id.new cluster-id; }
CLUSTER=$(<cluster-id)
[[ -s admin-key ]] || { etebar-node keygen >admin-key.new && mv admin-key.new admin-key; }
KEY=$(sed -n 's/.*"key":"\([^"]*\)".*/\1/p' admin-key) HASH=$(sed -n 's/.*"hash":"\([^"]*\)".*/\1/p' admin-key)
etebar-node pki ca --dir pki
MEMBERS=()
for ((id = 1; id <= NODES; id++)); do MEMBERS+=(--member "$id=node-$id:7101/node-$id:7121"); done
for ((id = 1; id <= NODES; id++)); do
  [[ -e pki/node-$id.pem ]] || etebar-node pki node --dir pki --cluster-id "$CLUSTER" --id "$id" --host "node-$id" localhost
  [[ -e node-$id/identity.json ]] && continue
  etebar-node init --data-dir "node-$id" --id "$id" --cluster-id "$CLUSTER" "${MEMBERS[@]}" --admin-key-hash "$HASH"
done
printf 'the admin key: %s\n' "$KEY"
