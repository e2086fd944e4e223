// Command sql is k6 with one more module, k6/x/drover-sql, for transactions on
// PostgreSQL. The public xk6-sql has none: it spreads single statements over a
// pool, so that a tenant that one of them sets is unknown to the next.
package main

import (
	"go.k6.io/k6/cmd"
	"go.k6.io/k6/js/modules"
)

func main() {
	modules.Register("k6/x/drover-sql", root{})
	cmd.Execute()
}
