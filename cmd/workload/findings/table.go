package main

import (
	"fmt"
	"slices"
	"strings"

	"kmon/analyze/finding"
	"kmon/record/synthetic"
)

// tables writes all tables in Markdown.
func tables(results []result, tune bool) string {
	var b strings.Builder
	seeds := fmt.Sprintf("from %d on, with which no threshold was set", evaluationSeed)
	if tune {
		seeds = "for tuning: no evaluation"
	}
	fmt.Fprintf(&b, "\nRules of version %d; captures of %v with %d requests a second on 3 to 5 nodes, noise %v; the fault begins at %v. Seeds %s.\n",
		finding.DefaultRules().Version, duration, rate, noises, faultAt, seeds)
	if all := len(grid(evaluationSeed)); len(results) < all {
		fmt.Fprintf(&b, "Only a part of the grid was run: %d of %d sets of captures.\n", len(results), all)
	}
	for _, section := range []struct {
		title    string
		lost     float64
		baseline bool
	}{
		{"Everything recorded", 0, false},
		{"Compared with a healthy capture", 0, true},
		{fmt.Sprintf("%.0f%% of the events lost, and declared", 100*lostPart), lostPart, false},
	} {
		list := slices.DeleteFunc(slices.Clone(results), func(r result) bool {
			return r.Trial.Lost != section.lost || r.Trial.Baseline != section.baseline
		})
		if len(list) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n", section.title)
		writeKinds(&b, list)
		writeSums(&b, list)
		writeWrong(&b, list)
	}
	return b.String()
}

// writeKinds writes recall by kind and size, and precision by kind.
func writeKinds(b *strings.Builder, list []result) {
	b.WriteString("| kind | ×2 | ×3 | ×5 | ×10 | recall from ×3 | claims of the kind | right or explained | precision |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, k := range synthetic.Kinds {
		fmt.Fprintf(b, "| %s |", k.Name)
		for _, size := range sizes {
			fmt.Fprintf(b, " %s |", recall(list, func(t trial) bool { return t.Kind == k.Name && t.Size == size }))
		}
		all, right := claimed(list, finding.Kind(k.Name))
		fmt.Fprintf(b, " %s | %d | %d | %s |\n", recall(list, func(t trial) bool { return t.Kind == k.Name && t.Size >= 3 }), all, right, share2(right, all))
	}
}

// recall is how many of the chosen trials had their fault found.
func recall(list []result, chosen func(trial) bool) string {
	all, found := counted(list, chosen)
	return fmt.Sprintf("%d/%d", found, all)
}

func counted(list []result, chosen func(trial) bool) (all, found int) {
	for _, r := range list {
		if chosen(r.Trial) {
			all++
			if r.Found {
				found++
			}
		}
	}
	return all, found
}

// claimed counts the claims of a kind, "" for all, and those that are not wrong.
func claimed(list []result, kind finding.Kind) (all, right int) {
	for _, r := range list {
		for _, c := range r.Claims {
			if kind == "" || c.Kind == kind {
				all++
				if c.Right || c.Explained {
					right++
				}
			}
		}
	}
	return all, right
}

// share2 is a ratio with two digits.
func share2(part, whole int) string {
	if whole == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", float64(part)/float64(whole))
}

// writeSums writes what the issue of it all is.
func writeSums(b *strings.Builder, list []result) {
	large, found := counted(list, func(t trial) bool { return t.Kind != "" && t.Size >= 3 })
	small, smallFound := counted(list, func(t trial) bool { return t.Kind != "" && t.Size < 3 })
	all, right := claimed(list, "")
	insufficient, wrongIn, healthyRuns, alarms := 0, 0, 0, 0
	for _, r := range list {
		wrong := slices.ContainsFunc(r.Claims, func(c claim) bool { return !c.Right && !c.Explained })
		switch {
		case r.Trial.Kind == "":
			healthyRuns++
			if len(r.Claims) > 0 {
				alarms++
			}
		case wrong:
			wrongIn++
		}
		if r.Insufficient {
			insufficient++
		}
	}
	fmt.Fprintf(b, "\n- Recall from ×3: %s (%d of %d); of ×2: %s (%d of %d). Of those not found, %d were said to be insufficient.\n",
		share2(found, large), found, large, share2(smallFound, small), smallFound, small, insufficient)
	fmt.Fprintf(b, "- Precision of all claims above info: %s (%d of %d are right, or name a right one as their cause). %d of %d faulty captures have a wrong claim.\n",
		share2(right, all), right, all, wrongIn, large+small)
	fmt.Fprintf(b, "- Healthy captures: %d of %d have a claim above info.\n", alarms, healthyRuns)
}

// writeWrong counts what was claimed wrongly, by what was the matter.
func writeWrong(b *strings.Builder, list []result) {
	counts := map[[2]string]int{}
	for _, r := range list {
		for _, c := range r.Claims {
			if !c.Right && !c.Explained {
				counts[[2]string{r.Trial.name(), string(c.Kind)}]++
			}
		}
	}
	if len(counts) == 0 {
		return
	}
	var keys [][2]string
	for k := range counts {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(x, y [2]string) int {
		if counts[x] != counts[y] {
			return counts[y] - counts[x]
		}
		return strings.Compare(x[0]+" "+x[1], y[0]+" "+y[1])
	})
	b.WriteString("\n| what was the matter | what was claimed wrongly | times |\n|---|---|---|\n")
	for _, k := range keys {
		fmt.Fprintf(b, "| %s | %s | %d |\n", k[0], k[1], counts[k])
	}
}
