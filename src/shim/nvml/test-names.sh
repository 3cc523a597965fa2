#!/bin/sh
# test-names.sh LIBRARY NVML.H NOSUP.DEF [NVIDIA'S NVML.H]: every name is exported, live or refused,
# never both; the library needs nothing but the C library and carries its name.
set -eu
library=$1 ours=$2 refused=$3 theirs=${4:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
	echo "$*" >&2
	exit 1
}

nm -D --defined-only "$library" | awk '{print $3}' | sed 's/@.*//' | grep '^nvml' | sort >"$work/exported"
tr -d '\n' <"$ours" | grep -o 'NVML_API [^;]*;' | grep -o 'nvml[A-Z][A-Za-z0-9_]*(' | tr -d '(' |
	sort >"$work/live"
sed -n 's/^NOSUP(\(.*\))$/\1/p' "$refused" | sort >"$work/refused"

both=$(comm -12 "$work/live" "$work/refused")
[ -z "$both" ] || fail "both live and refused: $both"
sort "$work/live" "$work/refused" | diff - "$work/exported" || fail "exported names differ from the lists"
[ "$(wc -l <"$work/live")" = 124 ] || fail "live: $(wc -l <"$work/live"); nvml.c says 124"
[ "$(wc -l <"$work/refused")" = 316 ] || fail "refused: $(wc -l <"$work/refused"); nvml.c says 316"

if [ -n "$theirs" ]; then
	missing=$(grep -o 'DECLDIR[^(]*(' "$theirs" | grep -o 'nvml[A-Za-z0-9_]*' | sort -u |
		comm -23 - "$work/exported")
	[ -z "$missing" ] || fail "in NVIDIA's header but not exported: $missing"
fi

readelf -d "$library" >"$work/dynamic"
grep -q 'SONAME.*\[libnvidia-ml\.so\.1\]' "$work/dynamic" || fail "wrong SONAME"
needed=$(sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' "$work/dynamic" | grep -v '^\(libc\.so\.6\|ld-linux.*\)$' || true)
case $needed in
'' | libasan* | libubsan* | libtsan*) ;;
*) fail "needs more than the C library: $needed" ;;
esac
