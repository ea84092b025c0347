#!/usr/bin/env bash
# Erase a returned laptop after its quarantine of 30 days and take it off the asset list.
# Usage: wipe_returned_laptop.sh ASSET_TAG
#
# Runs on the bench machine in the IT workshop only. The disk is expected in the USB dock,
# visible as /dev/disk/by-id/dock-slot1. Nothing is erased before the asset list has confirmed
# that the tag is in state "returned" and that the quarantine is over.
set -euo pipefail

QUARANTINE_DAYS=30
DOCK=/dev/disk/by-id/dock-slot1
ASSETS=https://assets.larkmoor.example/api

tag=${1:?"usage: $0 ASSET_TAG, for example LM-L14-00412"}

if [[ ! "$tag" =~ ^LM-(L14|W16|OA13)-[0-9]{5}$ ]]; then
    echo "asset tag '$tag' does not look like LM-L14-00412" >&2
    exit 2
fi

record=$(curl --fail --silent --max-time 20 "$ASSETS/devices/$tag")
state=$(jq -r .state <<<"$record")
returned=$(jq -r .returned_on <<<"$record")

if [[ "$state" != returned ]]; then
    echo "$tag is in state '$state', only 'returned' devices are erased" >&2
    exit 3
fi

age_days=$(( ($(date +%s) - $(date -d "$returned" +%s)) / 86400 ))
if (( age_days < QUARANTINE_DAYS )); then
    echo "$tag came back $age_days days ago; its owner may still ask for files until day $QUARANTINE_DAYS" >&2
    exit 4
fi

# Self-encrypting disks forget their key in a second; older ones are overwritten once.
if hdparm -I "$DOCK" | grep -q "supported: enhanced erase"; then
    hdparm --user-master u --security-set-pass erase "$DOCK"
    hdparm --user-master u --security-erase-enhanced erase "$DOCK"
else
    shred --iterations=1 --zero --verbose "$DOCK"
fi

curl --fail --silent --request PATCH --json '{"state": "erased"}' "$ASSETS/devices/$tag" >/dev/null
echo "$tag erased and marked; print the certificate with: asset-label --certificate $tag"
