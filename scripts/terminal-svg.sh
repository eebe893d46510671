#!/usr/bin/env bash
# Draws a picture of a terminal from what a command printed with colours:
#   trueup demo --once --color always | scripts/terminal-svg.sh 'trueup demo' > demo.svg
set -euo pipefail
command=${1:?the command as it is shown}
awk -v command="$command" '
function escape(text) { gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text); return text }
function span(text, style) { return text == "" ? "" : style == "" ? escape(text) : "<tspan" style ">" escape(text) "</tspan>" }
function paint(codes,   n, i, parts, style) {
    n = split(codes, parts, ";")
    for (i = 1; i <= n; i++) {
        if (parts[i] == 1) style = style " font-weight=\"bold\""
        if (parts[i] in colors) style = style " fill=\"" colors[parts[i]] "\""
    }
    return style
}
function line(text,   out, style, at, codes, plain) {
    out = ""; style = ""; plain = 0
    while (match(text, /\033\[[0-9;]*m/)) {
        at = substr(text, 1, RSTART - 1); codes = substr(text, RSTART + 2, RLENGTH - 3)
        out = out span(at, style); plain += length(at)
        style = paint(codes); text = substr(text, RSTART + RLENGTH)
    }
    out = out span(text, style); plain += length(text)
    if (plain > widest) widest = plain
    return out
}
BEGIN {
    colors[31] = "#f47067"; colors[32] = "#57ab5a"; colors[33] = "#c69026"; colors[36] = "#39c5cf"
    lines[++count] = "<tspan fill=\"#768390\">$</tspan> " escape(command); widest = length(command) + 2
}
{ lines[++count] = line($0) }
END {
    high = 20; left = 18; top = 50
    width = int(widest * 8.43) + 2 * left + 6; height = top + count * high
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\">\n", width, height, width, height
    printf "<title>%s</title>\n", escape(command)
    printf "<rect width=\"%d\" height=\"%d\" rx=\"8\" fill=\"#1c2128\"/>\n", width, height
    print "<circle cx=\"20\" cy=\"18\" r=\"6\" fill=\"#f47067\"/><circle cx=\"40\" cy=\"18\" r=\"6\" fill=\"#c69026\"/><circle cx=\"60\" cy=\"18\" r=\"6\" fill=\"#57ab5a\"/>"
    print "<g font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, &quot;DejaVu Sans Mono&quot;, monospace\" font-size=\"14\" fill=\"#d6dee7\" xml:space=\"preserve\">"
    for (i = 1; i <= count; i++) printf "<text x=\"%d\" y=\"%d\">%s</text>\n", left, top + (i - 1) * high, lines[i]
    print "</g>\n</svg>"
}'
