# Draws the lines that grow.sh measured as an SVG: a small drawing for each column, all from 0, over the number of entries.
BEGIN {
  FS = "\t"; wide = 260; high = 130
  split("single charges/s|in batches/s|memory, MB|audit, ms|disk a charge, bytes|follower killed to ready, ms|all killed to a charge, ms|empty node to ready, ms|page of a statement, p99 ms|page of a phone, p99 ms", title, "|")
}
{
  x[NR] = $1
  for (i = 1; i <= 10; i++) { value[i, NR] = $(i + 1); if ($(i + 1) != "-" && $(i + 1) + 0 > top[i]) top[i] = $(i + 1) + 0 }
}
END {
  last = x[NR] > 0 ? x[NR] : 1
  printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n", 4 * (wide + 30) + 20, 3 * (high + 70)
  for (i = 1; i <= 10; i++) {
    left = 20 + (i - 1) % 4 * (wide + 30); base = 40 + high + int((i - 1) / 4) * (high + 70)
    printf "<text x=\"%d\" y=\"%d\">%s, to %d</text>\n<path d=\"M%d %dV%dH%d\" fill=\"none\" stroke=\"#888\"/>\n", left, base - high - 12, title[i], top[i], left, base - high, base, left + wide
    points = ""
    for (n = 1; n <= NR; n++) if (value[i, n] != "-") {
      px = left + wide * x[n] / last; py = base - (top[i] > 0 ? high * value[i, n] / top[i] : 0)
      points = points sprintf(" %.1f,%.1f", px, py)
      printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"#2a6f97\"/>\n", px, py
    }
    printf "<polyline points=\"%s\" fill=\"none\" stroke=\"#2a6f97\"/>\n<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%.1f million entries</text>\n", points, left + wide, base + 16, last / 1000000
  }
  print "</svg>"
}
