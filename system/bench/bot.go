package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/bwmarrin/discordgo"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Bot is what people write by hand to bring Discord's events to JetStream, and what drover is compared with: discordgo reads
// and decodes, a handler puts the event into a small envelope and publishes it, and waits for the acknowledgement, since
// order and delivery matter to it. Its handlers get discordgo's types, as everybody's do, so these are what it encodes.
type Bot struct {
	APIURL  string // Discord's
	NATS    string
	Token   string
	Intents uint64
	Shards  int
	Acked   func(shardID int, seq int64) // called for each event that is stored

	js    jetstream.JetStream
	start string
}

// envelope is what the bot publishes.
type envelope struct {
	Type    string    `json:"type"`
	ShardID int       `json:"shard_id"`
	Seq     int64     `json:"seq"`
	Read    time.Time `json:"received_at"`
	Data    any       `json:"data"`
}

// Run reads and publishes until ctx ends.
func (b *Bot) Run(ctx context.Context) error {
	// discordgo knows one Discord, and an older version of its API than the simulator takes.
	discordgo.APIVersion = "10"
	discordgo.EndpointGateway = b.APIURL + "/gateway"
	nc, err := nats.Connect(b.NATS)
	if err != nil {
		return fmt.Errorf("bench: bot: %w", err)
	}
	defer nc.Close()
	if b.js, err = jetstream.New(nc); err != nil {
		return fmt.Errorf("bench: bot: %w", err)
	}
	b.start = time.Now().Format("20060102T150405.000")
	for shard := range b.Shards {
		s, err := discordgo.New("Bot " + b.Token)
		if err != nil {
			return fmt.Errorf("bench: bot: %w", err)
		}
		s.ShardID, s.ShardCount = shard, b.Shards
		s.Identify.Intents = discordgo.Intent(b.Intents)
		s.Identify.Compress = false // inflating each payload would cost it more
		s.SyncEvents = true         // a goroutine for each event would lose the order
		s.StateEnabled = false      // this bot needs no cache, and is faster without one
		s.AddHandler(b.handle)
		if err := s.Open(); err != nil {
			return fmt.Errorf("bench: bot: shard %d: %w", shard, err)
		}
		defer s.Close()
	}
	<-ctx.Done()
	return nil
}

// handle is called for every dispatch, in order, on the goroutine that reads the connection.
func (b *Bot) handle(s *discordgo.Session, e *discordgo.Event) {
	subject := "events." + strings.ToLower(e.Type)
	if e.Type == "INTERACTION_CREATE" {
		subject = "commands.interaction"
	}
	data := e.Struct
	if data == nil { // a type that discordgo does not know
		data = e.RawData
	}
	body, err := json.Marshal(envelope{e.Type, s.ShardID, e.Sequence, time.Now(), data})
	if err != nil {
		log.Printf("bot: %s: %v", e.Type, err)
		return
	}
	m := nats.NewMsg(subject)
	m.Data = body
	m.Header.Set("Nats-Msg-Id", fmt.Sprintf("%s:%d:%d", b.start, s.ShardID, e.Sequence))
	if _, err := b.js.PublishMsg(context.Background(), m); err != nil {
		log.Printf("bot: publish %s: %v", e.Type, err)
		return
	}
	if b.Acked != nil {
		b.Acked(s.ShardID, e.Sequence)
	}
}
