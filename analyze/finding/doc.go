// Package finding says what is wrong on the recorded nodes, on what evidence,
// and what speaks against it.
//
//  1. Package analyze fills an Input: plain sums by subject and window of five
//     seconds, and what of each window was recorded.
//  2. Find runs the rules over it, one file a kind. Thresholds stand in one
//     versioned table, rules.yaml, that a Rules may override.
//  3. A rule compares a subject with a Reference: a healthy capture, else its
//     peers, else its own quiet windows; without the first, severity is capped.
//  4. What the rules found is put in order: root causes before their symptoms,
//     then by severity and confidence.
//
// A false alarm costs more than a miss: a rule needs several windows in a row,
// enough samples in each and coverage of at least 0.9. With less it says
// "insufficient" in a Check, never "fine". Everything here is a pure function of
// Input and Rules.
package finding
