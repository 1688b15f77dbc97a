// Package program is what the Go clients' programs share: which checks to run and how results are
// told. clients/python/program.py describes the lines.
package program

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// Patience is the longest wait for anything; a check that needs it has failed.
	Patience = 45 * time.Second
	// LargeLimit is max.message.bytes where large values are tested.
	LargeLimit = 25_000_000
)

// Sizes of the values of the check "sizes".
var Sizes = []int{1, 1000, 100_000, 1_000_000, 5_000_000, 20_000_000}

// ErrCannotDo says that the client has no such feature.
var ErrCannotDo = errors.New("not offered by this client")

// Check is one named check.
type Check func() error

var (
	input  = bufio.NewReader(os.Stdin)
	output sync.Mutex
)

func tell(line map[string]any) {
	output.Lock()
	defer output.Unlock()
	_ = json.NewEncoder(os.Stdout).Encode(line)
}

// KillBroker returns once the broker was killed and answers again.
func KillBroker() {
	tell(map[string]any{"ask": "kill"})
	_, _ = input.ReadString('\n')
}

// ValueOfSize repeats the alphabet.
func ValueOfSize(size int) []byte {
	value := make([]byte, size)
	for i := range value {
		value[i] = byte('a' + i%26)
	}
	return value
}

// Value is the i-th value of a check.
func Value(i int) string { return fmt.Sprintf("v-%d", i) }

// Values are count values from start on.
func Values(count, start int) []string {
	values := make([]string, count)
	for i := range values {
		values[i] = Value(start + i)
	}
	return values
}

// Expect compares deeply.
func Expect(actual, wanted any, what string) error {
	if reflect.DeepEqual(actual, wanted) {
		return nil
	}
	return fmt.Errorf("%s: %.200s, expected %.200s", what, fmt.Sprint(actual), fmt.Sprint(wanted))
}

// WaitFor asks until the condition holds.
func WaitFor(what string, condition func() (bool, error)) error {
	for end := time.Now().Add(Patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		done, err := condition()
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if done {
			return nil
		}
	}
	return fmt.Errorf("after %v still not: %s", Patience, what)
}

// Version is that of a module in this program.
func Version(module string) string {
	info, _ := debug.ReadBuildInfo()
	for _, each := range info.Deps {
		if each.Path == module {
			return each.Version
		}
	}
	return "unknown"
}

// Main runs the checks named on the command line, which starts with bootstrap and prefix.
func Main(client string, checks map[string]Check) {
	tell(map[string]any{"client": client})
	for _, name := range os.Args[3:] {
		started := time.Now()
		result, detail := "pass", ""
		check := checks[name]
		if check == nil {
			check = func() error { return ErrCannotDo }
		}
		if err := protect(check); errors.Is(err, ErrCannotDo) {
			result, detail = "none", err.Error()
		} else if err != nil {
			result, detail = "fail", err.Error()
		}
		tell(map[string]any{"check": name, "result": result, "detail": detail,
			"seconds": time.Since(started).Seconds()})
	}
}

func protect(check Check) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("panic: %v", panicked)
		}
	}()
	return check()
}
