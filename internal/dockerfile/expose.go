package dockerfile

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
)

// expose does EXPOSE. A word may expand to several ports.
func (w *walker) expose(cmd *instruction, c *instructions.ExposeCommand) error {
	var ports []string
	for _, word := range c.Ports {
		words, err := w.lex.ProcessWords(word, w.env)
		if err != nil {
			return w.file.wrap(c.Location(), err)
		}
		for _, word := range words {
			some, err := w.ports(c, word)
			if err != nil {
				return w.file.fail(c.Location(), "EXPOSE %s: %v", word, err).
					hint("a port is number[-number][/tcp|udp|sctp]")
			}
			ports = append(ports, some...)
		}
	}
	return w.set(cmd, fmt.Sprintf("EXPOSE %v", ports), func(config *image) {
		config.Config.ExposedPorts = setKeys(config.Config.ExposedPorts, ports)
	})
}

// ports returns the ports that [[ip:]host:]port[-port][/protocol] stands for.
// What it says of the host means nothing in an image, but has to be right.
func (w *walker) ports(c *instructions.ExposeCommand, spec string) ([]string, error) {
	ip, host, container := splitPort(spec)
	number, protocol, _ := strings.Cut(container, "/")
	if protocol == "" {
		protocol = "tcp"
	}
	if number == "" {
		return nil, fmt.Errorf("there is no port")
	}
	lower := strings.ToLower(protocol)
	if lower != "tcp" && lower != "udp" && lower != "sctp" {
		return nil, fmt.Errorf("%q is not a protocol", protocol)
	}
	if protocol != lower {
		w.lint.Run(&linter.RuleExposeProtoCasing, c.Location(), linter.RuleExposeProtoCasing.Format(spec))
	}
	if ip != "" || host != "" {
		w.lint.Run(&linter.RuleExposeInvalidFormat, c.Location(), linter.RuleExposeInvalidFormat.Format(spec))
	}
	if err := checkIP(ip); err != nil {
		return nil, err
	}
	first, last, err := portRange(number)
	if err != nil {
		return nil, err
	}
	if err := checkHostPorts(host, last-first); err != nil {
		return nil, err
	}
	var ports []string
	for port := first; port <= last; port++ {
		ports = append(ports, strconv.Itoa(port)+"/"+lower)
	}
	return ports, nil
}

// splitPort cuts [[ip:]host:]port into its parts. An IPv6 address has colons of
// its own.
func splitPort(spec string) (ip, host, container string) {
	parts := strings.Split(spec, ":")
	n := len(parts)
	if n == 1 {
		return "", "", spec
	}
	return strings.Join(parts[:n-2], ":"), parts[n-2], parts[n-1]
}

func checkIP(ip string) error {
	bare := ip
	if strings.HasPrefix(ip, "[") {
		var err error
		if bare, _, err = net.SplitHostPort(ip + ":"); err != nil {
			return fmt.Errorf("%q is not an address", ip)
		}
	}
	if bare != "" && net.ParseIP(bare) == nil {
		return fmt.Errorf("%q is not an address", ip)
	}
	return nil
}

// checkHostPorts checks the ports of the host, beside a range of the
// container's that is one port and more others long.
func checkHostPorts(host string, more int) error {
	if host == "" {
		return nil
	}
	first, last, err := portRange(host)
	if err != nil {
		return err
	}
	if more != 0 && last-first != more {
		return fmt.Errorf("the two ranges are not of one length")
	}
	return nil
}

// portRange reads port or port-port.
func portRange(s string) (first, last int, err error) {
	from, to, isRange := strings.Cut(s, "-")
	if first, err = portNumber(from); err != nil {
		return 0, 0, err
	}
	if !isRange {
		return first, first, nil
	}
	if last, err = portNumber(to); err != nil {
		return 0, 0, err
	}
	if last < first {
		return 0, 0, fmt.Errorf("the range %s is the wrong way round", s)
	}
	return first, last, nil
}

func portNumber(s string) (int, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 65535 {
		return 0, fmt.Errorf("%q is not a port: a number from 0 to 65535", s)
	}
	return int(n), nil
}
