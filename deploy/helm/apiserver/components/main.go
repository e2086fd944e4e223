// Command components is kube-apiserver and kube-controller-manager in one binary, which a check builds from the module proxy where no
// image can be had: components kube-apiserver --help.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	manager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func main() {
	var command *cobra.Command
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "kube-apiserver":
			command = apiserver.NewAPIServerCommand()
		case "kube-controller-manager":
			command = manager.NewControllerManagerCommand()
		}
	}
	if command == nil {
		fmt.Fprintln(os.Stderr, "components: say kube-apiserver or kube-controller-manager, and its flags")
		os.Exit(2)
	}
	os.Args = os.Args[1:]
	os.Exit(cli.Run(command))
}
