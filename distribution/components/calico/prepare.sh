#!/bin/sh
# Make a libpcap that links statically: the same archive without its D-Bus capture module.
#
# Felix uses libpcap only to compile filter expressions. Debian's archive pulls in libdbus (and with it
# libsystemd), of which there is no usable static build. The two entry points that the rest of the
# archive calls are replaced by ones that know no D-Bus devices.
set -eu
: "${OUT:?directory for the result}"

cp "$(${CC:-cc} -print-file-name=libpcap.a)" "$OUT/libpcap.a"
cat > "$OUT/no_dbus.c" <<'C'
void *dbus_create(const char *device, char *errbuf, int *is_ours) { *is_ours = 0; return 0; }
int dbus_findalldevs(void *devlist, char *errbuf) { return 0; }
C
${CC:-cc} -O2 -c -o "$OUT/no_dbus.o" "$OUT/no_dbus.c"
ar d "$OUT/libpcap.a" pcap-dbus.o
ar r "$OUT/libpcap.a" "$OUT/no_dbus.o"
