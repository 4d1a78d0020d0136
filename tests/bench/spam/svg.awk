# Draws the ROC curves of the tools whose score files are given: spam missed over ham lost, both logarithmic.
function log10(x) { return log(x < 0.0003 ? 0.0003 : x) / log(10) }
function px(x) { return 70 + 500 * (log10(x) + 3.523) / 3.523 }
function py(x) { return 40 + 400 * (log10(x) + 3.523) / 3.523 }
FNR == 1 { t++; name[t] = FILENAME; sub(/.*\//, "", name[t]); sub(/\.scores$/, "", name[t]) }
{ k = ++count[t]; score[t, k] = $2 + 0; spam[t, k] = ($1 == "spam"); if (spam[t, k]) s[t]++; else h[t]++ }
END {
    print "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"600\" height=\"500\" font-family=\"sans-serif\" font-size=\"12\">"
    print "<rect width=\"600\" height=\"500\" fill=\"white\"/><text x=\"70\" y=\"24\">spam missed over ham lost, both logarithmic</text>"
    for (p = -3; p <= 0; p++) {
        v = 10 ^ p
        printf "<path d=\"M%.1f 40V440M70 %.1fH570\" stroke=\"#ccc\"/>\n", px(v), py(v)
        printf "<text x=\"%.1f\" y=\"456\" text-anchor=\"middle\">%g %%</text><text x=\"64\" y=\"%.1f\" text-anchor=\"end\">%g %%</text>\n", px(v), 100 * v, py(v) + 4, 100 * v
    }
    split("#06c #c30 #393 #939", colour, " ")
    for (i = 1; i <= t; i++) {
        steps = 120
        points = ""
        for (q = 0; q <= steps; q++) {
            lost = 10 ^ (-3.5 + 3.5 * q / steps)
            points = points sprintf("%.1f,%.1f ", px(lost), py(missed_at(i, lost)))
        }
        printf "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"%s\"/>\n", colour[i], points
        printf "<text x=\"450\" y=\"%d\" fill=\"%s\">%s</text>\n", 60 + 18 * i, colour[i], name[i]
    }
    print "</svg>"
}
# Spam missed by tool i at the loosest cut that loses no more than that share of ham. Scores are sorted once.
function missed_at(i, lost,   k, above, over, best) {
    if (!(i in sorted)) order(i)
    best = 0
    for (k = count[i]; k >= 1; k--) {
        if (spam[i, rank[i, k]]) above++; else over++
        if (over > lost * h[i]) break
        best = above
    }
    return 1 - best / s[i]
}
# Shell sort of the ranks: plain awk has no sort.
function order(i,   n, gap, a, b, v) {
    n = count[i]
    for (a = 1; a <= n; a++) rank[i, a] = a
    for (gap = int(n / 2); gap > 0; gap = int(gap / 2))
        for (a = gap + 1; a <= n; a++) {
            v = rank[i, a]
            for (b = a; b > gap && score[i, rank[i, b - gap]] > score[i, v]; b -= gap) rank[i, b] = rank[i, b - gap]
            rank[i, b] = v
        }
    sorted[i] = 1
}
