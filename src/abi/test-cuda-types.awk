# From our headers to the facts to compare: one macro per line for test-cuda-facts.c. Relies on the
# headers' own layout: one enumerator a line, members of a struct one level in.
#
#	VALUE(name)  a constant    SIZE(type)  a type's size    OFFSET(type, member)

function members(line, n, i, names) {
	sub(/;.*/, "", line)
	sub(/^\t/, "", line)
	sub(/^_Alignas\([0-9]+\) /, "", line)
	if (line ~ /^}/) {
		sub(/^} ?/, "", line)
		if (line == "")
			return
		found[n_found++] = line
		return
	}
	n = split(line, names, /, */)
	for (i = 1; i <= n; i++) {
		sub(/\[.*/, "", names[i])
		sub(/^.*[ *]/, "", names[i])
		found[n_found++] = names[i]
	}
}

FNR == 1 { inside = "" }
/^#define CU[A-Za-z0-9_]+[ \t]+[^ \t]/ { print "VALUE(" $2 ")" }
/^typedef enum \{/ { inside = "enum"; next }
/^typedef (struct|union) \{/ { inside = "struct"; n_found = 0; long = ""; next }
/^typedef .*;/ && !/\(/ {
	sub(/;.*/, "")
	sub(/^.*[ *]/, "")
	print "SIZE(" $0 ")"
}
/^} / {
	sub(/^} /, "")
	sub(/;.*/, "")
	print "SIZE(" $0 ")"
	for (i = 0; i < n_found; i++)
		print "OFFSET(" $0 ", " found[i] ")"
	n_found = 0
	inside = ""
}
inside == "enum" && /^\t[A-Za-z]/ {
	sub(/^\t/, "")
	sub(/[ ,].*/, "")
	print "VALUE(" $0 ")"
}
# A declaration may go on in the next line.
inside == "struct" && /^\t[^\t]/ && /[{]$/ { next }
inside == "struct" && /^\t[^\t ]/ && !/;/ { long = $0; next }
inside == "struct" && long != "" { sub(/^[ \t]+/, " "); $0 = long $0; if (!/;/) { long = $0; next }; long = "" }
inside == "struct" && /^\t[^\t]/ { members($0) }
