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

# Debian 13's libelf.a calls functions of a library that is part of its shared one only, and zstd. They are added to
# the archive, because the modules name the libraries to link and their order. The tree of elfutils is a pointer with a
# lock behind it; nothing here searches from two threads.
libelf="$(${CC:-cc} -print-file-name=libelf.a)"
if nm "$libelf" 2>/dev/null | grep -q ' U eu_search_tree_init'; then
    cat > "$OUT/search_tree.c" <<'C'
#define _GNU_SOURCE
#include <search.h>
typedef int (*compare)(const void *, const void *);
void eu_search_tree_init(void **tree) { *tree = 0; }
void eu_search_tree_fini(void **tree, void (*free_node)(void *)) { tdestroy(*tree, free_node); }
void *eu_tsearch(const void *key, void **tree, compare by) { return tsearch(key, tree, by); }
void *eu_tfind(const void *key, void **tree, compare by) { return tfind(key, tree, by); }
void *eu_tdelete(const void *key, void **tree, compare by) { return tdelete(key, tree, by); }
C
    ${CC:-cc} -O2 -c -o "$OUT/search_tree.o" "$OUT/search_tree.c"
    ar -M <<MRI
create $OUT/libelf.a
addlib $libelf
addlib $(${CC:-cc} -print-file-name=libzstd.a)
addmod $OUT/search_tree.o
save
end
MRI
fi
