package reports

import (
	"encoding/json"
	"fmt"
	"io"

	"kmon/analyze"
)

// writeJSON writes the analysis as it is, indented, with a line end.
func writeJSON(w io.Writer, a *analyze.Analysis) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(a); err != nil {
		return fmt.Errorf("analysis as JSON: %w", err)
	}
	return nil
}
