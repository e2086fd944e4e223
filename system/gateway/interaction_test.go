package gateway

import (
	"encoding/json"
	"testing"
)

func TestInteraction(t *testing.T) {
	tests := []struct{ name, d, want string }{
		{"a command", `{"id":"75","type":2,"token":"tok","data":{"name":"roll","type":1,"options":[{"name":"sides","type":4,"value":6}]}}`,
			`{"interaction_id":"75","interaction_type":"ApplicationCommand","interaction_token":"tok","command_name":"roll"}`},
		{"a subcommand", `{"type":2,"id":"75","token":"tok","data":{"options":[{"type":1,"name":"add","options":[{"name":"x","type":1}]}],"name":"role"}}`,
			`{"interaction_id":"75","interaction_type":"ApplicationCommand","interaction_token":"tok","command_name":"role","subcommand":"add"}`},
		{"a group", `{"id":"75","token":"tok","data":{"name":"role","options":[ {"name":"member","type":2,"options":[{"name":"add","type":1,"options":[]}]} ]},"type":2}`,
			`{"interaction_id":"75","interaction_type":"ApplicationCommand","interaction_token":"tok","command_name":"role","subcommand":"member add"}`},
		{"autocomplete", `{"id":"75","type":4,"token":"tok","data":{"name":"role","options":[{"name":"add","type":1}]}}`,
			`{"interaction_id":"75","interaction_type":"ApplicationCommandAutocomplete","interaction_token":"tok","command_name":"role","subcommand":"add"}`},
		{"a button", `{"id":"75","type":3,"token":"tok","data":{"custom_id":"x","name":"never"}}`,
			`{"interaction_id":"75","interaction_type":"MessageComponent","interaction_token":"tok"}`},
		{"a modal", `{"id":"75","type":5,"token":"tok"}`, `{"interaction_id":"75","interaction_type":"ModalSubmit","interaction_token":"tok"}`},
		{"an unknown type, an integer id", `{"id":75,"type":9,"token":"tok"}`, `{"interaction_id":75,"interaction_type":"Unknown(9)","interaction_token":"tok"}`},
		{"escapes", `{"id":"75","type":2,"t\u006fken":"t\"k","data":{"name":"r\u00e9"}}`,
			`{"interaction_id":"75","interaction_type":"ApplicationCommand","interaction_token":"t\"k","command_name":"r\u00e9"}`},
		{"white space", ` { "id" : "75" , "type" : 2 , "token" : "tok" , "data" : { "name" : "a" , "options" : [ ] } } `,
			`{"interaction_id":"75","interaction_type":"ApplicationCommand","interaction_token":"tok","command_name":"a"}`},
		{"nothing", `{}`, `{"interaction_id":null,"interaction_type":"Unknown(0)","interaction_token":null}`},
		{"no object", `[]`, `{"interaction_id":null,"interaction_type":"Unknown(0)","interaction_token":null}`},
		{"wrong types", `{"id":["75"],"type":"2","token":7,"data":[]}`, `{"interaction_id":null,"interaction_type":"Unknown(0)","interaction_token":null}`},
		{"wrong types inside", `{"id":"75","type":2,"token":"tok","data":{"name":"a","options":[[{"name":"x","type":1}]]}}`,
			`{"interaction_id":"75","interaction_type":"ApplicationCommand","interaction_token":"tok","command_name":"a"}`},
		{"the last one counts", `{"id":"1","type":3,"token":"a","data":{"name":"a"},"id":"75","type":2,"token":"tok","data":{"name":"b","options":[{"name":"x","type":1}],"options":null}}`,
			`{"interaction_id":"75","interaction_type":"ApplicationCommand","interaction_token":"tok","command_name":"b"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var f Frame
			if err := Scan([]byte(`{"op":0,"t":"INTERACTION_CREATE","s":1,"d":`+tt.d+`}`), &f); err != nil {
				t.Fatal(err)
			}
			i := f.Interaction()
			got := "{" + string(i.Append(nil)) + "}"
			if got != tt.want || !json.Valid([]byte(got)) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestMemberJoin(t *testing.T) {
	tests := []struct{ name, d, want string }{
		{"both", `{"guild_id":"51","user":{"username":"b\u00f6","discriminator":"0042","id":"43"}}`, `"username":"b\u00f6","discriminator":42`},
		{"none", `{"guild_id":"51","user":{"id":"43"}}`, `"username":null,"discriminator":null`},
		{"null", `{"user":{"username":null,"discriminator":null}}`, `"username":null,"discriminator":null`},
		{"wrong types", `{"user":{"username":[],"discriminator":7}}`, `"username":null,"discriminator":null`},
		{"no user", `{"username":"x"}`, `"username":null,"discriminator":null`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var f Frame
			if err := Scan([]byte(`{"op":0,"t":"GUILD_MEMBER_ADD","s":1,"d":`+tt.d+`}`), &f); err != nil {
				t.Fatal(err)
			}
			if got := string(f.MemberJoin().Append(nil)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
