package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"kmon/analyze/compare"
	"kmon/record/spelling"
)

// maxThreshold bounds the text of a threshold, in bytes; maxThresholds how many
// there may be.
const (
	maxThreshold  = 600
	maxThresholds = 200
)

// thresholdError points at what cannot be read in a threshold.
type thresholdError struct {
	text   string
	at     int // in bytes
	reason string
}

func (e *thresholdError) Error() string {
	return fmt.Sprintf("--threshold %q: %s: %s", spelling.Shorten(e.text), spelling.Place(e.text, e.at), e.reason)
}

// parseThreshold reads a threshold:
//
//	p99:+10%                       of every service: at most 10% more than base
//	p99(service=cart):+5ms         of one service, in the metric's unit
//	rate(service=cart):-20%        at most 20% less
//	errors(edge=web->cart):+0.1pp  of an edge, or edge=web→cart; in percentage points
//	p99(edge=->cart):+10%          of every edge to cart; edge=web-> of every one from web
//	p99(service=cart):<200ms       whatever base was
//
// White space between the parts does not count. A name with a comma, a
// parenthesis, an arrow or outer white space is written in double quotes.
func parseThreshold(text string) (compare.Threshold, error) {
	p := &thresholdParser{Reader: spelling.Reader{Text: text}, out: compare.Threshold{Text: strings.TrimSpace(text)}}
	if err := p.parse(); err != nil {
		return compare.Threshold{}, &thresholdError{text, min(p.Begin, len(text)), err.Error()}
	}
	return p.out, nil
}

// parseThresholds reads all of them.
func parseThresholds(texts []string) ([]compare.Threshold, error) {
	if len(texts) > maxThresholds {
		return nil, usagef("--threshold is given %d times, which is more than %d", len(texts), maxThresholds)
	}
	var list []compare.Threshold
	for _, text := range texts {
		t, err := parseThreshold(text)
		if err != nil {
			return nil, &usageError{err}
		}
		if slices.ContainsFunc(list, func(other compare.Threshold) bool { return other.Text == t.Text }) {
			return nil, usagef("--threshold %q is given twice", spelling.Shorten(t.Text))
		}
		list = append(list, t)
	}
	return list, nil
}

// thresholdParser reads the text of a threshold.
type thresholdParser struct {
	spelling.Reader
	unit metricUnit
	out  compare.Threshold
}

func (p *thresholdParser) parse() error {
	if len(p.Text) > maxThreshold || !utf8.ValidString(p.Text) {
		return fmt.Errorf("a threshold is a text of at most %d bytes", maxThreshold)
	}
	if err := p.metric(); err != nil {
		return err
	}
	if p.Next("(") {
		if err := p.selector(); err != nil {
			return err
		}
	} else if !p.unit.Services {
		return fmt.Errorf("%s is of edges, which are missing: %s(edge=->cart)", p.out.Metric, p.out.Metric)
	}
	if !p.Next(":") {
		return fmt.Errorf("a colon and a limit are missing, as %s:%s", p.out.Metric, p.unit.example())
	}
	return p.limit()
}

func (p *thresholdParser) metric() error {
	word := p.Word("_")
	at := slices.Index(metricNames(), word)
	if at < 0 {
		return spelling.Unknown("metric", word, metricNames())
	}
	p.unit = metricUnit{compare.Metrics()[at]}
	p.out.Metric = p.unit.Name
	return nil
}

// selector reads which service or edge it is about.
func (p *thresholdParser) selector() error {
	key := p.Word("_")
	known := []string{"service", "edge"}
	if !slices.Contains(known, key) {
		return spelling.Unknown("selector", key, known)
	}
	if !p.Next("=") {
		return fmt.Errorf("%s needs a name, as service=cart or edge=web->cart", key)
	}
	switch {
	case key == "edge" && !p.unit.Edges:
		return fmt.Errorf("%s is of services, not of edges", p.out.Metric)
	case key == "service" && !p.unit.Services:
		return fmt.Errorf("%s is of edges, not of services: edge=->cart", p.out.Metric)
	}
	if err := p.names(key); err != nil {
		return err
	}
	if p.Next(",") {
		return errors.New("one service or one edge is enough: give the threshold once for each")
	}
	if !p.Next(")") {
		return errors.New("a closing parenthesis is missing here")
	}
	return nil
}

// names reads the name of a service, or those of the ends of an edge.
func (p *thresholdParser) names(key string) error {
	first, err := p.name()
	if err != nil {
		return err
	}
	if key == "service" {
		if first == "" {
			return errors.New("the name of a service is missing")
		}
		p.out.Service = first
		return nil
	}
	if !p.Next("->") && !p.Next("→") {
		return errors.New("an arrow from client to server is missing, as edge=web->cart")
	}
	server, err := p.name()
	if err != nil {
		return err
	}
	if first == "" && server == "" {
		return errors.New("an edge has at least one name: web->cart, ->cart or web->")
	}
	p.out.Client, p.out.Server = first, server
	return nil
}

