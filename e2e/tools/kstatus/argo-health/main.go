// Command argo-health reads Kubernetes objects as JSON lines and prints, as a JSON line each, what a
// health.lua makes of them. It runs the script as Argo CD does: in gopher-lua, with the object as the
// global `obj`, with no libraries but base, package and table, for a second at most.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// Health is what is printed of one object, in Argo CD's words.
type Health struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// What Argo CD takes for a health; anything else it shows as Unknown.
var known = map[string]bool{
	"Healthy": true, "Progressing": true, "Degraded": true, "Suspended": true, "Missing": true, "Unknown": true,
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "argo-health:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("usage: argo-health SCRIPT <OBJECTS")
	}
	script, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 4<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var object map[string]any
		if err := json.Unmarshal(lines.Bytes(), &object); err != nil {
			return err
		}
		health, err := healthOf(object, string(script))
		if err != nil {
			return err
		}
		if err := out.Encode(health); err != nil {
			return err
		}
	}
	return lines.Err()
}

func healthOf(object map[string]any, script string) (Health, error) {
	l := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer l.Close()
	for name, open := range map[string]lua.LGFunction{
		lua.LoadLibName: lua.OpenPackage,
		lua.BaseLibName: lua.OpenBase,
		lua.TabLibName:  lua.OpenTable,
	} {
		call := lua.P{Fn: l.NewFunction(open), NRet: 0, Protect: true}
		if err := l.CallByParam(call, lua.LString(name)); err != nil {
			return Health{}, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	l.SetContext(ctx)
	l.SetGlobal("obj", value(l, object))
	if err := l.DoString(script); err != nil {
		return Health{}, err
	}
	answer, ok := l.Get(-1).(*lua.LTable)
	if !ok {
		return Health{}, fmt.Errorf("the script returned %s and not a table", l.Get(-1).Type())
	}
	status, ok := answer.RawGetString("status").(lua.LString)
	if !ok || !known[string(status)] {
		return Health{}, fmt.Errorf("the script returned the status %q", answer.RawGetString("status"))
	}
	message, _ := answer.RawGetString("message").(lua.LString)
	return Health{Status: string(status), Message: string(message)}, nil
}

// value turns what JSON holds into what Lua holds; null is nil, as in Argo CD.
func value(l *lua.LState, v any) lua.LValue {
	switch v := v.(type) {
	case bool:
		return lua.LBool(v)
	case float64:
		return lua.LNumber(v)
	case string:
		return lua.LString(v)
	case []any:
		list := l.CreateTable(len(v), 0)
		for _, item := range v {
			list.Append(value(l, item))
		}
		return list
	case map[string]any:
		table := l.CreateTable(0, len(v))
		for key, item := range v {
			table.RawSetString(key, value(l, item))
		}
		return table
	default:
		return lua.LNil
	}
}
