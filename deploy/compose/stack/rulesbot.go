package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"drover/config"
)

// botToken is what a user with a bot would have in DISCORD_TOKEN.
const botToken = "token-of-a-bot-of-ones-own"

// ownBot: with bot.yaml over it the same cluster serves a bot at Discord, and a fatal error costs no more than some tries.
func ownBot(c *checking) {
	if c.tokenless == nil || !strings.Contains(c.tokenless.Error(), "DISCORD_TOKEN") {
		c.fault("a token is not asked for: %v", c.tokenless)
	}
	if _, ok := c.bot.Services["simulator"]; ok {
		c.fault("the simulator is still there")
	}
	for _, name := range []string{"drover-1", "drover-2"} {
		s := c.bot.Services[name]
		cfg, err := c.config(s)
		switch {
		case err != nil:
			c.fault("%s: %v", name, err)
		case cfg.Discord.Token.Reveal() != botToken:
			c.fault("%s has another token than DISCORD_TOKEN", name)
		case cfg.Discord.APIURL != config.Default().Discord.APIURL:
			c.fault("%s asks %s", name, cfg.Discord.APIURL)
		case cfg.Pool.Size != config.Default().Pool.Size:
			c.fault("%s has pools of %d", name, cfg.Pool.Size)
		case !strings.HasPrefix(s.Restart, "on-failure:"):
			c.fault("%s is started again by %s, however often Discord refuses it", name, s.Restart)
		}
	}
}

// written is a file that a script writes.
var written = regexp.MustCompile(`>\s*(/\S+/)`)

// inlineFiles: Compose puts no text into a container whose root is read-only ("`file` is the sole supported option"), and without that it fails where
// the image's user is a name. So files are mounted, or written by the service itself into a tmpfs.
func inlineFiles(c *checking) {
	c.each(func(s types.ServiceConfig) {
		for _, ref := range s.Configs {
			if from := c.p.Configs[ref.Source]; s.ReadOnly && from.Content+from.Environment != "" {
				c.fault("%s: the config %s is text, which cannot be put into a read-only container: mount a file", s.Name, ref.Source)
			}
		}
		for _, ref := range s.Secrets {
			if from := c.p.Secrets[ref.Source]; s.ReadOnly && from.Content+from.Environment != "" {
				c.fault("%s: the secret %s is text, which cannot be put into a read-only container: mount a file", s.Name, ref.Source)
			}
		}
		for _, m := range written.FindAllStringSubmatch(strings.Join(s.Command, " "), -1) {
			if !slices.ContainsFunc(s.Tmpfs, func(t string) bool {
				return strings.HasPrefix(m[1], strings.Split(t, ":")[0]+"/") && strings.Contains(t, "mode=1777")
			}) {
				c.fault("%s writes to %s, which is no tmpfs that every user may write to", s.Name, m[1])
			}
		}
	})
}
