#!/bin/sh
# Installs the clients of the matrix below $INTEROP_PEERS: needs Python's venv, npm, git and, as root, apt-get.
set -eu
peers=${INTEROP_PEERS:-$HOME/.cache/wetread-peers}
mkdir -p "$peers/node"
python3 -m venv "$peers/py"
"$peers/py/bin/pip" install --quiet pynetdicom2==0.9.8 dicomweb-client==0.61.0 dicomtrolley==4.1.0
(cd "$peers/node" && npm install --silent --no-fund --no-audit dcmjs-dimse@0.3.3 dicomweb-client@0.11.3 xhr2@0.2.1)
[ -d "$peers/mcp" ] || git clone --quiet https://github.com/PantelisGeorgiadis/dicomweb-mcp-server "$peers/mcp"
(cd "$peers/mcp" && npm install --silent --no-fund --no-audit --omit=dev)
apt-get install -y -qq --no-install-recommends python3-odil dcmtk libgdcm-tools orthanc orthanc-dicomweb >/dev/null
