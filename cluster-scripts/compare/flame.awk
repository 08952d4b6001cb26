# A flame graph of `perf script --no-inline -F comm,ip,sym`, as SVG: how much of the sampled time each function has, with what
# called it below it. Only the threads that `only` matches (a regular expression over their names); the bottom row is the
# thread. What is narrower than `least` pixels is left out. Variables: -v title=TEXT -v only=REGEX -v least=0.6
BEGIN {
  if (only == "") only = "."
  if (least == "") least = 0.6
  width = 1190; row = 15
}

# A sample begins with the thread's name, has its frames from the innermost on, and ends with an empty line.
/^[^ \t]/ { thread = $1; sub(/-[0-9]+$/, "", thread); frames = 0; next }
/^[ \t]+[0-9a-f]/ { name = $0; sub(/^[ \t]+[0-9a-f]+ /, "", name); frame[++frames] = short(name); next }
/^$/ { if (frames > 0 && thread ~ only) take(); frames = 0 }
END { if (frames > 0 && thread ~ only) take(); draw() }

# A name without its crate's disambiguators, generic arguments and closures.
function short(name,   last) {
  sub(/\+0x[0-9a-f]+$/, "", name)
  gsub(/::\{\{closure\}\}|::\{closure#[0-9]+\}|::\{\{vtable\.shim\}\}/, "", name)
  do { last = name; gsub(/<[^<>]*>/, "", name) } while (name != last)
  sub(/^::/, "", name)
  return name == "" ? "[unknown]" : name
}

# Counts a sample under its path and under all paths that begin it. What the runtime calls itself with stands as one frame.
function take(   at, path, name, before) {
  total++
  path = thread; count[path]++; depth[path] = 0; label[path] = thread
  for (at = frames; at > 0; at--) {
    name = frame[at]
    if (name == before || name ~ /^\[unknown\]$|^(clone3|start_thread|_start|main)$|__rust_begin_short_backtrace|FnOnce::call_once|thread_start|^tokio::runtime::(task|scheduler|blocking|context)|^std::(thread|sys|rt|panic)/) continue
    before = name
    level = depth[path] + 1
    parent = path; path = path ";" name
    count[path]++; depth[path] = level; label[path] = name; of[path] = parent
    if (level > deepest) deepest = level
  }
}

function escaped(text) { gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text); return text }

# The paths in order, so that every path comes after the one that it continues, and siblings stand by name.
function draw(   paths, n, i, path, x, y, w, text, chars, left, used) {
  n = 0
  for (path in count) paths[++n] = path
  sort(paths, n)
  height = (deepest + 3) * row + 24
  printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"10\">\n", width + 10, height
  printf "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/><text x=\"5\" y=\"14\" font-size=\"12\">%s (%d samples)</text>\n", escaped(title), total
  for (i = 1; i <= n; i++) {
    path = paths[i]
    if (path in of) { left = at[of[path]]; used = filled[of[path]]; filled[of[path]] += count[path] } else { left = 0; used = base; base += count[path] }
    at[path] = left + used
    w = count[path] * width / total
    if (w < least) continue
    x = 5 + at[path] * width / total; y = height - (depth[path] + 2) * row
    chars = int(w / 5.4)
    text = label[path]; if (length(text) > chars) text = chars < 4 ? "" : "…" substr(text, length(text) - chars + 2)
    printf "<g><title>%s %.1f %%</title><rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"14\" fill=\"%s\" stroke=\"#fff\" stroke-width=\".4\"/>", escaped(label[path]), 100 * count[path] / total, x, y, w, colour(label[path], depth[path])
    if (text != "") printf "<text x=\"%.1f\" y=\"%d\">%s</text>", x + 2, y + 10.5, escaped(text)
    print "</g>"
  }
  print "</svg>"
}

# Ours, the ledger's rules, the kernel and allocator, and all else.
function colour(name, level) {
  if (level == 0) return "#ccc"
  if (name ~ /^ledger::/) return "#f2b134"
  if (name ~ /^etebar/) return "#ed7d5b"
  if (name ~ /^sled|^crossbeam/) return "#8fb8de"
  if (name ~ /::/) return "#b8d8a8"
  return "#d5c7e8"
}

# Shell sort: no awk but GNU's has one of its own.
function sort(list, n,   gap, i, j, held) {
  for (gap = int(n / 2); gap > 0; gap = int(gap / 2))
    for (i = gap + 1; i <= n; i++) {
      held = list[i]
      for (j = i; j > gap && list[j - gap] > held; j -= gap) list[j] = list[j - gap]
      list[j] = held
    }
}
