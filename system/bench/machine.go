package bench

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// Machine is where the benchmark ran.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory string `json:"memory"`
	OS     string `json:"os"`
	Kernel string `json:"kernel"`
}

// thisMachine says what the system tells; what it does not tell stays empty.
func thisMachine() Machine {
	m := Machine{Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH}
	m.CPU = entry("/proc/cpuinfo", "model name", ":")
	if name := strings.Trim(entry("/etc/os-release", "PRETTY_NAME", "="), `"`); name != "" {
		m.OS = name + ", " + m.OS
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(text))
	}
	if kb, err := strconv.Atoi(strings.TrimSuffix(entry("/proc/meminfo", "MemTotal", ":"), " kB")); err == nil {
		m.Memory = strconv.Itoa((kb+512<<10)>>20) + " GiB"
	}
	return m
}

// entry is the value of the first line of a file that begins with a key.
func entry(file, key, separator string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for scan := bufio.NewScanner(bytes.NewReader(text)); scan.Scan(); {
		name, value, found := strings.Cut(scan.Text(), separator)
		if found && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Version is one program or library that was measured.
type Version struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// versions are those that a reader needs to repeat the measurement.
func (o *Options) versions() []Version {
	list := []Version{{"drover", o.Version}, {"Go", runtime.Version()}}
	modules := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			modules[d.Path] = d.Version
		}
	}
	for _, m := range []Version{
		{"nats.go", "github.com/nats-io/nats.go"}, {"nats-server", "github.com/nats-io/nats-server/v2"}, {"discordgo", "github.com/bwmarrin/discordgo"},
	} {
		v := modules[m.Version]
		if m.Name == "nats-server" {
			v += " (inside drover, as a process of its own)"
			if o.NATS != "" {
				out, err := exec.Command(o.NATS, "--version").Output()
				v = strings.TrimPrefix(strings.TrimSpace(string(out)), "nats-server: ")
				if err != nil {
					v = o.NATS
				}
			}
		}
		list = append(list, Version{m.Name, v})
	}
	return list
}

// machineTime is the processor time of all programs so far, and what the host of this machine took away; 0 where it is not
// known. It counts in hundredths of a second.
func machineTime() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal …
	if len(fields) < 9 {
		return 0
	}
	var ticks time.Duration
	for _, i := range []int{1, 2, 3, 8} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0
		}
		ticks += time.Duration(n)
	}
	return ticks * 10 * time.Millisecond
}
