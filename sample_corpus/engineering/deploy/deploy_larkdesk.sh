#!/usr/bin/env bash
# Deploy one Larkdesk service: canary first, then the rest of the region.
#
#   deploy_larkdesk.sh SERVICE VERSION REGION
#   deploy_larkdesk.sh sieve 26.14.0 dublin
#
# Refuses on Fridays, during flood warnings for services in the alarm path, and when the canary is
# worse than the running version. Exit codes: 2 usage, 3 calendar, 4 weather, 5 unhealthy canary.
set -euo pipefail

CANARY_PERCENT=5
CANARY_HOURS=24
MAX_ERROR_INCREASE=0.2   # percentage points
MAX_SLOWDOWN=15          # percent of the 95th percentile
ALARM_PATH="doorstep sentinel"

service=${1:?service}; version=${2:?version}; region=${3:?dublin or vienna}

case "$region" in
    dublin|vienna) ;;
    *) echo "unknown region '$region': use dublin or vienna" >&2; exit 2 ;;
esac

if [[ $(date -u +%u) == 5 && -z ${HOTFIX:-} ]]; then
    echo "it is Friday; set HOTFIX=INC-number if this repairs an incident" >&2
    exit 3
fi

if [[ " $ALARM_PATH " == *" $service "* ]]; then
    if tern weather --min-level orange --min-devices 500 --quiet; then
        echo "flood warning in force: $service is not deployed now" >&2
        exit 4
    fi
fi

echo "canary: $service $version on $CANARY_PERCENT % of $region"
tern apply "$service" --version "$version" --region "$region" --percent "$CANARY_PERCENT"

if [[ -n ${HOTFIX:-} ]]; then sleep 1800; else tern wait --hours "$CANARY_HOURS"; fi

if ! tern canary report "$service" --region "$region" \
        --max-error-increase "$MAX_ERROR_INCREASE" --max-slowdown "$MAX_SLOWDOWN"; then
    echo "canary is unhealthy, rolling back" >&2
    tern rollback "$service" --region "$region"
    exit 5
fi

tern apply "$service" --version "$version" --region "$region" --percent 100
tern notify "#larkdesk-ops" "$service $version is live in $region"
