# Measures one tool. Input: `label score verdict`, sorted by score upwards. Prints one row of the table.
# 1-ROCA: chance that a ham scores above a spam, ties counting half. FN@x: spam missed when the cut loses that share of ham.
{
    n++; spam[n] = ($1 == "spam"); score[n] = $2 + 0
    if (spam[n]) { s++; if ($3 != "spam") missed++; } else { h++; if ($3 == "spam") lost++; }
    if ($3 == "unsure") unsure++
}
END {
    for (i = 1; i <= n; i = j) {
        hh = ss = 0
        for (j = i; j <= n && score[j] == score[i]; j++) if (spam[j]) ss++; else hh++
        bad += hh * (below + ss / 2); below += ss
    }
    # walk down from the top: spam caught before more than k ham are lost
    for (i = n; i >= 1; i = j) {
        hh = ss = 0
        for (j = i; j >= 1 && score[j] == score[i]; j--) if (spam[j]) ss++; else hh++
        over += hh; above += ss
        if (over == 0) none = above
        if (over <= h / 1000) permille = above
    }
    printf "%-28s %9.4f %8.3f %8.2f %8d %8.2f %8.2f\n", tool, 100 * bad / (h * s), 100 * lost / h, 100 * missed / s, unsure, \
        100 * (1 - permille / s), 100 * (1 - none / s)
}
