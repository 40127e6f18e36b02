# Counts how often each of the 27 signs (a to z, and everything else as one blank) follows another.

function sign(c) { return index(letters, c) ? c : " " }

BEGIN {
    letters = "abcdefghijklmnopqrstuvwxyz"
    signs = letters " "
    before = " "
}

{
    line = tolower($0) " "
    for (i = 1; i <= length(line); i++) {
        now = sign(substr(line, i, 1))
        if (now == " " && before == " ")
            continue
        count[before now]++
        before = now
    }
}

END {
    for (i = 1; i <= 27; i++)
        for (j = 1; j <= 27; j++)
            printf "%s%s\t%d\n", substr(signs, i, 1), substr(signs, j, 1), count[substr(signs, i, 1) substr(signs, j, 1)] > out
}