// name reads up to the next comma, parenthesis or arrow, or what is quoted.
func (p *thresholdParser) name() (string, error) {
	p.Space()
	p.Begin = p.At
	rest := p.Text[p.At:]
	if strings.HasPrefix(rest, `"`) {
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return "", errors.New("the quoted name has no end")
		}
		p.At += len(quoted)
		return strconv.Unquote(quoted)
	}
	end := len(rest)
	for _, stop := range []string{",", ")", "->", "→"} {
		if at := strings.Index(rest, stop); at >= 0 {
			end = min(end, at)
		}
	}
	p.At += end
	return strings.TrimSpace(rest[:end]), nil
}

// limit reads the bound, and the end.
func (p *thresholdParser) limit() error {
	p.Space()
	p.Begin = p.At
	sign, rest := "", strings.TrimSpace(p.Text[p.At:])
	for _, s := range []string{"+", "-", "−", "<"} {
		if number, ok := strings.CutPrefix(rest, s); ok {
			sign, rest = s, strings.TrimSpace(number)
			break
		}
	}
	if rest == "" {
		return fmt.Errorf("the limit is missing, as %s", p.unit.example())
	}
	if sign == "" {
		return fmt.Errorf("a limit begins with + (at most so much more than base), - (at most so much less) or < (below this, whatever base is), as %s", p.unit.example())
	}
	value, relative, err := p.unit.parse(rest, sign == "<")
	if err != nil {
		return err
	}
	switch {
	case sign == "<":
		p.out.Kind = compare.ValueLimit
	case relative:
		p.out.Kind = compare.RelativeLimit
	default:
		p.out.Kind = compare.AbsoluteLimit
	}
	if p.out.Limit = value; sign == "-" || sign == "−" {
		p.out.Limit = -value
	}
	return nil
}

// metricUnit is how limits of a metric are written.
type metricUnit struct{ compare.MetricInfo }

// example is a limit of the metric.
func (u metricUnit) example() string {
	switch {
	case u.Name == compare.Rate:
		return "-10% or -50/s"
	case u.Unit == "ns":
		return "+10% or +5ms"
	case u.Unit == "ratio":
		return "+0.1pp"
	case u.Unit == "bytes":
		return "+10% or +4KiB"
	}
	return "+10% or +0.5"
}

// metricNames are the metrics as they are written.
func metricNames() []string {
	var names []string
	for _, m := range compare.Metrics() {
		names = append(names, string(m.Name))
	}
	return names
}

// parse reads an amount without its sign: a share of base when it ends with a
// percent sign, unless it is a value.
func (u metricUnit) parse(text string, value bool) (amount float64, relative bool, err error) {
	if number, ok := strings.CutSuffix(text, "%"); ok {
		amount, ok = plainNumber(strings.TrimSpace(number))
		if value && u.Unit != "ratio" {
			ok = false
		}
		if !ok {
			return 0, false, fmt.Errorf("the limit is %s", u.wanted(value))
		}
		return amount / 100, !value, nil
	}
	amount, ok := u.amount(text)
	if !ok {
		return 0, false, fmt.Errorf("the limit is %s", u.wanted(value))
	}
	return amount, false, nil
}

// amount reads what is not a percentage, in the metric's unit.
func (u metricUnit) amount(text string) (float64, bool) {
	switch u.Unit {
	case "ns":
		d, err := time.ParseDuration(strings.ReplaceAll(text, " ", ""))
		return float64(d), err == nil && d >= 0
	case "bytes":
		var n size
		err := n.Set(text)
		return float64(n), err == nil
	case "per_s":
		number, ok := strings.CutSuffix(text, "/s")
		n, plain := plainNumber(strings.TrimSpace(number))
		return n, ok && plain
	case "ratio":
		number, ok := strings.CutSuffix(text, "pp")
		n, plain := plainNumber(strings.TrimSpace(number))
		return n / 100, ok && plain
	}
	return plainNumber(text)
}

// wanted says what a limit of this unit looks like.
func (u metricUnit) wanted(value bool) string {
	amount := map[string]string{
		"ns": "a time, as 5ms", "bytes": "a size, as 4KiB", "per_s": "a rate, as 50/s",
		"ratio": "percentage points, as 0.1pp", "count": "a number, as 0.5",
	}[u.Unit]
	switch {
	case value && u.Unit == "ratio":
		return "a share, as 1%"
	case value:
		return amount
	}
	return "a percentage of base, as 10%, or " + amount
}

// plainNumber reads a decimal without sign or exponent.
func plainNumber(text string) (float64, bool) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.ContainsAny(text, "eExXpP_+-nN") || math.IsInf(n, 0) || n > 1e15 {
		return 0, false
	}
	return n, true
}
