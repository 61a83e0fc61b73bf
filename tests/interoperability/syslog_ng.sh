#!/bin/sh
# Debian's syslog-ng into a folder, beside rsyslog: installed, either takes the other off the machine.
set -eu
folder=$1
test -x "$folder/run" && exit 0
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null
fetched=$(mktemp -d)
trap 'rm -r "$fetched"' EXIT
chmod 755 "$fetched"
(cd "$fetched" && apt-get download -qq syslog-ng-core libivykis0 libnet1 libpcre3 >/dev/null 2>&1)
mkdir -p "$folder"
for package in "$fetched"/*.deb; do dpkg-deb -x "$package" "$folder"; done
cat >"$folder/run" <<'END'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
LD_LIBRARY_PATH=$here/usr/lib/syslog-ng:$(echo "$here"/usr/lib/*-linux-gnu*):$(echo "$here"/lib/*-linux-gnu*)
export LD_LIBRARY_PATH
exec "$here/usr/sbin/syslog-ng" --module-path="$(echo "$here"/usr/lib/syslog-ng/[0-9]*)" "$@"
END
chmod +x "$folder/run"
"$folder/run" --version >/dev/null
