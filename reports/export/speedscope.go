package export

import (
	"encoding/json"
	"io"

	"kmon/analyze"
)

// speedscopeSchema names the format to its readers.
const speedscopeSchema = "https://www.speedscope.app/file-format-schema.json"

// The parts of https://www.speedscope.app/file-format-schema.json that are
// written.
type (
	speedscopeFile struct {
		Schema   string              `json:"$schema"`
		Exporter string              `json:"exporter"`
		Name     string              `json:"name"`
		Shared   speedscopeShared    `json:"shared"`
		Profiles []speedscopeProfile `json:"profiles"`
	}
	speedscopeShared struct {
		Frames []speedscopeFrame `json:"frames"`
	}
	speedscopeFrame struct {
		Name string `json:"name"`
		File string `json:"file,omitempty"`
	}
	speedscopeProfile struct {
		Type       string    `json:"type"`
		Name       string    `json:"name"`
		Unit       string    `json:"unit"`
		StartValue int64     `json:"startValue"`
		EndValue   int64     `json:"endValue"`
		Samples    [][]int32 `json:"samples"` // frames from the root
		Weights    []int64   `json:"weights"`
	}
)

// Speedscope writes JSON for speedscope: one profile, with the services as
// roots. It has no order in time: open it with "Left Heavy". name says what was
// recorded, exporter who writes.
func Speedscope(w io.Writer, p *analyze.Profile, kind Kind, name, exporter string) error {
	f := speedscopeFile{Schema: speedscopeSchema, Exporter: exporter, Name: name, Shared: speedscopeShared{Frames: []speedscopeFrame{}}}
	for _, frame := range p.Frames {
		f.Shared.Frames = append(f.Shared.Frames, speedscopeFrame{Name: frame.Name, File: frame.Module})
	}
	out := speedscopeProfile{Type: "sampled", Name: name + " " + string(kind), Unit: "nanoseconds", Samples: [][]int32{}, Weights: []int64{}}
	perUnit := int64(1)
	if kind == OnCPU {
		perUnit = p.SampleNs
	}
	if perUnit == 0 {
		perUnit, out.Unit = 1, "none"
	}
	for _, s := range stacksOf(p, kind) {
		weight := scaled(s.value, perUnit)
		out.Samples = append(out.Samples, s.frames)
		out.Weights = append(out.Weights, weight)
		out.EndValue += min(weight, 1<<62-out.EndValue)
	}
	f.Profiles = []speedscopeProfile{out}
	return json.NewEncoder(w).Encode(f)
}
