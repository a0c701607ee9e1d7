package cli

// elsewhere says what to do instead of a flag that docker has and kiln has not,
// if name is one.
func elsewhere(command, name string) (hint string, known bool) {
	if command != "build" {
		return "", false
	}
	switch name {
	case "load":
		return "kiln has no daemon to load into; write an archive with -o type=docker,dest=image.tar and run docker load -i image.tar", true
	case "builder":
		return "kiln has no builders: it runs where you call it", true
	case "rm", "force-rm":
		return "kiln leaves no containers behind; leave the flag out", true
	case "pull":
		return "kiln asks the registry for the base image at every build; leave the flag out", true
	case "compress":
		return "kiln sends its context nowhere; leave the flag out", true
	case "memory", "memory-swap", "cpu-period", "cpu-quota", "cpu-shares", "cpuset-cpus", "cpuset-mems", "ulimit", "cgroup-parent":
		return "kiln has no cgroups of its own; limit the process that calls it", true
	case "attest", "provenance", "sbom":
		return "kiln makes no attestations; leave the flag out", true
	}
	return "", false
}
