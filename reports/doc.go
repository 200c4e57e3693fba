// Package reports renders an analysis for a reader: a terminal, a ticket, a
// program, a browser.
//
// It takes one plain value, *analyze.Analysis, and computes nothing of
// substance: it orders, words, escapes and draws.
//
//  1. Write copies the analysis with every nil slice made empty (normal).
//  2. Tables and notes are built once (table.go, tables.go, notes.go) as plain
//     strings, so text, Markdown and HTML show the same numbers.
//  3. Numbers become text in number.go and nowhere else. What was not measured
//     is "–", never 0.
//  4. Names from a capture are hostile. visible makes control characters and
//     bidirectional overrides readable; each format then escapes for itself.
//  5. The format writes: text.go, markdown.go with mermaid.go, json.go, and
//     html.go with chart.go, graph.go, layout.go and topology.go; html_flame.go
//     and html_heat.go draw stacks and heat maps.
//
// The HTML page is whole without scripts. Those it embeds (html_scripts.go,
// assets) put graphs that act in the place of drawings, from data packed into
// the page (html_pack.go, html_profile.go, html_series.go); its policy allows
// them by hash and nothing else.
//
// The same analysis and the same version give the same bytes: the package
// reads no clock, no environment and no file beyond those embedded in it.
package reports
