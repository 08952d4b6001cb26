# Draws bars as an SVG: from lines of a name, a value and its text, set apart by tabs. -v title=TEXT.
# The scale is logarithmic from one thousandth of the largest value on, since the values differ by as much.
BEGIN { FS = "\t"; row = 24; left = 370; wide = 420 }
{
  gsub(/&/, "\\&amp;"); gsub(/</, "\\&lt;")
  name[NR] = $1; value[NR] = $2; text[NR] = $3
  if ($2 > top) top = $2
}
END {
  high = 48 + NR * row
  printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"13\">\n", left + wide + 110, high
  printf "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n<text x=\"12\" y=\"24\" font-size=\"15\">%s</text>\n", title
  for (i = 1; i <= NR; i++) {
    share = value[i] > 0 ? 1 + log(value[i] / top) / log(1000) : 0
    if (share < 0.005) share = 0.005
    y = 40 + (i - 1) * row
    printf "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", left - 8, y + 13, name[i]
    printf "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"16\" fill=\"%s\"/>\n", left, y, share * wide, name[i] ~ /^Etebar/ ? "#2a6f97" : "#a0a8b0"
    printf "<text x=\"%.1f\" y=\"%d\">%s</text>\n", left + share * wide + 6, y + 13, text[i]
  }
  print "</svg>"
}
