package main

import (
	"fmt"
	"regexp"
	"strings"
)

// schemas and what is in it have the form that the provider reads.
type schemas struct {
	Provider  *block            `json:"provider"`
	Resources map[string]*block `json:"resources"`
	Data      map[string]*block `json:"data"`
}

type block struct {
	Attributes map[string]*attribute `json:"attributes,omitempty"`
	Blocks     map[string]*nested    `json:"blocks,omitempty"`
}

type attribute struct {
	Type     any  `json:"type"`
	Required bool `json:"required,omitempty"`
	Optional bool `json:"optional,omitempty"`
	Computed bool `json:"computed,omitempty"`
}

type nested struct {
	Nesting string `json:"nesting"`
	Min     int    `json:"min,omitempty"`
	Max     int    `json:"max,omitempty"`
	Block   *block `json:"block"`
}

// allOptional is for the provider itself, whose class does not say what may be left out.
func (b *block) allOptional() {
	for _, a := range b.Attributes {
		a.Required, a.Optional = false, true
	}
	for _, n := range b.Blocks {
		n.Min = 0
		n.Block.allOptional()
	}
}

// class is what one generated class says. Setters that it can reset are optional; comments say what is computed; the function that
// turns it into HCL names the types of all that can be set.
type class struct {
	computed map[string]bool   // attributes that cannot be set → those whose comment says "computed: true, optional: false"
	doc      map[string]string // name → its comment
	types    map[string]any    // by the getters
	nested   map[string]string // name → class of what is below
	resets   map[string]bool   // camel-case names
}

// setter is an entry of such a function.
type setter struct {
	name, nesting, storage, inner string
	block                         bool
}

var (
	classLine    = regexp.MustCompile(`^class (\w+) extends cdktf\.(\w+)`)
	functionLine = regexp.MustCompile(`^function (\w+)ToHclTerraform\(`)
	commentLine  = regexp.MustCompile(`^\s*// (\w+) - (computed: \w+, optional: \w+, required: \w+)`)
	getterLine   = regexp.MustCompile(`return (cdktf\.Fn\.tolist\()?this\.get(\w+)Attribute\('(\w+)'\)`)
	nestedLine   = regexp.MustCompile(`this\._\w+ = new (\w+)\(this, "(\w+)"(?:, (true|false))?\)`)
	mapLine      = regexp.MustCompile(`this\._\w+ = new cdktf\.(String|Number|Boolean)Map\(this, "(\w+)"\)`)
	resetLine    = regexp.MustCompile(`^    reset(\w+)\(\) \{`)
	entryLine    = regexp.MustCompile(`^            (\w+): \{$|^        (\w+): \{$`)
	valueLine    = regexp.MustCompile(`(\w+)ToHclTerraform[,)(]`)
	propertyLine = regexp.MustCompile(`^\s+(isBlock|type|storageClassType): "?(\w+)"?,`)
)

type file struct {
	classes map[string]*class
	setters map[string][]setter // by class
	main    string
}

func parse(text string) (*block, error) {
	f := file{classes: map[string]*class{}, setters: map[string][]setter{}}
	var in *class
	var setters string // whose function we are in
	var current *setter
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if m := classLine.FindStringSubmatch(line); m != nil {
			in = &class{map[string]bool{}, map[string]string{}, map[string]any{}, map[string]string{}, map[string]bool{}}
			name := strings.TrimSuffix(m[1], "OutputReference")
			if m[2] == "ComplexList" {
				in = nil
				continue
			}
			f.classes[name] = in
			setters = ""
			if m[2] != "ComplexObject" {
				f.main = name
			}
			continue
		}
		if m := functionLine.FindStringSubmatch(line); m != nil {
			in, setters = nil, strings.ToUpper(m[1][:1])+m[1][1:]
			f.setters[setters] = nil
			continue
		}
		if strings.Contains(line, "synthesizeHclAttributes()") {
			setters = f.main
			continue
		}
		if setters != "" {
			if m := entryLine.FindStringSubmatch(line); m != nil {
				f.setters[setters] = append(f.setters[setters], setter{name: m[1] + m[2]})
				current = &f.setters[setters][len(f.setters[setters])-1]
				continue
			}
			if m := propertyLine.FindStringSubmatch(line); m != nil && current != nil {
				switch m[1] {
				case "isBlock":
					current.block = m[2] == "true"
				case "type":
					current.nesting = m[2]
				case "storageClassType":
					current.storage = m[2]
				}
				continue
			}
			if strings.Contains(line, "value: ") && current != nil && current.inner == "" {
				for _, m := range valueLine.FindAllStringSubmatch(strings.ReplaceAll(line, "cdktf.", "cdktf"), -1) {
					if !strings.HasPrefix(m[1], "cdktf") {
						current.inner = strings.ToUpper(m[1][:1]) + m[1][1:]
					}
				}
			}
		}
		if in != nil {
			in.read(line)
		}
	}
	if f.main == "" {
		return nil, fmt.Errorf("no class of a resource")
	}
	return f.block(f.main)
}

