// Command kstatus reads Kubernetes objects as JSON lines and prints, as a JSON line each, what
// kstatus makes of them: the library that Flux, `flux wait`, kapp and others ask whether an object is done.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

// Verdict is what is printed of one object.
type Verdict struct {
	Status  status.Status `json:"status"`
	Message string        `json:"message"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run() error {
	lines := bufio.NewScanner(os.Stdin)
	// An object is at most as large as what etcd takes.
	lines.Buffer(nil, 4<<20)
	verdicts := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(lines.Bytes()); err != nil {
			return err
		}
		result, err := status.Compute(object)
		if err != nil {
			return err
		}
		verdict := Verdict{Status: result.Status, Message: result.Message}
		if err := verdicts.Encode(verdict); err != nil {
			return err
		}
	}
	return lines.Err()
}
