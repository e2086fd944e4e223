// Command apiserver gives drover's chart to a real API server: what decoding alone cannot find is found there. Defaults, immutable
// fields, Pod Security, the schemas of other people's kinds, and what the controllers make of it. There is no kubelet, so no container
// runs; where somebody has to say that a pod runs, is ready or has ended, the check says it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

const namespace = "drover"

// options are where things are.
type options struct {
	components, helm, chart, values string
}

func init() { runtime.LockOSThread() } // children die with the thread that has started them

func main() {
	var o options
	flag.StringVar(&o.components, "components", "", "binary of ./components")
	flag.StringVar(&o.helm, "helm", "helm", "helm's binary")
	flag.StringVar(&o.chart, "chart", "../drover", "folder of the chart")
	flag.StringVar(&o.values, "values", "../testdata/values", "folder of files of values")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := check(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "*** helm apiserver failed ***")
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(ctx context.Context, o options) error {
	c, err := start(ctx, o.components)
	if err != nil {
		return err
	}
	defer c.stop()
	s, err := newSteps(c, o)
	if err != nil {
		return err
	}
	steps := []struct {
		what string
		do   func(context.Context) error
	}{
		{"the API server is ready, with a namespace that enforces Pod Security restricted", s.prepare},
		{"each rendering passes a server-side dry run, without a warning", s.dryRuns},
		{"broken manifests are refused or warned of", s.refusals},
		{"helm installs: the migration first, then everything else, the consumer last", s.install},
		{"the controllers make all pods at once, each with a volume of its own", s.pods},
		{"upgrades restart nodes only where they must, and what is immutable is refused", s.upgrades},
		{"a rollout goes one by one, waits for readiness, and a broken one is replaced without a hand", s.rollout},
		{"the budget lets one pod go, and no second", s.evictions},
		{"the volumes' size is changed as README.md tells it, and no pod is touched", s.larger},
	}
	for _, step := range steps {
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w\n%s", step.what, err, c.logs())
		}
		fmt.Println("ok:", step.what)
	}
	fmt.Printf("result: a real kube-apiserver %s took %d objects of %d renderings by dry run, refused %d, and its controllers made and rolled the pods; no kubelet, so none ran\n",
		s.version, s.tried, s.renderings, s.refused)
	return nil
}
