#!/bin/bash
# Runs inside the node when its containerd has started: makes the control plane's images known to it.
set -euo pipefail
for _ in $(seq 50); do ctr version >/dev/null 2>&1 && break; sleep 0.2; done
for archive in /kind/images/*.tar; do ctr -n k8s.io images import "$archive"; done
