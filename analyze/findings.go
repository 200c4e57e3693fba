package analyze

import "kmon/analyze/finding"

// Finding, its parts and Check are those of package finding.
type (
	Finding  = finding.Finding
	Evidence = finding.Evidence
	Subject  = finding.Subject
	Check    = finding.Check
)

// addFindings runs the rules.
func (r *run) addFindings(a *Analysis) {
	result := finding.Find(&finding.Input{}, nil, finding.DefaultRules())
	a.Findings, a.Checks, a.RulesVersion = result.Findings, result.Checks, result.RulesVersion
}
