# Says how many bits a sign of the second file costs by the pairs of the first.

function sign(c) { return index(letters, c) ? c : " " }

BEGIN {
    FS = "\t"
    letters = "abcdefghijklmnopqrstuvwxyz"
    before = " "
}

NR == FNR {
    count[$1] = $2 + 1
    sum[substr($1, 1, 1)] += $2 + 1
    next
}

{
    line = tolower($0) " "
    for (i = 1; i <= length(line); i++) {
        now = sign(substr(line, i, 1))
        if (now == " " && before == " ")
            continue
        bits -= log(count[before now] / sum[before]) / log(2)
        seen++
        before = now
    }
}

END { printf "{\"bits_per_character\": %.4f, \"characters\": %d}\n", bits / seen, seen }
