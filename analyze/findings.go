package analyze

import "kmon/analyze/finding"

// Finding, its parts and Check are those of package finding.
type (
	Finding  = finding.Finding
	Evidence = finding.Evidence
	Subject  = finding.Subject
	Check    = finding.Check
)
