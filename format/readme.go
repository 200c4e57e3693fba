package format

// readmeText is README.txt of every capture.
func readmeText() string {
	return "A kmon capture: see FORMAT.md of kmon.\n"
}
