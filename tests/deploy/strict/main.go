// Command strict reads manifests (YAML, several documents) from standard input and decodes those of the Prometheus
// operator into its own Go types, refusing every field that the types do not have: the operator's schemas let unknown
// fields pass, and a misspelt one then silently does nothing. Prints how many objects of each kind it has checked.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	yamlstream "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

var newObject = map[string]func() any{
	"ServiceMonitor": func() any { return &monitoringv1.ServiceMonitor{} },
	"PrometheusRule": func() any { return &monitoringv1.PrometheusRule{} },
}

// check counts document in counts if it is of the operator's group; of other groups it says nothing.
func check(document []byte, counts map[string]int) error {
	var object metav1.TypeMeta
	if err := yaml.Unmarshal(document, &object); err != nil {
		return err
	}
	if object.GroupVersionKind().Group != "monitoring.coreos.com" {
		return nil
	}
	create, known := newObject[object.Kind]
	if !known || object.APIVersion != "monitoring.coreos.com/v1" {
		return fmt.Errorf("no type for %s %s: add it to newObject", object.APIVersion, object.Kind)
	}
	if err := yaml.UnmarshalStrict(document, create()); err != nil {
		return fmt.Errorf("%s: %w", object.Kind, err)
	}
	counts[object.Kind]++
	return nil
}

func checkAll(manifests io.Reader) (map[string]int, error) {
	counts := map[string]int{}
	reader := yamlstream.NewYAMLReader(bufio.NewReader(manifests))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return counts, nil
		}
		if err != nil {
			return nil, err
		}
		if err := check(document, counts); err != nil {
			return nil, err
		}
	}
}

func main() {
	counts, err := checkAll(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "strict:", err)
		os.Exit(1)
	}
	fmt.Println("ServiceMonitor", counts["ServiceMonitor"], "PrometheusRule", counts["PrometheusRule"])
}
