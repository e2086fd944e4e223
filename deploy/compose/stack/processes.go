package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"drover/system/process"
)

// patience bounds every wait for a condition. Nothing takes so long unless it is broken.
const patience = 3 * time.Minute

// processes runs services of a compose file as plain processes: their commands, variables, mounted files and health checks as they stand there, with
// addresses of this machine in place of names, and folders in place of volumes. One goroutine uses it.
type processes struct {
	p        *types.Project
	dir      string
	programs map[string]string // by repository of the image; drover for what is built
	addrs    map[string]string // of service:port
	running  map[string]*process.Process
	done     map[string]bool // one-shots that have ended well
	starts   map[string]int
}

// address is where a service's port is on this machine.
func (r *processes) address(service, port string) (string, error) {
	key := service + ":" + port
	if a, ok := r.addrs[key]; ok {
		return a, nil
	}
	for range 100 {
		a, err := process.FreeAddr()
		if err != nil {
			return "", err
		}
		taken := false
		for _, other := range r.addrs {
			taken = taken || other == a
		}
		if !taken {
			r.addrs[key] = a
			return a, nil
		}
	}
	return "", errors.New("no free port")
}

// up starts a service when what it depends on is as it wants it, and waits until it is healthy or, for a one-shot, has ended.
func (r *processes) up(ctx context.Context, name string) error {
	if r.running[name].Running() || r.done[name] {
		return nil
	}
	s := r.p.Services[name]
	for on, d := range s.DependsOn {
		if err := r.up(ctx, on); err != nil {
			return err
		}
		if d.Condition == types.ServiceConditionCompletedSuccessfully && !r.done[on] {
			return fmt.Errorf("%s waits for the end of %s, which goes on", name, on)
		}
	}
	if r.external(name) {
		return nil
	}
	if err := r.start(name); err != nil {
		return err
	}
	if s.Restart == "no" {
		code, err := r.running[name].Await(patience)
		if err == nil && code != 0 {
			err = fmt.Errorf("%s ended with exit code %d; see %s", name, code, r.log(name))
		}
		r.done[name] = err == nil
		return err
	}
	return r.healthy(ctx, name)
}

// external services are started by somebody else: PostgreSQL by localdb, the simulator by run itself.
func (r *processes) external(name string) bool { return name == "postgres" || name == "simulator" }

func (r *processes) log(name string) string { return filepath.Join(r.dir, name, "log") }

// start runs a service's process; with what it left behind, where it ran before.
func (r *processes) start(name string) error {
	s := r.p.Services[name]
	root := filepath.Join(r.dir, name, "root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	if err := r.mount(s, root); err != nil {
		return err
	}
	args, err := r.command(s, root)
	if err != nil {
		return err
	}
	env, err := r.env(s, root)
	if err != nil {
		return err
	}
	r.starts[name]++
	r.running[name], err = process.Start(process.Command{Name: name, Args: args, Env: env, Dir: filepath.Join(r.dir, name), Log: r.log(name)})
	return err
}

// mount puts a service's files and folders below root, as the container would have them below /.
func (r *processes) mount(s types.ServiceConfig, root string) error {
	put := func(target, text string) error {
		text, err := r.translate(s, root, text)
		if err != nil {
			return err
		}
		path := filepath.Join(root, target)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, []byte(text), 0o644)
	}
	for _, v := range s.Volumes {
		if v.Type == "volume" {
			if err := os.MkdirAll(filepath.Join(root, v.Target), 0o755); err != nil {
				return err
			}
			continue
		}
		err := filepath.WalkDir(v.Source, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return put(v.Target+strings.TrimPrefix(path, v.Source), string(text))
		})
		if err != nil {
			return err
		}
	}
	for _, t := range s.Tmpfs {
		folder, _, _ := strings.Cut(t, ":")
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
			return err
		}
		if err := os.Chmod(filepath.Join(root, folder), 0o777); err != nil { // whatever the umask is
			return err
		}
	}
	return nil
}

// runs is the line of a script that becomes the image's program.
var runs = regexp.MustCompile(`(?m)^exec /\S+`)

// command is what runs: the image's program with the service's arguments.
func (r *processes) command(s types.ServiceConfig, root string) ([]string, error) {
	repository, _, _ := strings.Cut(s.Image, ":")
	if s.Build != nil {
		repository = "drover"
	}
	program, ok := r.programs[repository]
	if !ok {
		return nil, fmt.Errorf("%s: no program for the image %s", s.Name, s.Image)
	}
	if len(s.Entrypoint) > 0 { // a shell, which writes files and then becomes the program
		return r.script(s, root, program)
	}
	args := slices.Clone([]string(s.Command))
	if s.Build != nil && len(args) == 0 {
		args = []string{"run"}
	}
	if len(args) > 0 && filepath.IsAbs(args[0]) { // the command names the program itself
		args = args[1:]
	}
	out := []string{program}
	for _, a := range args {
		a, err := r.translate(s, root, a)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// script is a service's own entry point with this machine's program in it. It runs as a user that is not root, as in the container: PgBouncer
// refuses to be root, and what the script writes to must be open to whatever user that is.
func (r *processes) script(s types.ServiceConfig, root, program string) ([]string, error) {
	var out []string
	if os.Getuid() == 0 {
		out = []string{r.programs["setpriv"], "--reuid=postgres", "--regid=postgres", "--clear-groups"}
	}
	for _, a := range slices.Concat(s.Entrypoint, s.Command) {
		a, err := r.translate(s, root, a)
		if err != nil {
			return nil, err
		}
		out = append(out, runs.ReplaceAllString(a, "exec "+strings.ReplaceAll(program, "$", "$$")))
	}
	return out, nil
}

func (r *processes) env(s types.ServiceConfig, root string) ([]string, error) {
	out := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(r.dir, s.Name)}
	for _, pair := range environment(s) {
		pair, err := r.translate(s, root, pair)
		if err != nil {
			return nil, err
		}
		out = append(out, pair)
	}
	return out, nil
}

// alive counts the services' processes that run, and the database. One that has ended, and is no one-shot that ended well, is an error.
func (r *processes) alive() (int, error) {
	n := 1
	var all error
	for name := range r.running {
		if r.done[name] {
			continue
		}
		all = errors.Join(all, r.ended(name))
		n++
	}
	return n, all
}

// close ends everything, at once.
func (r *processes) close() {
	for _, p := range r.running {
		p.Kill()
	}
}
