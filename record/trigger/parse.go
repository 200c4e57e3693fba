package trigger

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"kmon/record/spelling"
)

// SyntaxError is a condition that is none.
type SyntaxError struct {
	Text   string // the condition
	Offset int    // in bytes, where it goes wrong
	Reason string
}

// Error points at the place: by number, and with what stands there.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("condition %q: %s: %s", spelling.Shorten(e.Text), spelling.Place(e.Text, e.Offset), e.Reason)
}

// maxCondition bounds the text of a condition: it becomes a part of a mark.
const maxCondition = 300

// Parse reads a condition: a measure, its arguments, and a bound.
//
//	p99(service=cart)>200ms      also p50, p95, max
//	max>2s                       of any service
//	p95(service=cart,over=1m)>1s
//	requests(service=cart)<1/s
//	drops>100/s                  also resets, retransmits
//	pressure(memory)>10%         also cpu, io
//
// White space between the parts does not count. The name of a service with a
// comma, a parenthesis or outer white space is written as a Go string. An error is a
// *SyntaxError.
func Parse(text string) (Condition, error) {
	p := &parser{Reader: spelling.Reader{Text: text}}
	if err := p.parse(); err != nil {
		return Condition{}, &SyntaxError{Text: text, Offset: min(p.Begin, len(text)), Reason: err.Error()}
	}
	return p.condition, nil
}

// parser reads the text of a condition.
type parser struct {
	spelling.Reader
	condition Condition
}

func (p *parser) parse() error {
	if len(p.Text) > maxCondition || !utf8.ValidString(p.Text) {
		return fmt.Errorf("a condition is a text of at most %d bytes", maxCondition)
	}
	if err := p.measure(); err != nil {
		return err
	}
	c := &p.condition
	c.text, c.over = strings.TrimSpace(p.Text), DefaultOver
	if len(c.measure.faults) > 0 {
		c.over = DefaultFaultsOver
	}
	if p.Next("(") {
		if err := p.arguments(); err != nil {
			return err
		}
	}
	if c.measure.unit == unitPercent && c.resource == "" {
		return errors.New("pressure is that of cpu, io or memory, as pressure(memory)")
	}
	if err := p.relation(); err != nil {
		return err
	}
	return p.value()
}

func (p *parser) measure() error {
	word := p.Word("")
	at := slices.IndexFunc(measures, func(m measure) bool { return m.name == word })
	if at < 0 {
		var names []string
		for _, m := range measures {
			names = append(names, m.name)
		}
		return spelling.Unknown("measure", word, names)
	}
	p.condition.measure = &measures[at]
	return nil
}

// arguments are what the measure takes.
func (m *measure) arguments() []string {
	switch {
	case m.unit == unitPercent:
		return []string{"cpu", "io", "memory"}
	case m.ofServices():
		return []string{"service", "over"}
	}
	return []string{"over"}
}

func (p *parser) arguments() error {
	for {
		if err := p.argument(); err != nil {
			return err
		}
		switch {
		case p.Next(")"):
			return nil
		case !p.Next(","):
			return errors.New("a closing parenthesis is missing here")
		}
	}
}

func (p *parser) argument() error {
	c := &p.condition
	key := p.Word("_")
	known := c.measure.arguments()
	switch {
	case !slices.Contains(known, key):
		return spelling.Unknown("argument", key, known)
	case c.measure.unit == unitPercent && c.resource != "":
		return errors.New("one pressure at a time")
	case c.measure.unit == unitPercent:
		c.resource = key
		return nil
	case !p.Next("="):
		return fmt.Errorf("%s needs a value, as service=cart, over=30s", key)
	}
	if key == "service" {
		return p.service()
	}
	return p.window()
}

// service reads a name: up to the next comma or parenthesis, or quoted.
func (p *parser) service() error {
	p.Space()
	p.Begin = p.At
	rest := p.Text[p.At:]
	end := strings.IndexAny(rest, ",)")
	if end < 0 {
		end = len(rest)
	}
	name := strings.TrimSpace(rest[:end])
	if strings.HasPrefix(rest, `"`) {
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return errors.New("the quoted name has no end")
		}
		name, _ = strconv.Unquote(quoted) // QuotedPrefix has looked
		end = len(quoted)
	}
	if name == "" {
		return errors.New("the name of a service is missing")
	}
	p.condition.service = name
	p.At += end
	return nil
}

func (p *parser) window() error {
	over, err := time.ParseDuration(p.Word("."))
	if err != nil || over < minOver || over > maxOver {
		return fmt.Errorf("a window is a time from %s to %s, as 30s", minOver, maxOver)
	}
	p.condition.over = over
	return nil
}

// relation reads > or <.
func (p *parser) relation() error {
	c := &p.condition
	switch {
	case p.Next(">"):
		return nil
	case !p.Next("<"):
		return errors.New("a bound is missing: > and " + c.measure.unit.example())
	case !c.measure.requests:
		return fmt.Errorf("%s can only be too large; requests can be too few", c.measure.name)
	case c.service == "":
		return errors.New("too few requests to which service? requests(service=NAME)<1/s")
	}
	c.below = true
	return nil
}

// example is a bound in this unit.
func (u unit) example() string {
	return map[unit]string{unitDuration: "a time, as 200ms", unitRate: "a rate, as 100/s", unitPercent: "a share, as 10%"}[u]
}

// value reads the bound, and the end.
func (p *parser) value() error {
	c := &p.condition
	word := p.Word(".+-/%µ")
	if p.Space(); p.At < len(p.Text) {
		p.Begin = p.At
		return errors.New("nothing may follow the bound, " + c.measure.unit.example())
	}
	bound, ok := c.measure.unit.parse(word)
	if !ok {
		return errors.New("the bound is " + c.measure.unit.example())
	}
	c.bound = bound
	return nil
}

func (u unit) parse(word string) (bound float64, ok bool) {
	if u == unitDuration {
		d, err := time.ParseDuration(word)
		return float64(d), err == nil && d > 0
	}
	number, ok := strings.CutSuffix(word, map[unit]string{unitRate: "/s", unitPercent: "%"}[u])
	bound, err := strconv.ParseFloat(number, 64)
	if strings.ContainsAny(number, "eExXpP_+-nN") || err != nil || !ok {
		return 0, false
	}
	most := math.MaxInt64
	if u == unitPercent {
		most = 100
	}
	return bound, bound > 0 && bound <= float64(most)
}