func (c *class) read(line string) {
	if m := commentLine.FindStringSubmatch(line); m != nil {
		c.doc[m[1]] = m[2]
		c.computed[m[1]] = strings.HasPrefix(m[2], "computed: true, optional: false")
	}
	if m := getterLine.FindStringSubmatch(line); m != nil {
		typ, ok := map[string]any{
			"String": "string", "Number": "number", "Boolean": "bool", "List": []any{"list", "string"}, "NumberList": []any{"list", "number"},
			"StringMap": []any{"map", "string"}, "BooleanMap": []any{"map", "bool"}, "NumberMap": []any{"map", "number"},
		}[m[2]]
		if !ok {
			typ = "string"
		}
		if m[1] != "" {
			typ = []any{"set", "string"}
		}
		c.types[m[3]] = typ
	}
	if m := nestedLine.FindStringSubmatch(line); m != nil {
		c.nested[m[2]] = m[1]
	}
	if m := mapLine.FindStringSubmatch(line); m != nil {
		c.types[m[2]] = []any{"map", map[string]string{"String": "string", "Number": "number", "Boolean": "bool"}[m[1]]}
	}
	if m := resetLine.FindStringSubmatch(line); m != nil {
		c.resets[strings.ToLower(m[1])] = true
	}
}

// block puts together what the class and its function say.
func (f file) block(name string) (*block, error) {
	c := f.classes[name]
	if c == nil { // the provider's blocks have functions only
		c = &class{}
	}
	out := &block{Attributes: map[string]*attribute{}, Blocks: map[string]*nested{}}
	settable := map[string]bool{}
	for _, s := range f.setters[name] {
		settable[s.name] = true
		camel := strings.ReplaceAll(s.name, "_", "")
		// What is a word of the generated language's own has "attribute" behind it.
		optional := c.resets[camel] || c.resets[camel+"attribute"] || strings.Contains(c.doc[s.name], "optional: true")
		if s.inner != "" {
			inner, err := f.block(s.inner)
			if err != nil {
				return nil, err
			}
			n := &nested{Nesting: s.nesting, Block: inner}
			if s.nesting == "struct" {
				n.Nesting = "single"
			} else if strings.HasSuffix(c.nested[s.name], "OutputReference") {
				n.Max = 1
			}
			if !optional && n.Nesting != "single" {
				n.Min = 1
			}
			out.Blocks[s.name] = n
			continue
		}
		typ, err := s.typ()
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", name, s.name, err)
		}
		a := &attribute{Type: typ, Required: !optional, Optional: optional}
		// The package does not tell which optional arguments are also computed. These are, everywhere.
		switch s.name {
		case "id", "tags_all", "region":
			a.Required, a.Optional, a.Computed = false, true, true
		}
		out.Attributes[s.name] = a
	}
	for name, computed := range c.computed {
		if !computed || settable[name] {
			continue
		}
		a := &attribute{Type: c.types[name], Computed: true}
		if a.Type == nil {
			typ, err := f.object(c.nested[name])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			a.Type = typ
		}
		out.Attributes[name] = a
	}
	return out, nil
}

func (s setter) typ() (any, error) {
	element, ok := map[string]string{
		"string": "string", "number": "number", "boolean": "bool", "stringList": "string", "numberList": "number", "booleanList": "bool",
		"stringMap": "string", "numberMap": "number", "booleanMap": "bool",
	}[s.storage]
	if !ok {
		return nil, fmt.Errorf("unknown storage %q", s.storage)
	}
	switch s.nesting {
	case "simple":
		return element, nil
	case "list", "set", "map":
		return []any{s.nesting, element}, nil
	}
	return nil, fmt.Errorf("unknown type %q", s.nesting)
}

// object is the type of an attribute that AWS fills and that has parts.
func (f file) object(class string) (any, error) {
	c := f.classes[strings.TrimSuffix(strings.TrimSuffix(class, "List"), "OutputReference")]
	if c == nil {
		return "string", nil // a form that none of our modules reads
	}
	parts := map[string]any{}
	for name := range c.computed {
		typ := c.types[name]
		if typ == nil {
			inner, err := f.object(c.nested[name])
			if err != nil {
				return nil, err
			}
			typ = inner
		}
		parts[name] = typ
	}
	return []any{"list", []any{"object", parts}}, nil
}
