package main

import (
	"bytes"
	"encoding/json"
	"strings"
)

// object is a JSON object. Grafana's dashboards are loosely typed and their keys are written out here once.
type object = map[string]any

// schema is the version of Grafana's dashboard format: 39 is that of Grafana 11; later ones migrate it when they load it.
const schema = 39

// source refers to the variable by which a dashboard finds its Prometheus.
var source = object{"type": "prometheus", "uid": "${datasource}"}

// render writes the dashboard as Grafana imports it.
func (d dashboard) render() []byte {
	var panels []object
	id, y := 0, 0
	next := func() int { id++; return id }
	for _, r := range d.rows {
		panels = append(panels, object{
			"id": next(), "type": "row", "title": r.title, "collapsed": false, "panels": []any{},
			"gridPos": object{"x": 0, "y": y, "w": 24, "h": 1},
		})
		y++
		x, tallest := 0, 0
		for _, p := range r.panels {
			if x+p.width > 24 {
				x, y, tallest = 0, y+tallest, 0
			}
			panels = append(panels, p.render(next(), x, y))
			x, tallest = x+p.width, max(tallest, p.kind.height())
		}
		y += tallest
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(object{
		"uid": "drover-" + d.name, "title": d.title, "description": d.description, "tags": []string{"drover"},
		"schemaVersion": schema, "version": 1, "editable": true, "graphTooltip": 1, "refresh": "30s", "timezone": "browser",
		"time":        object{"from": "now-1h", "to": "now"},
		"annotations": object{"list": []any{}},
		"links": []object{{
			"type": "dashboards", "tags": []string{"drover"}, "title": "drover", "asDropdown": false, "includeVars": true, "keepTime": true, "targetBlank": false,
		}},
		"templating": object{"list": variables()},
		"panels":     panels,
	}); err != nil {
		panic(err) // strings and numbers can always be written
	}
	return out.Bytes()
}

// variables are the choices on top of every dashboard.
func variables() []object {
	ask := func(name, label, expr string, more object) object {
		v := object{
			"name": name, "label": label, "type": "query", "datasource": source, "definition": expr,
			"query": object{"query": expr, "refId": name}, "refresh": 2, "sort": 1, "hide": 0, "multi": false, "includeAll": false,
		}
		for key, value := range more {
			v[key] = value
		}
		return v
	}
	return []object{
		{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1, "hide": 0, "multi": false, "includeAll": false},
		ask("job", "Bot", "label_values(gateway_build_info, job)", nil),
		ask("node", "Node", `label_values(gateway_build_info{job="$job"}, instance)`, object{
			"multi": true, "includeAll": true, "allValue": ".*", "current": object{"text": "All", "value": "$__all"},
		}),
	}
}

func (p panel) render(id, x, y int) object {
	var targets []object
	for i, q := range p.queries {
		t := object{"refId": string(rune('A' + i)), "datasource": source, "editorMode": "code", "expr": q.expr, "legendFormat": q.legend, "range": true}
		if p.kind == heat {
			t["format"] = "heatmap"
		}
		if p.kind == number {
			t["range"], t["instant"] = false, true
		}
		if strings.Contains(q.expr, "_bucket") && p.kind != heat {
			t["exemplar"] = true
		}
		targets = append(targets, t)
	}
	defaults, options := p.look()
	defaults["unit"] = p.unit
	name, _, _ := strings.Cut(string(p.kind), ",")
	return object{
		"id": id, "type": name, "title": p.title, "description": p.description, "datasource": source, "targets": targets,
		"gridPos":     object{"x": x, "y": y, "w": p.width, "h": p.kind.height()},
		"fieldConfig": object{"defaults": defaults, "overrides": []any{}}, "options": options,
	}
}

// look is what the kind of a panel brings with it.
func (p panel) look() (defaults, options object) {
	switch p.kind {
	case number:
		steps := []object{}
		for i, t := range p.thresholds {
			step := object{"color": t.color, "value": t.from}
			if i == 0 {
				step["value"] = nil // from minus infinity
			}
			steps = append(steps, step)
		}
		if len(steps) == 0 {
			steps = append(steps, object{"color": "text", "value": nil})
		}
		return object{"thresholds": object{"mode": "absolute", "steps": steps}, "color": object{"mode": "thresholds"}}, object{
			"colorMode": "value", "graphMode": "none", "justifyMode": "auto", "textMode": "auto", "orientation": "auto",
			"reduceOptions": object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
		}
	case heat:
		return object{"custom": object{"hideFrom": object{"legend": false, "tooltip": false, "viz": false}}}, object{
			"calculate": false, "cellGap": 1, "filterValues": object{"le": 1e-9}, "legend": object{"show": true},
			"color":   object{"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "reverse": false},
			"tooltip": object{"mode": "single", "showColorScale": true, "yHistogram": true},
			"yAxis":   object{"axisPlacement": "left", "unit": p.unit, "reverse": false}, "rowsFrame": object{"layout": "auto"},
		}
	}
	custom := object{"lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "stacking": object{"mode": "none", "group": "A"}}
	if p.kind == stacked {
		custom["fillOpacity"], custom["stacking"] = 60, object{"mode": "normal", "group": "A"}
	}
	return object{"custom": custom, "color": object{"mode": "palette-classic"}}, object{
		"legend":  object{"displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": []string{"lastNotNull", "max"}},
		"tooltip": object{"mode": "multi", "sort": "desc"},
	}
}
